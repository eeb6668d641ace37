"""The base class of encoders, which map a history of activities to one vector."""

import math
from typing import Any, ClassVar

import jax
from flax import nnx
from jaxtyping import Bool, Float

Activities = Float[jax.Array, "B L E"]
Mask = Bool[jax.Array, "B L"]
Valid = Float[jax.Array, "B L"]
Encodings = Float[jax.Array, "B L H"]
Encoding = Float[jax.Array, "B H"]


class Encoder(nnx.Module):
    """Base class of encoders, with two views that a test holds equal: training and export.

    The encoding of a history of padding alone is arbitrary: the model masks its query.

    Attributes:
        width: of an encoding, H.
        max_learning_rate: largest peak of the learning rate that is chosen by default.
    """

    width: int
    max_learning_rate: ClassVar[float] = math.inf

    def __init__(self, width_in: int, units: int, config: Any, *, rngs: nnx.Rngs):
        """Initialize the parameters.

        Args:
            width_in: of an activity's embedding, E.
            units: `--hidden-units`.
            config: settings of this encoder alone, the field of `ModelConfig` with its name; None
                if there is none.

        Raises:
            UserError: the settings do not fit each other.
        """
        raise NotImplementedError

    def encode_positions(
        self, activities_BLE: Activities, mask_BL: Mask, history_length: int
    ) -> Encodings:
        """Encode the history that ends at each position, so that one pass trains on L targets.

        A window of L activities may be longer than a history of `history_length` activities. An
        encoder then takes means and maxima over the last `history_length` activities alone, but a
        recurrent state is carried along the whole window. Activities are zero where the mask is
        False. Padding on the left has no effect.
        """
        raise NotImplementedError

    def encode_last(self, activities_BNE: Activities, valid_BN: Valid) -> Encoding:
        """Encode whole histories, in operations that are cheap on a device; this is exported.

        Args:
            activities_BNE: embeddings of activities at the right end, zeros before them.
            valid_BN: mask as a float, 1 where there is an activity and 0 before.
        """
        raise NotImplementedError
