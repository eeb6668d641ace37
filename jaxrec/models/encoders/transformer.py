"""Transformer: attention with gated residuals, where distance is what lies between.

There is no table of positions. Each activity says by how much it fades, and what came before it,
for whoever comes after it (Lin et al., 2025, Forgetting Transformer): that is order, and time, if
an activity knows how long it was to the next one. Residuals are added as far as a gate lets them
(Borisyuk et al., 2024, LiGR). As beside an LSTM, the last activity and the mean of all stand beside
what was read.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float

from jaxrec.config.fields import check, setting
from jaxrec.errors import UserError
from jaxrec.models.encoders.contract import Activities, Encoder, Mask, Prefixes, There, Whole
from jaxrec.models.encoders.mean import mean, running_mean

Rows = Float[jax.Array, "*rows H"]

# Added to the logit of what must not be read. Finite: what may read nothing reads all alike, which
# nobody asks for, and its gradients are numbers.
_UNREAD = -1e9
# After how many activities the weights of the first head have halved when training starts, and
# those of the last one.
_HALF_LIVES = (2, 50)
# What a block gives has entries of about one, an activity has much smaller ones. If the model began
# with the large ones, the scores of all items would be large and random; the first steps would
# unlearn them by shrinking the items' vectors, and training would stay at popularity.
_FIRST_SCALE = 0.1
_EPSILON = 1e-6
# Of a sum along a history.
_PIECE = 16


@dataclass(frozen=True)
class TransformerConfig:
    """The attention of --encoder=transformer."""

    group: ClassVar = "transformer"
    blocks: int = setting(2, 1, 16)
    """blocks of attention on top of each other; one is the fastest on a device"""
    heads: int = setting(2, 1, 64)
    """heads of attention in a block, each of which reads --hidden-units / heads numbers"""

    def __post_init__(self) -> None:
        check(self)


class Transformer(Encoder):
    """What the last of some blocks says of the last activity, that activity and the mean of all."""

    def __init__(self, width_in: int, units: int, config: TransformerConfig, *, rngs: nnx.Rngs):
        if units % config.heads:
            raise UserError(
                f"--hidden-units={units} cannot be divided by --transformer.heads={config.heads}; "
                "give a multiple"
            )
        self.width = units + 2 * width_in
        self.projection = nnx.Linear(width_in, units, use_bias=False, rngs=rngs)
        self.blocks = nnx.List(
            [Block(units, config.heads, rngs=rngs) for _ in range(config.blocks)]
        )
        self.scale = nnx.Param(jnp.full(units, _FIRST_SCALE))

    def encode_positions(self, activities_BLE: Activities, mask_BL: Mask, span: int) -> Prefixes:
        """Read the last `span` from each position; a block on another reads what that one read."""
        length = mask_BL.shape[1]
        band_LL = np.tri(length, dtype=bool) & ~np.tri(length, k=-span, dtype=bool)
        is_read_BLL = mask_BL[:, None, :] & jnp.asarray(band_LL)
        # As rows: XLA takes twice as long for the gradient of a kernel over two axes.
        x_nH = self.projection(activities_BLE.reshape(-1, activities_BLE.shape[-1]))
        x_BLH = x_nH.reshape(*mask_BL.shape, -1)
        for block in self.blocks:
            x_BLH = block.encode_positions(x_BLH, mask_BL.astype(x_BLH.dtype), is_read_BLL)
        read_BLH = norm(x_BLH) * self.scale[...]
        means_BLE = running_mean(activities_BLE, mask_BL, span)
        return jnp.concatenate([read_BLH, activities_BLE, means_BLE], axis=-1)

    def encode_last(self, activities_BNE: Activities, there_BN: There) -> Whole:
        """Read the history; the last block from the last position alone."""
        x_BNH = self.projection(activities_BNE)
        unread_BN = (1 - there_BN) * _UNREAD
        if len(self.blocks) > 1:
            # Made of an input, for a constant of N x N would be in the file.
            met_BN = jnp.cumsum(there_BN, axis=1)
            later_BNN = jnp.maximum(met_BN[:, None, :] - met_BN[:, :, None], 0)
            unread_BNN = later_BNN * _UNREAD + unread_BN[:, None, :]
            for block in self.blocks[:-1]:
                x_BNH = block.every(x_BNH, unread_BNN)
        read_BH = norm(self.blocks[-1].last(x_BNH, unread_BN)) * self.scale[...]
        mean_BE = mean(activities_BNE, there_BN)
        return jnp.concatenate([read_BH, activities_BNE[:, -1], mean_BE], axis=-1)


class Block(nnx.Module):
    """Attention, then a feed-forward layer with SwiGLU (Shazeer, 2020), each behind a gate."""

    def __init__(self, width: int, heads: int, *, rngs: nnx.Rngs):
        self.heads = heads
        plain = partial(nnx.Linear, width, width, use_bias=False, rngs=rngs)
        biased = partial(nnx.Linear, width, width, rngs=rngs)
        # A bias of the keys would fall out of the softmax, one of the values be one of the output.
        self.query, self.key, self.value = biased(), plain(), plain()
        self.output, self.output_gate = biased(), biased()
        self.up, self.up_gate = biased(), biased()
        self.down, self.down_gate = biased(), biased()
        fades = np.log(2) / np.geomspace(*_HALF_LIVES, heads)
        logits = jnp.asarray(np.log(fades / (1 - fades)), jnp.float32)
        self.fade = nnx.Linear(width, heads, bias_init=lambda *_: logits, rngs=rngs)

    def encode_positions(
        self,
        x_BLH: Prefixes,
        there_BL: There,
        is_read_BLL: Bool[jax.Array, "B L L"],
    ) -> Prefixes:
        """Read from each position what it may."""
        x_nH = x_BLH.reshape(-1, x_BLH.shape[-1])
        n_nH = norm(x_nH)
        by_head = (*is_read_BLL.shape[:2], self.heads, -1)
        fades_BLA1 = nnx.sigmoid(self.fade(n_nH)).reshape(by_head) * there_BL[..., None, None]
        # What has faded before an activity tells as much as what has since, and nothing of what
        # comes later. As a product: a cumulative sum is slow on CPUs.
        before_LL = np.tri(by_head[1], k=-1, dtype=np.float32)
        faded_BA1L = jnp.einsum("kl,blax->baxk", before_LL, fades_BLA1)
        query, key, value = (
            layer(n_nH).reshape(by_head) for layer in (self.query, self.key, self.value)
        )
        logits = jnp.einsum("bqad,bkad->baqk", query * query.shape[-1] ** -0.5, key) + faded_BA1L
        weights = jax.nn.softmax(jnp.where(is_read_BLL[:, None], logits, _UNREAD))
        found_nH = jnp.einsum("baqk,bkad->bqad", weights, value).reshape(n_nH.shape)
        return self._add(x_nH, n_nH, found_nH).reshape(x_BLH.shape)

    def every(self, x_BNH: Activities, unread_BNN: Float[jax.Array, "B N N"]) -> Activities:
        """Read the history from each position."""
        n_BNH = norm(x_BNH)
        by_head = (*x_BNH.shape[:2], self.heads, -1)
        query, key, value = (
            jnp.swapaxes(layer(n_BNH).reshape(by_head), 1, 2)
            for layer in (self.query, self.key, self.value)
        )
        logits = (query * query.shape[-1] ** -0.5) @ jnp.swapaxes(key, 2, 3)
        logits += unread_BNN[:, None] - self._faded(n_BNH)[:, :, None]
        found = jnp.swapaxes(jax.nn.softmax(logits) @ value, 1, 2)
        return self._add(x_BNH, n_BNH, found.reshape(x_BNH.shape))

    def last(self, x_BNH: Activities, unread_BN: There) -> Whole:
        """Read the history from the last position, without a key or a value of any position.

        The product of a query with a key is that of the query's own with the position, and the sum
        of values is the value of a sum. A head is zeros in the place of the others.
        """
        n_BNH = norm(x_BNH)
        width = x_BNH.shape[-1] // self.heads
        own_AH = np.kron(np.eye(self.heads, dtype=np.float32), np.ones(width, np.float32))
        query_BAH = self.query(n_BNH[:, -1])[:, None] * (own_AH * width**-0.5)
        query_BAH = query_BAH @ self.key.kernel[...].T
        logits_BAN = query_BAH @ jnp.swapaxes(n_BNH, 1, 2) - self._faded(n_BNH)
        weights_BAN = jax.nn.softmax(logits_BAN + unread_BN[:, None])
        found_BH = jnp.sum(self.value(weights_BAN @ n_BNH) * own_AH, axis=1)
        return self._add(x_BNH[:, -1], n_BNH[:, -1], found_BH)

    def _faded(self, n_BNH: Activities) -> Float[jax.Array, "B A N"]:
        """Give how much each position has faded at the end, by head.

        What has faded since a query is the same for all that it reads, and falls out of its
        softmax. Added up from the end, the sums keep most digits where most is read. They are
        turned around by hand: a reverse sum becomes an operation that is slow on devices.
        """
        fades_BNA = nnx.sigmoid(self.fade(n_BNH))
        faded_BNA = jnp.flip(running_sum(jnp.flip(fades_BNA, axis=1)), axis=1)
        return jnp.swapaxes(faded_BNA, 1, 2)

    def _add(self, x: Rows, normed: Rows, found: Rows) -> Rows:
        """Add what was found, and what the feed-forward layer makes of it."""
        x += nnx.sigmoid(self.output_gate(normed)) * self.output(found)
        normed = norm(x)
        up = nnx.silu(self.up_gate(normed)) * self.up(normed)
        return x + nnx.sigmoid(self.down_gate(normed)) * self.down(up)


def running_sum(x_BNA: Float[jax.Array, "B N A"]) -> Float[jax.Array, "B N A"]:
    """Add up along the second axis; a long one in pieces, and then the pieces.

    A device adds one by one. What is nearly the same each time is then rounded the same way each
    time, and after 200 times that is seen in the scores.
    """
    batch, length, width = x_BNA.shape
    if length <= 2 * _PIECE:
        return jnp.cumsum(x_BNA, axis=1)
    pieces = -(-length // _PIECE)
    padded = jnp.pad(x_BNA, ((0, 0), (0, pieces * _PIECE - length), (0, 0)))
    within = jnp.cumsum(padded.reshape(batch, pieces, _PIECE, width), axis=2)
    sums = within[:, :, -1:]
    before = jnp.cumsum(sums, axis=1) - sums
    return (before + within).reshape(batch, -1, width)[:, :length]


def norm(x: Rows) -> Rows:
    """Give vectors the same length (Zhang and Sennrich, 2019, RMSNorm); zeros stay zeros.

    Without weights: each matrix behind it has its own.
    """
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + _EPSILON)
