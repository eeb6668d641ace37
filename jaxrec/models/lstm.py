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
