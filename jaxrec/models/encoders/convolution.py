"""CNN: causal convolutions with ReLU, then maxima over time (Tang and Wang, 2018, Caser)."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from jaxrec.config.fields import check, setting
from jaxrec.models.encoders.base import Activities, Encoder, Encoding, Encodings, Mask, Valid

# A maximum ignores order, so maxima over the last 1 and 3 positions are concatenated as well.
RECENT = (1, 3)


@dataclass(frozen=True)
class ConvolutionConfig:
    """The convolutions of --encoder=cnn."""

    group: ClassVar = "cnn"
    layers: int = setting(2, 1, 16)
    """stacked convolutions"""
    kernel_size: int = setting(3, 1, 100)
    """width of a convolution, in activities"""

    def __post_init__(self) -> None:
        check(self)


class Convolution(Encoder):
    """Stacked causal convolutions, then maxima over the last few positions and over all.

    A convolution is a matrix product with the concatenation of the last `kernel_size` positions.
    """

    def __init__(self, width_in: int, units: int, config: ConvolutionConfig, *, rngs: nnx.Rngs):
        self.kernel_size = config.kernel_size
        self.width = (len(RECENT) + 1) * units
        widths = [width_in] + [units] * (config.layers - 1)
        he_normal = nnx.initializers.he_normal()
        layer = partial(nnx.Linear, out_features=units, kernel_init=he_normal, rngs=rngs)
        self.convolutions = nnx.List([layer(self.kernel_size * width) for width in widths])

    def encode_positions(
        self, activities_BLE: Activities, mask_BL: Mask, history_length: int
    ) -> Encodings:
        """Return the maxima of the features up to each position.

        If a window is longer than `history_length`, the kernels at the start of a history read
        activities before it.
        """
        length = mask_BL.shape[1]
        x = activities_BLE
        for convolution in self.convolutions:
            padded = jnp.pad(x, ((0, 0), (self.kernel_size - 1, 0), (0, 0)))
            steps = [padded[:, offset : offset + length] for offset in range(self.kernel_size)]
            x = nnx.relu(convolution(jnp.concatenate(steps, axis=-1)))
            # Zero is the smallest value after a ReLU, so that padding does not change a maximum.
            x = jnp.where(mask_BL[..., None], x, 0)
        maxima = [
            _running_maximum(x, min(recent, history_length)) for recent in (*RECENT, history_length)
        ]
        return jnp.concatenate(maxima, axis=-1)

    def encode_last(self, activities_BNE: Activities, valid_BN: Valid) -> Encoding:
        """Return the maxima of the features of a history; each convolution is one CONV_2D."""
        valid_B1N1 = valid_BN[:, None, :, None]
        x = activities_BNE[:, None]
        for convolution in self.convolutions:
            kernel, bias = convolution.kernel[...], convolution.bias
            assert bias is not None
            x = jax.lax.conv_general_dilated(
                x,
                kernel.reshape(1, self.kernel_size, x.shape[-1], kernel.shape[1]),
                window_strides=(1, 1),
                padding=((0, 0), (self.kernel_size - 1, 0)),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
            x = nnx.relu(x + bias[...]) * valid_B1N1
        maxima = [jnp.max(x[:, 0, -recent:], axis=1) for recent in RECENT]
        return jnp.concatenate([*maxima, jnp.max(x[:, 0], axis=1)], axis=-1)


def _running_maximum(features_BLC: Encodings, window: int) -> Encodings:
    """Return the maximum over the last `window` positions at each; no feature is negative.

    The maximum of two overlapping or adjacent windows is that of their union: log2(window) steps.
    """
    window = min(window, features_BLC.shape[1])
    maxima_BLC, reach = features_BLC, 1
    while reach < window:
        step = min(reach, window - reach)
        earlier_BLC = jnp.pad(maxima_BLC, ((0, 0), (step, 0), (0, 0)))[:, :-step]
        maxima_BLC = jnp.maximum(maxima_BLC, earlier_BLC)
        reach += step
    return maxima_BLC
