"""The model: activities, encoder, dense layers, and a dot product with every item."""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int

from jaxrec.models.activities import Activities, Vectors, init_table, mask_of
from jaxrec.models.circumstances import Circumstances
from jaxrec.models.dropout import default_rate, dropout
from jaxrec.models.heads import HEADS
from jaxrec.models.heads.head import Head
from jaxrec.models.items import ItemFeatures, ItemIds
from jaxrec.models.model_config import ModelConfig, make_encoder
from jaxrec.schema import ITEM, PAD, Owner, Schema

# PAD's score. No candidate is ever worse, so that nothing else needs to leave PAD out; finite,
# because infinities do not survive quantization.
PAD_BIAS = -1e9


class RecommenderModel(nnx.Module):
    """Scores every item as what comes after a history.

    `context @ item_table.T + item_bias`, where the context is the encoded history after dense
    layers and a linear projection to the item space. An empty history has the context zero, so
    that its scores are the item bias; the bias starts as the log of the items' popularity.

    Attributes:
        features: what it is told beside the items, of activities, users and moments.
    """

    def __init__(
        self,
        schema: Schema,
        config: ModelConfig,
        item_counts: Int[np.ndarray, " R"],
        *,
        rngs: nnx.Rngs,
    ):
        """Draw the parameters.

        Args:
            schema: items and features; the context is as wide as an item's vector.
            config: encoder, widths, depths, dropout.
            item_counts: how often each id is a training target.
            rngs: the stream `params`.
        """
        asked = config.dropout
        self.dropout_rate = default_rate(item_counts) if asked is None else asked
        owners: tuple[Owner, ...] = ("activity", "user", "moment")
        self.features = tuple(each for of in owners for each in schema.features_of(of))
        self.activities = Activities(schema, rngs=rngs)
        self.encoder = make_encoder(config, self.activities.width, rngs=rngs)
        self.circumstances = Circumstances(schema, rngs=rngs)
        width = self.encoder.width + self.circumstances.width
        widths = [width] + [config.hidden_units] * config.dense_layers
        he_normal = nnx.initializers.he_normal()
        layer = partial(nnx.Linear, out_features=widths[-1], kernel_init=he_normal, rngs=rngs)
        self.dense = nnx.List([layer(width) for width in widths[:-1]])
        self.projection = nnx.Linear(widths[-1], schema.width, rngs=rngs)
        if not config.tie_embeddings:
            self.candidates = nnx.Param(init_table(rngs.params(), schema.items, schema.width))
        popularity = np.log((item_counts + 1) / (item_counts + 1).sum())
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
        """What is predicted beside the next item, each an attribute by its name."""
        return {name: getattr(self, name) for name in self.head_names}

    @property
    def is_tied(self) -> bool:
        """Whether histories and candidates share one table of items."""
        return not hasattr(self, "candidates")

    @property
    def item_table(self) -> Float[jax.Array, "R D"]:
        """The vector of each candidate; the histories' own table when the two are tied."""
        return (self.activities.tables[ITEM] if self.is_tied else self.candidates)[...]

    @property
    def item_bias(self) -> Float[jax.Array, " R"]:
        """The score of each candidate after an empty history."""
        return self.bias[...]

    def fold(
        self, item_ids: ItemIds, is_own_kept_R: Bool[jax.Array, " R"] | None = None
    ) -> "RecommenderModel":
        """Add what the features of items say to the tables of items, and forget the features.

        Args:
            item_ids: the values of each item, by feature.
            is_own_kept_R: an item without its own vector and bias has those of its features; None
                leaves each its own.

        Returns:
            This model, changed.
        """
        if self.item_features is None:
            return self
        features_RD = self.item_features.vectors(item_ids)
        tables = [self.activities.tables[ITEM], *([] if self.is_tied else [self.candidates])]
        for table in tables:
            own_RD = table[...]
            if is_own_kept_R is not None:
                own_RD = jnp.where(is_own_kept_R[:, None], own_RD, 0)
            table[...] = own_RD + features_RD
        if is_own_kept_R is not None:
            keeps_R = is_own_kept_R.at[PAD].set(True)
            biases_R = self.item_features.item_biases(item_ids)
            self.bias[...] = jnp.where(keeps_R, self.item_bias, biases_R)
        self.item_features = None
        return self

    def append(self, item_ids: ItemIds, boost: float = 0.0) -> "RecommenderModel":
        """Add items behind the others that are known by their features alone; forget the features.

        Args:
            item_ids: the values of all items, old and new.
            boost: what is added to the scores of the new ones.

        Returns:
            This model, changed.
        """
        old = self.item_bias.shape[0]
        size = len(next(iter(item_ids.values())))
        more = ((0, size - old), (0, 0))
        tables = self.activities.tables
        tables[ITEM] = nnx.Param(jnp.pad(tables[ITEM][...], more))
        if not self.is_tied:
            self.candidates = nnx.Param(jnp.pad(self.candidates[...], more))
        self.bias = nnx.Param(jnp.pad(self.item_bias, more[0]))
        for head in self.heads.values():
            for name in head.item_parameters:
                setattr(head, name, nnx.Param(jnp.pad(getattr(head, name)[...], more[0])))
        self.fold(item_ids, jnp.arange(size) < old)
        self.bias[...] = self.item_bias.at[old:].add(boost)
        return self

    def look_up(self, history: Mapping[str, Int[jax.Array, "B *_"]]) -> Vectors:
        """Give the vectors of each feature but those of items."""
        return {**self.activities.look_up(history), **self.circumstances.look_up(history)}

    def contexts(
        self,
        vectors: Vectors,
        mask_BL: Bool[jax.Array, "B L"],
        count: int,
        span: int,
        dropout_key: jax.Array | None = None,
    ) -> Float[jax.Array, "W B D"]:
        """Encode what ends at each of the last `count` positions, with dropout if there is a key.

        Args:
            vectors: of the features of windows of activities, their users and moments.
            mask_BL: where there is an activity.
            count: W, L at the most.
            span: how far back an entry reads, as in `encoders`.
            dropout_key: for training.
        """
        keys = _split(dropout_key)
        activities_BLE = dropout(self.activities.join(vectors, mask_BL), self.dropout_rate, keys[0])
        encoded_BLH = self.encoder.prefixes(activities_BLE, mask_BL, span)
        encoded_BWH = dropout(encoded_BLH[:, -count:], self.dropout_rate, keys[1])
        # A prefix is empty until the first activity.
        is_filled_BW = (jnp.cumsum(mask_BL, axis=1) > 0)[:, -count:]
        encoded_WBH, is_filled_WB = (
            jnp.swapaxes(values, 0, 1) for values in (encoded_BWH, is_filled_BW)
        )
        about_WBD = self.circumstances.join_each(vectors, count)
        return self.project(encoded_WBH, is_filled_WB, about_WBD)

    def context(self, history: Mapping[str, Int[jax.Array, "B *_"]]) -> Float[jax.Array, "B D"]:
        """Encode whole histories, known activities at the right end, in their circumstances."""
        mask_BN, vectors = mask_of(history), self.look_up(history)
        activities_BNE = self.activities.join(vectors, mask_BN)
        encoded_BH = self.encoder.whole(activities_BNE, mask_BN.astype(activities_BNE.dtype))
        return self.project(encoded_BH, jnp.any(mask_BN, axis=1), self.circumstances.join(vectors))

    def project(
        self,
        encoded: Float[jax.Array, "*W B H"],
        is_filled: Bool[jax.Array, "*W B"],
        about: Float[jax.Array, "*W B D"] | None = None,
    ) -> Float[jax.Array, "*W B D"]:
        """Map encodings, and the vectors of the circumstances, to the item space.

        The context of a history that is not filled is zero, whatever the circumstances are.
        """
        hidden = encoded
        if about is not None:
            hidden = jnp.concatenate([encoded, about], axis=-1)
        for layer in self.dense:
            hidden = nnx.relu(layer(hidden))
        return jnp.where(is_filled[..., None], self.projection(hidden), 0)

    def predict(
        self, head: str, query_BD: Float[jax.Array, "B D"], items_BM: Int[jax.Array, "B M"]
    ) -> dict[str, Float[jax.Array, "B M *_"]]:
        """Return the outputs of a head for some items after some histories."""
        predictor = self.heads[head]
        rows = predictor.rows(items_BM)
        logits = predictor.logits(query_BD[:, None], self.item_table[items_BM], rows)
        return predictor.predict(logits)

    def scores(self, context: Float[jax.Array, "*B D"]) -> Float[jax.Array, "*B R"]:
        """Score every item; column PAD is lower than any of them."""
        return context @ self.item_table.T + self.item_bias


def _split(key: jax.Array | None) -> tuple[jax.Array | None, jax.Array | None]:
    """Give one key for each of the two places of dropout."""
    if key is None:
        return None, None
    first, second = jax.random.split(key)
    return first, second


def abstract_model(
    schema: Schema, config: ModelConfig
) -> tuple[nnx.GraphDef[RecommenderModel], nnx.State]:
    """Give the structure of a model and the shapes of its parameters, and draw nothing."""
    counts = np.zeros(schema.rows, np.int64)
    model = nnx.eval_shape(lambda: RecommenderModel(schema, config, counts, rngs=nnx.Rngs(0)))
    return nnx.split(model, nnx.Param)
