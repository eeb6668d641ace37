"""LSTM: long short-term memory (Hochreiter and Schmidhuber, 1997)."""

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
    cell_BH = forget * cell_BH + write * candidate
    return cell_BH, emit * jnp.tanh(cell_BH)


class LSTM(nnx.Module):
    """One layer; a step without an activity leaves the state as it is.

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

    def __call__(
        self, inputs_BLE: Float[jax.Array, "B L E"], mask_BL: Bool[jax.Array, "B L"]
    ) -> Float[jax.Array, "B L H"]:
        """Give the output after each step."""
        kernel, bias = self.kernel[...], self.bias[...]

        def step(
            state: tuple[jax.Array, jax.Array], inputs: tuple[jax.Array, jax.Array]
        ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            cell_BH, output_BH = state
            input_BE, mask_B = inputs
            # The input's product could be taken for all steps at once, but the gradient of its
            # kernel would then be one product over B x L rows, several times slower on a CPU than
            # L products over B.
            gates_B4H = jnp.concatenate([input_BE, output_BH], axis=-1) @ kernel + bias
            new_cell_BH, new_output_BH = lstm_cell(gates_B4H, cell_BH)
            cell_BH = jnp.where(mask_B[:, None], new_cell_BH, cell_BH)
            output_BH = jnp.where(mask_B[:, None], new_output_BH, output_BH)
            return (cell_BH, output_BH), output_BH

        zeros_BH = jnp.zeros((inputs_BLE.shape[0], bias.shape[0] // 4), inputs_BLE.dtype)
        steps = (jnp.swapaxes(inputs_BLE, 0, 1), jnp.swapaxes(mask_BL, 0, 1))
        # Not unrolled: XLA fuses the gradients of an unrolled chain of cells into ever longer
        # recomputations, which take more time than the loop does.
        _, outputs_LBH = jax.lax.scan(step, (zeros_BH, zeros_BH), steps)
        return jnp.swapaxes(outputs_LBH, 0, 1)
