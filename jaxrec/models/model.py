"""The model: activity embeddings, encoder, dense layers, and a dot product with every item."""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int

from jaxrec.models.activities import Activities, Vectors, mask_of
from jaxrec.models.context_features import ContextFeatures
from jaxrec.models.dropout import dropout
from jaxrec.models.heads import HEADS
from jaxrec.models.heads.head import Head
from jaxrec.models.items import ItemFeatures
from jaxrec.models.model_config import ModelConfig, make_encoder
from jaxrec.schema import ITEM, PAD, Owner, Schema

# Bias of PAD, below the score of any candidate, so that nothing else needs to exclude PAD. Finite,
# because infinities do not survive quantization.
PAD_BIAS = -1e9


class RecommenderModel(nnx.Module):
    """Scores every item as the next one of a history.

    `query @ item_table.T + item_bias`, where the query is the encoded history after dense layers
    and a projection to the item space, plus the embedding of the last activity. With this skip
    connection, training starts from the similarity of items and learns what differs. The query of
    an empty history is zero: its scores are the item bias, initialized to the log of popularity.

    Attributes:
        features: inputs beside the items: features of activities, users and moments.
    """

    def __init__(
        self,
        schema: Schema,
        config: ModelConfig,
        item_counts: Int[np.ndarray, " R"],
        *,
        rngs: nnx.Rngs,
    ):
        """Initialize the parameters.

        Args:
            schema: items and features; the query is as wide as an item embedding.
            config: encoder, widths, depths and dropout; a rate of None is zero.
            item_counts: number of training targets with each id.
            rngs: the stream `params`.
        """
        self.dropout_rate = config.dropout or 0.0
        owners: tuple[Owner, ...] = ("activity", "user", "moment")
        self.features = tuple(each for of in owners for each in schema.features_of(of))
        self.activities = Activities(schema, rngs=rngs)
        self.encoder = make_encoder(config, self.activities.width, rngs=rngs)
        self.context_features = ContextFeatures(schema, rngs=rngs)
        width = self.encoder.width + self.context_features.width
        widths = [width] + [config.hidden_units] * config.dense_layers
        he_normal = nnx.initializers.he_normal()
        layer = partial(nnx.Linear, out_features=widths[-1], kernel_init=he_normal, rngs=rngs)
        self.dense = nnx.List([layer(width) for width in widths[:-1]])
        self.projection = nnx.Linear(widths[-1], schema.width, rngs=rngs)
        if not config.tie_embeddings:
            # A copy, so that the skip connection scores similar items high here too.
            self.candidates = nnx.Param(jnp.copy(self.activities.tables[ITEM][...]))
        popularity = np.log((item_counts + 1) / (item_counts + 1).sum())  # one more: no log of 0
        popularity[PAD] = PAD_BIAS
        self.bias = nnx.Param(jnp.asarray(popularity, jnp.float32))
        features, middling = schema.features_of("item"), jnp.mean(self.item_bias[PAD + 1 :])
        self.item_features = (
            ItemFeatures(features, schema.width, middling, rngs=rngs) if features else None
        )

        self.head_names = tuple(spec.name for spec in schema.heads)
        for spec in schema.heads:
            head = HEADS[spec.name](spec, schema.items, schema.width, rngs=rngs)
            setattr(self, spec.name, head)

    @property
    def heads(self) -> dict[str, Head]:
        """The heads beside that of the next item, by name; each is an attribute of this name."""
        return {name: getattr(self, name) for name in self.head_names}

    @property
    def is_tied(self) -> bool:
        """True if histories and candidates share one item table."""
        return not hasattr(self, "candidates")

    @property
    def item_table(self) -> Float[jax.Array, "R D"]:
        """The embedding of each candidate; the histories' table where the two are tied."""
        return (self.activities.tables[ITEM] if self.is_tied else self.candidates)[...]

    @property
    def item_bias(self) -> Float[jax.Array, " R"]:
        """The score of each candidate after an empty history."""
        return self.bias[...]

    def encode_positions(
        self,
        history: Mapping[str, Int[jax.Array, "B *_"]],
        width: int,
        history_length: int,
        dropout_key: jax.Array | None = None,
    ) -> Float[jax.Array, "W B D"]:
        """Return the query at each of the last `width` positions of windows, for training.

        Args:
            history: ids of each feature of windows, [B, L], and of their users and moments.
            width: W, at most L.
            history_length: number of activities that a position reads, as in `encoders`.
            dropout_key: key for dropout; None drops nothing.
        """
        mask_BL, vectors = mask_of(history), self.look_up(history)
        keys = (None, None) if dropout_key is None else jax.random.split(dropout_key)
        activities_BLE = self.activities.combine(vectors, mask_BL)
        activities_BLE = dropout(activities_BLE, self.dropout_rate, keys[0])
        encoded_BLH = self.encoder.encode_positions(activities_BLE, mask_BL, history_length)
        encoded_BWH = dropout(encoded_BLH[:, -width:], self.dropout_rate, keys[1])
        # A history is empty until the first activity.
        is_filled_BW = (jnp.cumsum(mask_BL, axis=1) > 0)[:, -width:]
        encoded_WBH, last_WBD, is_filled_WB = (
            jnp.swapaxes(values, 0, 1)
            for values in (encoded_BWH, activities_BLE[:, -width:], is_filled_BW)
        )
        about_WBD = self.context_features.combine_positions(vectors, width)
        return self.project(encoded_WBH, last_WBD, is_filled_WB, about_WBD)

    def encode_last(self, history: Mapping[str, Int[jax.Array, "B *_"]]) -> Float[jax.Array, "B D"]:
        """Return the query of whole histories, activities at the right end; this is exported."""
        mask_BN, vectors = mask_of(history), self.look_up(history)
        activities_BNE = self.activities.combine(vectors, mask_BN)
        encoded_BH = self.encoder.encode_last(activities_BNE, mask_BN.astype(activities_BNE.dtype))
        about_BD = self.context_features.combine(vectors)
        return self.project(encoded_BH, activities_BNE[:, -1], jnp.any(mask_BN, axis=1), about_BD)

    def look_up(self, history: Mapping[str, Int[jax.Array, "B *_"]]) -> Vectors:
        """Return the embeddings of every feature except item features."""
        return {**self.activities.look_up(history), **self.context_features.look_up(history)}

    def project(
        self,
        encoded: Float[jax.Array, "*W B H"],
        last: Float[jax.Array, "*W B D"],
        is_filled: Bool[jax.Array, "*W B"],
        about: Float[jax.Array, "*W B D"] | None = None,
    ) -> Float[jax.Array, "*W B D"]:
        """Return the query of each encoding, in the item space.

        Args:
            encoded: the output of the encoder.
            last: the embedding of the last activity.
            is_filled: whether there is one; the query of an empty history is zero for any context
                features.
            about: the sum of the embeddings of the context features.
        """
        hidden = encoded if about is None else jnp.concatenate([encoded, about], axis=-1)
        for layer in self.dense:
            hidden = nnx.relu(layer(hidden))
        return jnp.where(is_filled[..., None], self.projection(hidden) + last, 0)

    def predict(
        self, head: str, query_BD: Float[jax.Array, "B D"], items_BM: Int[jax.Array, "B M"]
    ) -> dict[str, Float[jax.Array, "B M *_"]]:
        """Return the outputs of a head for M items after each of B histories."""
        predictor = self.heads[head]
        rows = predictor.rows(items_BM)
        logits = predictor.logits(query_BD[:, None], self.item_table[items_BM], rows)
        return predictor.predict(logits)

    def scores(self, query: Float[jax.Array, "*B D"]) -> Float[jax.Array, "*B R"]:
        """Return the score of every item; column PAD is lower than any of them."""
        return query @ self.item_table.T + self.item_bias
