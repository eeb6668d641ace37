"""RNN: stacked LSTMs (Hidasi et al., 2016, GRU4Rec, with an LSTM in place of its GRU).

The last activity and the mean of all activities are concatenated to the LSTM's output, so that its
state need not store them.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx

from jaxrec.config.fields import check, setting
from jaxrec.models.encoders.base import Activities, Encoder, Encoding, Encodings, Mask, Valid
from jaxrec.models.encoders.mean import mean, running_mean
from jaxrec.models.lstm import LSTM


@dataclass(frozen=True)
class RecurrentConfig:
    """The LSTM of --encoder=rnn."""

    group: ClassVar = "rnn"
    layers: int = setting(1, 1, 16)
    """stacked LSTM layers"""

    def __post_init__(self) -> None:
        check(self)


class Recurrent(Encoder):
    """The output of the last LSTM, the last activity, and the mean of all, concatenated."""

    def __init__(self, width_in: int, units: int, config: RecurrentConfig, *, rngs: nnx.Rngs):
        self.width = units + 2 * width_in
        widths = [width_in] + [units] * (config.layers - 1)
        self.layers = nnx.List([LSTM(width, units, rngs=rngs) for width in widths])

    def encode_positions(
        self, activities_BLE: Activities, mask_BL: Mask, history_length: int
    ) -> Encodings:
        """Return the output after each activity, that activity, and the mean up to it."""
        outputs_BLH = activities_BLE
        for layer in self.layers:
            outputs_BLH = layer.encode_positions(outputs_BLH, mask_BL)
        means_BLE = running_mean(activities_BLE, mask_BL, history_length)
        return jnp.concatenate([outputs_BLH, activities_BLE, means_BLE], axis=-1)

    def encode_last(self, activities_BNE: Activities, valid_BN: Valid) -> Encoding:
        """Return the output after the last activity, that activity, and the mean of all."""
        valid_NB1 = jnp.swapaxes(valid_BN, 0, 1)[..., None]
        x_NBE = jnp.swapaxes(activities_BNE, 0, 1)
        for layer in self.layers[:-1]:
            x_NBE = layer.encode_history(x_NBE, valid_NB1, return_sequences=True)
        output_BH = self.layers[-1].encode_history(x_NBE, valid_NB1, return_sequences=False)
        mean_BE = mean(activities_BNE, valid_BN)
        return jnp.concatenate([output_BH, activities_BNE[:, -1], mean_BE], axis=-1)
