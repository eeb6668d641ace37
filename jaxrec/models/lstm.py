"""LSTM: long short-term memory (Hochreiter and Schmidhuber, 1997), with a gradient of its own.

nnx.RNN takes the products with the inputs step by step, and cannot be traced after split and
merge. And where a scan is differentiated automatically, every step adds to the gradient of the
state kernel: L thin products, where the backward pass here takes one thick one at the end.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

GatesLBG = Float[jax.Array, "L B G"]
OutputsLBH = Float[jax.Array, "L B H"]
MaskLB = Bool[jax.Array, "L B"]
Kernel = Float[jax.Array, "H G"]

# Unrolled tenfold, a loop costs next to nothing more than its body, and compiles in seconds.
_UNROLL = 10


class LSTM(nnx.Module):
    """One layer; a step without an activity leaves the state as it is.

    The four gates lie in one matrix, in the order input, candidate, forget, output. The forget
    gate's bias starts at one (Jozefowicz et al., 2015).
    """

    def __init__(self, width_in: int, units: int, *, rngs: nnx.Rngs):
        glorot, orthogonal = nnx.initializers.glorot_uniform(), nnx.initializers.orthogonal()
        self.input_kernel = nnx.Param(glorot(rngs.params(), (width_in, 4 * units)))
        self.state_kernel = nnx.Param(orthogonal(rngs.params(), (units, 4 * units)))
        self.bias = nnx.Param(jnp.zeros(4 * units).at[2 * units : 3 * units].set(1.0))

    def __call__(
        self, inputs_BLE: Float[jax.Array, "B L E"], mask_BL: Bool[jax.Array, "B L"]
    ) -> Float[jax.Array, "B L H"]:
        """Give the output after each step."""
        inputs_LBE = jnp.swapaxes(inputs_BLE, 0, 1)
        gates_LBG = inputs_LBE @ self.input_kernel[...] + self.bias[...]
        outputs_LBH = recur(gates_LBG, jnp.swapaxes(mask_BL, 0, 1), self.state_kernel[...])
        return jnp.swapaxes(outputs_LBH, 0, 1)


@jax.custom_vjp
def recur(gates_LBG: GatesLBG, mask_LB: MaskLB, state_kernel: Kernel) -> OutputsLBH:
    """Run the recurrence from a zero state over what the inputs add to the gates."""
    return _forward(gates_LBG, mask_LB, state_kernel)[0]


def _forward(
    gates_LBG: GatesLBG, mask_LB: MaskLB, state_kernel: Kernel
) -> tuple[OutputsLBH, tuple[jax.Array, ...]]:
    """Run the recurrence, and keep what the backward pass needs."""

    def step(
        state: tuple[jax.Array, jax.Array], inputs: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, ...]]:
        cell, output = state
        gates, mask = inputs
        write, candidate, forget, emit = jnp.split(gates + output @ state_kernel, 4, axis=-1)
        write, candidate = nnx.sigmoid(write), jnp.tanh(candidate)
        forget, emit = nnx.sigmoid(forget), nnx.sigmoid(emit)
        next_cell = forget * cell + write * candidate
        squashed = jnp.tanh(next_cell)
        next_output = jnp.where(mask[:, None], emit * squashed, output)
        next_cell = jnp.where(mask[:, None], next_cell, cell)
        kept = (output, cell, write, candidate, forget, emit, squashed)
        return (next_cell, next_output), (next_output, *kept)

    zeros_BH = jnp.zeros((gates_LBG.shape[1], state_kernel.shape[0]), gates_LBG.dtype)
    _, (outputs_LBH, *kept) = jax.lax.scan(
        step, (zeros_BH, zeros_BH), (gates_LBG, mask_LB), unroll=_UNROLL
    )
    return outputs_LBH, (mask_LB, state_kernel, *kept)


def _backward(
    residuals: tuple[jax.Array, ...], d_outputs_LBH: OutputsLBH
) -> tuple[GatesLBG, None, Kernel]:
    """Give the gradients of the gates and of the kernel. `d_x` is the gradient of x."""
    mask_LB, state_kernel, *kept = residuals

    def step(
        d_state: tuple[jax.Array, jax.Array], inputs: tuple[jax.Array, ...]
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        d_cell, d_output = d_state
        d_emitted, mask, cell, write, candidate, forget, emit, squashed = inputs
        d_output = d_output + d_emitted
        d_inner = d_cell + d_output * emit * (1 - squashed * squashed)
        d_gates = jnp.concatenate(
            [
                d_inner * candidate * write * (1 - write),
                d_inner * write * (1 - candidate * candidate),
                d_inner * cell * forget * (1 - forget),
                d_output * squashed * emit * (1 - emit),
            ],
            axis=-1,
        )
        d_gates = jnp.where(mask[:, None], d_gates, 0)
        d_cell = jnp.where(mask[:, None], d_inner * forget, d_cell)
        d_output = jnp.where(mask[:, None], 0, d_output) + d_gates @ state_kernel.T
        return (d_cell, d_output), d_gates

    outputs_before_LBH, *kept = kept
    zeros_BH = jnp.zeros_like(d_outputs_LBH[0])
    _, d_gates_LBG = jax.lax.scan(
        step,
        (zeros_BH, zeros_BH),
        (d_outputs_LBH, mask_LB, *kept),
        reverse=True,
        unroll=_UNROLL,
    )
    d_kernel = jnp.einsum("lbh,lbg->hg", outputs_before_LBH, d_gates_LBG)
    return d_gates_LBG, None, d_kernel


recur.defvjp(_forward, _backward)
