"""The contract of an encoder, which maps a history of activities to one vector."""

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
    """Base class of encoders, with two views that a test holds equal: training and export.

    The encoding of a history of padding alone is arbitrary: the model masks its query.

    Attributes:
        width: of an encoding, H.
    """

    width: int

    def __init__(self, width_in: int, units: int, config: Any, *, rngs: nnx.Rngs):
        """Initialize the parameters.

        Args:
            width_in: of an activity's embedding, E.
            units: --hidden-units.
            config: settings of this encoder alone, the field of `ModelConfig` with its name; None
                if there is none.

        Raises:
            UserError: the settings do not fit each other.
        """
        raise NotImplementedError

    def encode_positions(self, activities_BLE: Activities, mask_BL: Mask, span: int) -> Prefixes:
        """Encode the history that ends at each position, so that one pass trains on L targets.

        A window of L activities may be longer than a history of `span` activities. An encoder then
        takes means and maxima over the last `span` activities alone, but a recurrent state is
        carried along the whole window. Activities are zero where the mask is False. Padding on the
        left has no effect.
        """
        raise NotImplementedError

    def encode_last(self, activities_BNE: Activities, there_BN: There) -> Whole:
        """Encode whole histories, in operations that are cheap on a device; this is exported.

        Args:
            activities_BNE: embeddings of activities at the right end, zeros before them.
            there_BN: mask as a float, 1 where there is an activity and 0 before.
        """
        raise NotImplementedError
