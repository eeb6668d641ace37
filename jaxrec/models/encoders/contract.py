"""The contract of an encoder: a history of activities becomes one vector."""

from typing import Any

import jax
from flax import nnx
from jaxtyping import Bool, Float

Activities = Float[jax.Array, "B L E"]
Mask = Bool[jax.Array, "B L"]
There = Float[jax.Array, "B L"]
Prefixes = Float[jax.Array, "B L H"]
Whole = Float[jax.Array, "B H"]


class Encoder(nnx.Module):
    """One encoder, two views of it that a test proves equal.

    A history of padding alone may be encoded as anything: the model knows that it is empty.

    Attributes:
        width: H.
    """

    width: int

    def __init__(self, width_in: int, units: int, config: Any, *, rngs: nnx.Rngs):
        """Draw the parameters.

        Args:
            width_in: of an activity, E.
            units: --hidden-units.
            config: what this encoder alone reads, the field of `ModelConfig` with its name; None if
                there is none.

        Raises:
            UserError: the settings do not fit each other.
        """
        raise NotImplementedError

    def encode_positions(self, activities_BLE: Activities, mask_BL: Mask, span: int) -> Prefixes:
        """Encode what ends at each position: one pass trains on L targets.

        A window of L activities may be longer than a history of `span`. What an encoder takes over
        time, as a mean or a maximum, it then takes over the last `span` activities; a state reads
        on, and remembers what it likes. Activities are zero where the mask is False. Padding on the
        left changes nothing.
        """
        raise NotImplementedError

    def encode_last(self, activities_BNE: Activities, there_BN: There) -> Whole:
        """Encode the history, in the operations that are cheap on a device: this ships.

        Args:
            activities_BNE: known ones at the right end, zeros before them.
            there_BN: 1 where there is an activity, 0 before.
        """
        raise NotImplementedError
