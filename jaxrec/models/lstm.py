"""LSTM: long short-term memory (Hochreiter and Schmidhuber, 1997)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float


def lstm_cell(
    gates_B4H: Float[jax.Array, "B G"], cell_BH: Float[jax.Array, "B H"]
) -> tuple[Float[jax.Array, "B H"], Float[jax.Array, "B H"]]:
    """Give the next cell and output from the gates, G = 4 H: input, forget, output, candidate.

    On a device an operation costs more than its arithmetic, so one sigmoid serves all four, though
    nobody asks for the candidate's.
    """
    write, forget, emit, _ = jnp.split(nnx.sigmoid(gates_B4H), 4, axis=-1)
    candidate = jnp.tanh(gates_B4H[:, -cell_BH.shape[-1] :])
    return _next_state(write, forget, emit, candidate, cell_BH)


def _next_state(
    write: jax.Array, forget: jax.Array, emit: jax.Array, candidate: jax.Array, cell_BH: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Give the next cell and output from the gates and the candidate, each [B, H]."""
    cell_BH = forget * cell_BH + write * candidate
    return cell_BH, emit * jnp.tanh(cell_BH)


# Of a history, up to so many steps are written out, more are a loop of several steps a turn. The
# encoder alone, d = 16 and 24 units, one thread of an AMD EPYC, written out against a loop of 1, 5
# and 10 steps a turn: N = 10: 14 against 34, 36, -; N = 20: 25 against 51, 46, 58; N = 50: 57
# against 105, 76, 87; N = 100: 109 against 200, 130, 139; N = 200: - against 407, 253, 249 µs. What
# is written out costs 1.3 KB a step and signature, the loop of 5 13 KB whatever N: at N = 50 the
# 19 µs would cost 160 KB, more than the weights. With d = 64 and 128 units the arithmetic prevails
# and the forms are within a tenth of each other from N = 50, so the width does not enter.
MOST_WRITTEN_OUT = 20
STEPS_A_TURN = 5


class LSTM(nnx.Module):
    """One layer, for windows in training and for whole histories.

    A step without an activity leaves the state as it is.

    The four gates of `lstm_cell` lie in one matrix; its rows are those of the inputs, then those of
    the state. The forget gate's bias starts at one (Jozefowicz et al., 2015). nnx.RNN cannot be
    traced after split and merge, and knows no mask within.
    """

    def __init__(self, width_in: int, units: int, *, rngs: nnx.Rngs):
        glorot, orthogonal = nnx.initializers.glorot_uniform(), nnx.initializers.orthogonal()
        kernels = (
            glorot(rngs.params(), (width_in, 4 * units)),
            orthogonal(rngs.params(), (units, 4 * units)),
        )
        self.kernel = nnx.Param(jnp.concatenate(kernels))
        self.bias = nnx.Param(jnp.zeros(4 * units).at[units : 2 * units].set(1.0))

    def prefixes(
        self, inputs_BLE: Float[jax.Array, "B L E"], mask_BL: Bool[jax.Array, "B L"]
    ) -> Float[jax.Array, "B L H"]:
        """Give the output after each step of a window."""
        inputs_LBE, mask_LB = jnp.swapaxes(inputs_BLE, 0, 1), jnp.swapaxes(mask_BL, 0, 1)
        outputs_LBH = _outputs(self.kernel[...], self.bias[...], inputs_LBE, mask_LB)
        return jnp.swapaxes(outputs_LBH, 0, 1)

    def whole(
        self,
        inputs_NBE: Float[jax.Array, "N B E"],
        there_NB1: Float[jax.Array, "N B 1"],
        *,
        every: bool,
    ) -> Float[jax.Array, "*steps B H"]:
        """Give the outputs of `every` step of a history, [N, B, H], or the last one's, [B, H].

        The bias is the weight of one more input, which is 1 where there is an activity: without it
        a state of zeros stays one, and no step needs a mask. The products with the inputs of all
        steps are one, before the loop.
        """
        length, batch, width = inputs_NBE.shape
        kernel, bias = self.kernel[...], self.bias[...]
        inputs_NBF = jnp.concatenate([inputs_NBE, there_NB1], axis=-1)
        inputs_to_gates_F4H = jnp.concatenate([kernel[:width], bias[None]])
        outputs_to_gates_H4H = kernel[width:]
        gates_n4H = inputs_NBF.reshape(length * batch, -1) @ inputs_to_gates_F4H

        def step(
            state: tuple[jax.Array, jax.Array], gates_B4H: jax.Array
        ) -> tuple[tuple[jax.Array, jax.Array], jax.Array | None]:
            cell_BH, output_BH = state
            state = lstm_cell(gates_B4H + output_BH @ outputs_to_gates_H4H, cell_BH)
            return state, state[1] if every else None

        zeros_BH = jnp.zeros((batch, outputs_to_gates_H4H.shape[0]))
        state = zeros_BH, zeros_BH
        if length <= MOST_WRITTEN_OUT:
            # By hand: of two axes a step is a slice, and needs no reshape as scan's do.
            outputs = []
            for gates_B4H in jnp.split(gates_n4H, length):
                state, output_BH = step(state, gates_B4H)
                outputs.append(output_BH)
            return jnp.stack(outputs) if every else state[1]
        gates_NB4H = gates_n4H.reshape(length, batch, -1)
        state, outputs_NBH = jax.lax.scan(step, state, gates_NB4H, unroll=STEPS_A_TURN)
        return state[1] if outputs_NBH is None else outputs_NBH


class _Kept(NamedTuple):
    """What the way back needs of each step of the way there.

    Attributes:
        gates_LB3H: write, forget, emit, after their sigmoid.
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
    """Give the output after each step, with a gradient written by hand.

    Of the loops there and back only the products with the state are a part; all others are of all
    steps at once. JAX's own gradient adds one up step by step: with windows of 98 steps in batches
    of 16 it takes 1.8 times as long, of 29 steps in batches of 64 as long.
    """
    return _there(kernel, bias, inputs_LBE, mask_LB).outputs_LBH


def _there(kernel: jax.Array, bias: jax.Array, inputs_LBE: jax.Array, mask_LB: jax.Array) -> _Kept:
    length, batch, width = inputs_LBE.shape
    units = bias.shape[0] // 4
    of_inputs_n4H = inputs_LBE.reshape(length * batch, width) @ kernel[:width] + bias
    of_state_H4H = kernel[width:]

    def step(
        state: tuple[jax.Array, jax.Array], inputs: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, jax.Array], _Kept]:
        cell_BH, output_BH = state
        of_input_B4H, mask_B = inputs
        sums_B4H = of_input_B4H + output_BH @ of_state_H4H
        gates_B3H = nnx.sigmoid(sums_B4H[:, : 3 * units])
        candidate_BH = jnp.tanh(sums_B4H[:, 3 * units :])
        write, forget, emit = jnp.split(gates_B3H, 3, axis=-1)
        new_cell_BH, new_output_BH = _next_state(write, forget, emit, candidate_BH, cell_BH)
        cell_BH = jnp.where(mask_B[:, None], new_cell_BH, cell_BH)
        output_BH = jnp.where(mask_B[:, None], new_output_BH, output_BH)
        return (cell_BH, output_BH), _Kept(gates_B3H, candidate_BH, cell_BH, output_BH)

    zeros_BH = jnp.zeros((batch, units), inputs_LBE.dtype)
    steps = of_inputs_n4H.reshape(length, batch, -1), mask_LB
    # Not unrolled: XLA fuses the chain of cells into ever longer recomputations.
    return jax.lax.scan(step, (zeros_BH, zeros_BH), steps)[1]


def _back(saved: tuple[Any, ...], by_outputs_LBH: jax.Array) -> tuple[Any, ...]:
    kernel, inputs_LBE, mask_LB, kept = saved
    length, batch, width = inputs_LBE.shape
    units = kept.cells_LBH.shape[-1]
    to_state_4HH = kernel[width:].T

    def before(states_LBH: jax.Array) -> jax.Array:
        return jnp.pad(states_LBH, ((1, 0), (0, 0), (0, 0)))[:-1]

    def step(by_state: tuple[jax.Array, jax.Array], of_step: tuple[Any, ...]) -> Any:
        by_cell_BH, by_output_BH = by_state
        more_by_output_BH, of_way_there, cell_before_BH, there_B1 = of_step
        gates_B3H, candidate_BH, cell_BH, _ = of_way_there
        write, forget, emit = jnp.split(gates_B3H, 3, axis=-1)
        by_output_BH += more_by_output_BH
        # A step without an activity hands on what it is given.
        handed_on = (1 - there_B1) * by_cell_BH, (1 - there_B1) * by_output_BH
        by_output_BH *= there_B1
        shown_BH = jnp.tanh(cell_BH)
        by_cell_BH = there_B1 * by_cell_BH + by_output_BH * emit * (1 - shown_BH * shown_BH)
        by_sums = (
            by_cell_BH * candidate_BH * write * (1 - write),
            by_cell_BH * cell_before_BH * forget * (1 - forget),
            by_output_BH * shown_BH * emit * (1 - emit),
            by_cell_BH * write * (1 - candidate_BH * candidate_BH),
        )
        by_sums_B4H = jnp.concatenate(by_sums, axis=-1)
        by_cell_BH = by_cell_BH * forget + handed_on[0]
        by_output_BH = by_sums_B4H @ to_state_4HH + handed_on[1]
        return (by_cell_BH, by_output_BH), by_sums_B4H

    zeros_BH = jnp.zeros((batch, units), by_outputs_LBH.dtype)
    there_LB1 = mask_LB[..., None].astype(by_outputs_LBH.dtype)
    steps = by_outputs_LBH, kept, before(kept.cells_LBH), there_LB1
    _, by_sums_LB4H = jax.lax.scan(step, (zeros_BH, zeros_BH), steps, reverse=True)
    by_sums_n4H = by_sums_LB4H.reshape(length * batch, -1)
    read_LBF = jnp.concatenate([inputs_LBE, before(kept.outputs_LBH)], axis=-1)
    by_kernel = read_LBF.reshape(length * batch, -1).T @ by_sums_n4H
    by_inputs_LBE = (by_sums_n4H @ kernel[:width].T).reshape(inputs_LBE.shape)
    return by_kernel, jnp.sum(by_sums_n4H, axis=0), by_inputs_LBE, None


def _there_and_keep(
    kernel: jax.Array, bias: jax.Array, inputs_LBE: jax.Array, mask_LB: jax.Array
) -> tuple[jax.Array, tuple[Any, ...]]:
    kept = _there(kernel, bias, inputs_LBE, mask_LB)
    return kept.outputs_LBH, (kernel, inputs_LBE, mask_LB, kept)


_outputs.defvjp(_there_and_keep, _back)
