"""Encoders: a history of activities becomes one vector.

All have one contract, two views that a test proves equal:

    whole(activities_BLE, mask_BL) -> [B, H]            the history: the cheap graph that ships
    prefixes(activities_BLE, mask_BL, span) -> [B, L, H]   entry l encodes the history that ends at
                                                        l: one pass trains on L targets

A window of L activities may be longer than a history of `span`. The mean and the maximum of entry l
are then those of the last `span` activities; the LSTM reads on, and remembers what it likes.

`width` is H. Activities are zero where the mask is False. Padding on the left changes nothing, and
padding in the middle erases nothing (to the CNN it is a gap); a history of padding alone is encoded
as zero.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from jaxrec.config import EncoderName, ModelConfig
from jaxrec.models.lstm import LSTM

Activities = Float[jax.Array, "B L E"]
Mask = Bool[jax.Array, "B L"]
Prefixes = Float[jax.Array, "B L H"]
Whole = Float[jax.Array, "B H"]

_GROUP = 16


class BagOfWords(nnx.Module):
    """The mean of the activities, whatever their order."""

    def __init__(self, width: int):
        self.width = width

    def prefixes(self, activities_BLE: Activities, mask_BL: Mask, span: int) -> Prefixes:
        """Take running means, as one product with a band: a cumulative sum is slow on CPUs."""
        ones = jnp.ones((mask_BL.shape[1], mask_BL.shape[1]), activities_BLE.dtype)
        band = jnp.tril(ones) - jnp.tril(ones, -span)
        sums_BLE = jnp.einsum("pl,ble->bpe", band, activities_BLE)
        counts_BL = jnp.einsum("pl,bl->bp", band, mask_BL.astype(activities_BLE.dtype))
        return sums_BLE / jnp.maximum(counts_BL, 1)[..., None]

    def whole(self, activities_BLE: Activities, mask_BL: Mask) -> Whole:
        """Take the mean of the activities that are there."""
        counts_B = jnp.sum(mask_BL.astype(activities_BLE.dtype), axis=1)
        return _sum_over_time(activities_BLE) / jnp.maximum(counts_B, 1)[:, None]


def _sum_over_time(activities_BLE: Activities) -> Whole:
    """Add long histories up in groups: devices add one after the other, and lose a digit at 200."""
    batch, length, width = activities_BLE.shape
    if length <= _GROUP:
        return jnp.sum(activities_BLE, axis=1)
    padded = jnp.pad(activities_BLE, ((0, 0), (0, -length % _GROUP), (0, 0)))
    return jnp.sum(jnp.sum(padded.reshape(batch, -1, _GROUP, width), axis=2), axis=1)


class CNN(nnx.Module):
    """Causal convolutions with ReLU, then maxima over time (Tang and Wang, 2018, Caser).

    A maximum does not tell when; so that of the whole history stands beside those of its last few
    positions.
    """

    RECENT = (1, 3)

    def __init__(
        self, width_in: int, channels: int, layers: int, kernel_size: int, *, rngs: nnx.Rngs
    ):
        self.width = (len(self.RECENT) + 1) * channels
        self.kernel_size = kernel_size
        # A convolution is a product with the kernel_size last activities side by side.
        widths = [width_in] + [channels] * (layers - 1)
        self.convolutions = nnx.List(
            [
                nnx.Linear(
                    kernel_size * width,
                    channels,
                    kernel_init=nnx.initializers.he_normal(),
                    rngs=rngs,
                )
                for width in widths
            ]
        )

    def prefixes(self, activities_BLE: Activities, mask_BL: Mask, span: int) -> Prefixes:
        """Take the maxima of the features up to each position.

        Where a window is longer than `span`, the earliest of them see past a history's start.
        """
        features_BLC = self._features(activities_BLE, mask_BL)
        maxima = [
            _running_maximum(features_BLC, min(recent, span)) for recent in (*self.RECENT, span)
        ]
        return jnp.concatenate(maxima, axis=-1)

    def whole(self, activities_BLE: Activities, mask_BL: Mask) -> Whole:
        """Take the maxima of the features of a history."""
        return self.pool(self._features(activities_BLE, mask_BL))

    def pool(self, features_BLC: Float[jax.Array, "B L C"]) -> Whole:
        """Take the maxima over the last positions and over all, side by side."""
        maxima = [jnp.max(features_BLC[:, -recent:], axis=1) for recent in self.RECENT]
        return jnp.concatenate([*maxima, jnp.max(features_BLC, axis=1)], axis=-1)

    def _features(self, activities_BLE: Activities, mask_BL: Mask) -> Prefixes:
        """Convolve; zero, the least value after a ReLU, where there is no activity."""
        x = activities_BLE
        length = mask_BL.shape[1]
        for convolution in self.convolutions:
            padded = jnp.pad(x, ((0, 0), (self.kernel_size - 1, 0), (0, 0)))
            steps = [padded[:, offset : offset + length] for offset in range(self.kernel_size)]
            x = nnx.relu(convolution(jnp.concatenate(steps, axis=-1)))
            x = jnp.where(mask_BL[..., None], x, 0)
        return x


def _running_maximum(
    features_BLC: Float[jax.Array, "B L C"], span: int
) -> Float[jax.Array, "B L C"]:
    """Take the maximum over the last `span` positions up to each; none is negative.

    The maximum of two spans that overlap or touch is that of both: log2(span) steps.
    """
    span = min(span, features_BLC.shape[1])
    maxima_BLC, reach = features_BLC, 1
    while reach < span:
        step = min(reach, span - reach)
        earlier_BLC = jnp.pad(maxima_BLC, ((0, 0), (step, 0), (0, 0)))[:, :-step]
        maxima_BLC = jnp.maximum(maxima_BLC, earlier_BLC)
        reach += step
    return maxima_BLC


class RNN(nnx.Module):
    """LSTMs on top of each other (Hidasi et al., 2016, GRU4Rec, with an LSTM in place of a GRU).

    An LSTM must spend its memory on what a mean keeps for nothing; so the last activity and the
    mean of all stand beside its output.
    """

    def __init__(self, width_in: int, units: int, layers: int, *, rngs: nnx.Rngs):
        self.width = units + 2 * width_in
        widths = [width_in] + [units] * (layers - 1)
        self.layers = nnx.List([LSTM(width, units, rngs=rngs) for width in widths])
        self.mean = BagOfWords(width_in)

    def prefixes(self, activities_BLE: Activities, mask_BL: Mask, span: int) -> Prefixes:
        """Give the output after each activity, that activity and the mean up to it."""
        outputs_BLH = self._outputs(activities_BLE, mask_BL)
        means_BLE = self.mean.prefixes(activities_BLE, mask_BL, span)
        latest_BLE = _latest(activities_BLE, mask_BL)
        return jnp.concatenate([outputs_BLH, latest_BLE, means_BLE], axis=-1)

    def whole(self, activities_BLE: Activities, mask_BL: Mask) -> Whole:
        """Give the output after the last activity, that activity and the mean of all."""
        output_BH = self._outputs(activities_BLE, mask_BL)[:, -1]
        mean_BE = self.mean.whole(activities_BLE, mask_BL)
        latest_BE = _latest(activities_BLE, mask_BL)[:, -1]
        return jnp.concatenate([output_BH, latest_BE, mean_BE], axis=-1)

    def _outputs(self, activities_BLE: Activities, mask_BL: Mask) -> Prefixes:
        x = activities_BLE
        for layer in self.layers:
            x = layer(x, mask_BL)
        return x


def _latest(activities_BLE: Activities, mask_BL: Mask) -> Prefixes:
    """Give the last activity up to each position, over any padding behind it.

    As a product with zeros and ones: the gradient of an index is a scatter, which is slow on CPUs.
    """
    met_BL = jnp.cumsum(mask_BL, axis=1)
    takes_BLL = (met_BL[:, :, None] == met_BL[:, None, :]) & mask_BL[:, None, :]
    return takes_BLL.astype(activities_BLE.dtype) @ activities_BLE


Encoder = BagOfWords | CNN | RNN


def make_encoder(config: ModelConfig, width_in: int, *, rngs: nnx.Rngs) -> Encoder:
    """Build the encoder that the configuration names, for activities of `width_in`."""
    name: EncoderName = config.encoder
    if name == "bow":
        return BagOfWords(width_in)
    if name == "cnn":
        return CNN(width_in, config.hidden_units, config.conv_layers, config.kernel_size, rngs=rngs)
    return RNN(width_in, config.hidden_units, config.lstm_layers, rngs=rngs)
