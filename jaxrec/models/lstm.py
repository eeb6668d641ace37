"""LSTM layer (Hochreiter and Schmidhuber, 1997, Long Short-Term Memory)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float


def lstm_cell(
    gates_B4H: Float[jax.Array, "B G"], cell_BH: Float[jax.Array, "B H"]
) -> tuple[Float[jax.Array, "B H"], Float[jax.Array, "B H"]]:
    """Compute the next cell and output from the gates, G = 4 H: input, forget, output, candidate.

    On a device, the overhead of an operation exceeds its arithmetic. So one sigmoid covers all four
    gates, and its values for the candidate are discarded.
    """
    write, forget, emit, _ = jnp.split(nnx.sigmoid(gates_B4H), 4, axis=-1)
    candidate = jnp.tanh(gates_B4H[:, -cell_BH.shape[-1] :])
    return _next_state(write, forget, emit, candidate, cell_BH)


def _next_state(
    write: jax.Array, forget: jax.Array, emit: jax.Array, candidate: jax.Array, cell_BH: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Compute the next cell and output from the gates and the candidate, each [B, H]."""
    cell_BH = forget * cell_BH + write * candidate
    return cell_BH, emit * jnp.tanh(cell_BH)


# A history of up to MAX_UNROLLED_STEPS steps is fully unrolled; a longer one is a loop with
# STEPS_PER_ITERATION steps per iteration. Time of the encoder alone (d = 16, 24 units, one thread
# of an AMD EPYC), unrolled against a loop of 1, 5 and 10 steps per iteration: N = 10: 14 against
# 34, 36, -; N = 20: 25 against 51, 46, 58; N = 50: 57 against 105, 76, 87; N = 100: 109 against
# 200, 130, 139; N = 200: - against 407, 253, 249 µs. Unrolling adds 1.3 KB per step and signature
# to a file, the loop of 5 adds 13 KB for any N: at N = 50, the 19 µs would cost 160 KB, more than
# the weights.
# With d = 64 and 128 units, arithmetic dominates and the forms are within a tenth of each other
# from N = 50, so the limit does not depend on the width.
MAX_UNROLLED_STEPS = 20
STEPS_PER_ITERATION = 5


class LSTM(nnx.Module):
    """One LSTM layer, over windows in training and over whole histories.

    A masked step leaves the state unchanged.

    One matrix holds the weights of all four gates of `lstm_cell`: first the rows of the inputs,
    then those of the state. The bias of the forget gate is initialized to one (Jozefowicz et al.,
    2015). nnx.RNN cannot be traced after split and merge, and does not support such a mask.
    """

    def __init__(self, width_in: int, units: int, *, rngs: nnx.Rngs):
        glorot, orthogonal = nnx.initializers.glorot_uniform(), nnx.initializers.orthogonal()
        kernels = (
            glorot(rngs.params(), (width_in, 4 * units)),
            orthogonal(rngs.params(), (units, 4 * units)),
        )
        self.kernel = nnx.Param(jnp.concatenate(kernels))
        self.bias = nnx.Param(jnp.zeros(4 * units).at[units : 2 * units].set(1.0))

    def encode_positions(
        self, inputs_BLE: Float[jax.Array, "B L E"], mask_BL: Bool[jax.Array, "B L"]
    ) -> Float[jax.Array, "B L H"]:
        """Return the output after each step of a window."""
        inputs_LBE, mask_LB = jnp.swapaxes(inputs_BLE, 0, 1), jnp.swapaxes(mask_BL, 0, 1)
        outputs_LBH = _outputs(self.kernel[...], self.bias[...], inputs_LBE, mask_LB)
        return jnp.swapaxes(outputs_LBH, 0, 1)

    def encode_history(
        self,
        inputs_NBE: Float[jax.Array, "N B E"],
        valid_NB1: Float[jax.Array, "N B 1"],
        *,
        return_sequences: bool,
    ) -> Float[jax.Array, "*steps B H"]:
        """Return the output of the last step, [B, H], or the sequence of all steps', [N, B, H].

        The bias is the weight of an additional input, which is 1 where there is an activity. On
        padding, this input is 0 and a state of zeros stays zero, so that no step needs a mask. The
        inputs of all steps are multiplied in one product before the loop.
        """
        length, batch, width = inputs_NBE.shape
        kernel, bias = self.kernel[...], self.bias[...]
        inputs_NBF = jnp.concatenate([inputs_NBE, valid_NB1], axis=-1)
        inputs_to_gates_F4H = jnp.concatenate([kernel[:width], bias[None]])
        outputs_to_gates_H4H = kernel[width:]
        gates_n4H = inputs_NBF.reshape(length * batch, -1) @ inputs_to_gates_F4H

        def step(
            state: tuple[jax.Array, jax.Array], gates_B4H: jax.Array
        ) -> tuple[tuple[jax.Array, jax.Array], jax.Array | None]:
            cell_BH, output_BH = state
            state = lstm_cell(gates_B4H + output_BH @ outputs_to_gates_H4H, cell_BH)
            return state, state[1] if return_sequences else None

        zeros_BH = jnp.zeros((batch, outputs_to_gates_H4H.shape[0]))
        state = zeros_BH, zeros_BH
        if length <= MAX_UNROLLED_STEPS:
            # Unrolled by hand: a slice of a 2D array needs no reshape, unlike a step of scan.
            outputs = []
            for gates_B4H in jnp.split(gates_n4H, length):
                state, output_BH = step(state, gates_B4H)
                outputs.append(output_BH)
            return jnp.stack(outputs) if return_sequences else state[1]
        gates_NB4H = gates_n4H.reshape(length, batch, -1)
        state, outputs_NBH = jax.lax.scan(step, state, gates_NB4H, unroll=STEPS_PER_ITERATION)
        return state[1] if outputs_NBH is None else outputs_NBH


class _Residuals(NamedTuple):
    """Values of each forward step that the backward pass needs.

    Attributes:
        gates_LB3H: write, forget and emit gates, after the sigmoid.
    """

    gates_LB3H: Float[jax.Array, "L B G"]
    candidates_LBH: Float[jax.Array, "L B H"]
    cells_LBH: Float[jax.Array, "L B H"]
    outputs_LBH: Float[jax.Array, "L B H"]


@jax.custom_vjp
def _outputs(
    kernel: Float[jax.Array, "F G"],
    bias: Float[jax.Array, " G"],
    inputs_LBE: Float[jax.Array, "L B E"],
    mask_LB: Bool[jax.Array, "L B"],
) -> Float[jax.Array, "L B H"]:
    """Compute the output after each step, with a custom gradient.

    Only the products with the state are inside the forward and backward loops; all other products
    cover all steps at once. JAX's own gradient adds up the kernel's step by step: it takes 1.8
    times as long for windows of 98 steps in batches of 16, and as long for 29 steps in batches
    of 64.
    """
    return _forward(kernel, bias, inputs_LBE, mask_LB).outputs_LBH


def _forward(
    kernel: jax.Array, bias: jax.Array, inputs_LBE: jax.Array, mask_LB: jax.Array
) -> _Residuals:
    length, batch, width = inputs_LBE.shape
    units = bias.shape[0] // 4
    input_gates_n4H = inputs_LBE.reshape(length * batch, width) @ kernel[:width] + bias
    state_kernel_H4H = kernel[width:]

    def step(
        state: tuple[jax.Array, jax.Array], inputs: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, jax.Array], _Residuals]:
        cell_BH, output_BH = state
        input_gates_B4H, mask_B = inputs
        sums_B4H = input_gates_B4H + output_BH @ state_kernel_H4H
        gates_B3H = nnx.sigmoid(sums_B4H[:, : 3 * units])
        candidate_BH = jnp.tanh(sums_B4H[:, 3 * units :])
        write, forget, emit = jnp.split(gates_B3H, 3, axis=-1)
        new_cell_BH, new_output_BH = _next_state(write, forget, emit, candidate_BH, cell_BH)
        cell_BH = jnp.where(mask_B[:, None], new_cell_BH, cell_BH)
        output_BH = jnp.where(mask_B[:, None], new_output_BH, output_BH)
        return (cell_BH, output_BH), _Residuals(gates_B3H, candidate_BH, cell_BH, output_BH)

    zeros_BH = jnp.zeros((batch, units), inputs_LBE.dtype)
    steps = input_gates_n4H.reshape(length, batch, -1), mask_LB
    # Not unrolled: XLA would fuse the chain of cells, and recompute longer and longer parts of it.
    return jax.lax.scan(step, (zeros_BH, zeros_BH), steps)[1]


def _backward(saved: tuple[Any, ...], d_outputs_LBH: jax.Array) -> tuple[Any, ...]:
    kernel, inputs_LBE, mask_LB, residuals = saved
    length, batch, width = inputs_LBE.shape
    units = residuals.cells_LBH.shape[-1]
    state_kernel_4HH = kernel[width:].T

    def shift(states_LBH: jax.Array) -> jax.Array:  # the state before each step
        return jnp.pad(states_LBH, ((1, 0), (0, 0), (0, 0)))[:-1]

    def step(d_state: tuple[jax.Array, jax.Array], step_inputs: tuple[Any, ...]) -> Any:
        d_cell_BH, d_output_BH = d_state
        d_step_output_BH, step_residuals, cell_before_BH, mask_B1 = step_inputs
        gates_B3H, candidate_BH, cell_BH, _ = step_residuals
        write, forget, emit = jnp.split(gates_B3H, 3, axis=-1)
        d_output_BH += d_step_output_BH
        # A masked step passes the gradients of its state through to the step before.
        passed_through = (1 - mask_B1) * d_cell_BH, (1 - mask_B1) * d_output_BH
        d_output_BH *= mask_B1
        tanh_cell_BH = jnp.tanh(cell_BH)
        d_cell_BH = mask_B1 * d_cell_BH + d_output_BH * emit * (1 - tanh_cell_BH * tanh_cell_BH)
        # sigmoid' = s (1 - s), tanh' = 1 - t^2, in the order of the gates in the kernel.
        d_gates = (
            d_cell_BH * candidate_BH * write * (1 - write),
            d_cell_BH * cell_before_BH * forget * (1 - forget),
            d_output_BH * tanh_cell_BH * emit * (1 - emit),
            d_cell_BH * write * (1 - candidate_BH * candidate_BH),
        )
        d_gates_B4H = jnp.concatenate(d_gates, axis=-1)
        d_cell_BH = d_cell_BH * forget + passed_through[0]
        d_output_BH = d_gates_B4H @ state_kernel_4HH + passed_through[1]
        return (d_cell_BH, d_output_BH), d_gates_B4H

    zeros_BH = jnp.zeros((batch, units), d_outputs_LBH.dtype)
    mask_LB1 = mask_LB[..., None].astype(d_outputs_LBH.dtype)
    steps = d_outputs_LBH, residuals, shift(residuals.cells_LBH), mask_LB1
    _, d_gates_LB4H = jax.lax.scan(step, (zeros_BH, zeros_BH), steps, reverse=True)
    d_gates_n4H = d_gates_LB4H.reshape(length * batch, -1)
    # One product over all steps and rows, where JAX would add up a product per step.
    factors_LBF = jnp.concatenate([inputs_LBE, shift(residuals.outputs_LBH)], axis=-1)
    d_kernel = factors_LBF.reshape(length * batch, -1).T @ d_gates_n4H
    d_inputs_LBE = (d_gates_n4H @ kernel[:width].T).reshape(inputs_LBE.shape)
    return d_kernel, jnp.sum(d_gates_n4H, axis=0), d_inputs_LBE, None


def _forward_with_residuals(
    kernel: jax.Array, bias: jax.Array, inputs_LBE: jax.Array, mask_LB: jax.Array
) -> tuple[jax.Array, tuple[Any, ...]]:
    residuals = _forward(kernel, bias, inputs_LBE, mask_LB)
    return residuals.outputs_LBH, (kernel, inputs_LBE, mask_LB, residuals)


_outputs.defvjp(_forward_with_residuals, _backward)
