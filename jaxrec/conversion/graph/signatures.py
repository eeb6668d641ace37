"""Signatures: the callable functions of a file, each with its name, inputs and outputs.

    recommend   a history -> ids int32 [B, k], scores float32 [B, k], best first
    encode      a history -> context float32 [B, D], the query
    score       a history, candidates int32 [B, M] -> scores float32 [B, M]
    vectors     items int32 [B, M] -> vectors float32 [B, M, D], biases float32 [B, M]
    adapt       activities int32 [1, M], weights float32 [1, M] -> adapter float32 [1, D], before
                float32 [1], after float32 [1]: the adapter of a user, and the loss on the held-out
                activities without and with it; only in a file with on-device adaptation

Each head of the model adds a signature, named by its class:

    a history, candidates int32 [B, M] -> the outputs of the head, each float32 [B, M, ...]

A history is `history` int32 [B, N], then the features of its activities, [B, N], and of its user
and the moment, [B], each by its name: int32 ids or seconds, or float32 numbers. The score of an
item is the dot product of the query and the item's vector, plus its bias. In a file with on-device
adaptation, recommend, encode and score also take `adapter` float32 [B, D], which is added to the
query; zeros change nothing.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxrec.conversion.suppress_output import suppress_output

# Set before the first import: TensorFlow's C++ runtime reads it once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with suppress_output():
    import tensorflow as tf
    from jax.experimental import jax2tf

import jax

from jaxrec.conversion.graph import device
from jaxrec.conversion.graph.placeholder_tables import PlaceholderTables
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.conversion.inputs import as_history
from jaxrec.models.adapter import AdaptConfig
from jaxrec.models.heads.head import Head
from jaxrec.models.model import PAD_BIAS
from jaxrec.runtime.interpreter import ACTIVITIES, ADAPTER, CANDIDATES, HISTORY, ITEMS, WEIGHTS
from jaxrec.schema import Feature

Tensors = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class Signature:
    """A callable function of a file.

    Attributes:
        inputs: dtype and shape of each input, by name.
        function: maps input tensors by name to output tensors by name.
        outputs: names of the outputs.
    """

    name: str
    inputs: Mapping[str, tf.TensorSpec]
    function: Callable[[Tensors], dict[str, tf.Tensor]]
    outputs: tuple[str, ...]


def build_signatures(
    placeholders: PlaceholderTables, shapes: Shapes, adapt: AdaptConfig | None = None
) -> list[Signature]:
    """Return the signatures of a model's file, the default signature `recommend` first.

    Args:
        adapt: settings of on-device adaptation; None: without it.
    """
    model, placeholder_model = placeholders.model, placeholders.placeholder_model
    rows, width = model.item_table.shape
    history = {HISTORY: _ids_spec(HISTORY, shapes.batch_size, shapes.history_length)}
    history |= {each.name: _feature_spec(each, shapes) for each in model.features}
    query_inputs = history
    if adapt is not None:
        spec = tf.TensorSpec((shapes.batch_size, width), tf.float32, ADAPTER)
        query_inputs = history | {ADAPTER: spec}
    candidates = {CANDIDATES: _ids_spec(CANDIDATES, shapes.batch_size, shapes.candidates)}
    items = {ITEMS: _ids_spec(ITEMS, shapes.batch_size, shapes.candidates)}

    def compute_queries(inputs: Mapping[str, jax.Array]) -> jax.Array:
        history = {name: each for name, each in inputs.items() if name != ADAPTER}
        query = device.encode(placeholder_model(), as_history(history))
        return query + inputs[ADAPTER] if ADAPTER in inputs else query

    encode_tf = _to_tensorflow(compute_queries)
    scores_tf = _to_tensorflow(lambda inputs: placeholder_model().scores(compute_queries(inputs)))
    known_tf = _to_tensorflow(lambda ids: device.known_or_pad(ids, rows))
    gather_tf = _to_tensorflow(device.gather_candidates)
    vectors_tf = _to_tensorflow(lambda ids: device.item_embeddings(placeholder_model(), ids))
    biases_tf = _to_tensorflow(lambda ids: device.item_biases(model, ids))

    # jax.lax.top_k does not convert: TensorFlow reads an older StableHLO than JAX writes.
    def recommend(inputs: Tensors) -> dict[str, tf.Tensor]:
        scores = scores_tf(inputs)
        if not shapes.keep_seen:
            scores += _penalties(known_tf(inputs[HISTORY]), rows, shapes)
        best, ids = tf.math.top_k(scores, shapes.top_k)
        return {"ids": ids, "scores": best}

    def encode(inputs: Tensors) -> dict[str, tf.Tensor]:
        return {"context": encode_tf(inputs)}

    def score(inputs: Tensors) -> dict[str, tf.Tensor]:
        scores = scores_tf({name: inputs[name] for name in query_inputs})
        return {"scores": gather_tf(scores, inputs[CANDIDATES])}

    def vectors(inputs: Tensors) -> dict[str, tf.Tensor]:
        return {"vectors": vectors_tf(inputs[ITEMS]), "biases": biases_tf(inputs[ITEMS])}

    def predictions(name: str, head: Head) -> Signature:
        outputs_tf = _to_tensorflow(
            lambda inputs, ids: device.predict(
                placeholder_model(), name, compute_queries(inputs), ids
            )
        )

        def predict(inputs: Tensors) -> dict[str, tf.Tensor]:
            found = outputs_tf({name: inputs[name] for name in history}, inputs[CANDIDATES])
            return {output: found[output] for output in head.outputs}

        # No adapter: it is learned from the user's items, not from the labels of heads.
        return Signature(head.signature, history | candidates, predict, head.outputs)

    found = [
        Signature("recommend", query_inputs, recommend, ("ids", "scores")),
        Signature("encode", query_inputs, encode, ("context",)),
        Signature("score", query_inputs | candidates, score, ("scores",)),
        Signature("vectors", items, vectors, ("vectors", "biases")),
    ]
    found += [predictions(name, head) for name, head in model.heads.items()]
    if adapt is not None:
        found.append(_adapt_signature(placeholders, shapes, adapt))
    return found


def _adapt_signature(
    placeholders: PlaceholderTables, shapes: Shapes, config: AdaptConfig
) -> Signature:
    """Return the signature `adapt`, of a single user: only servers use batches."""
    activities = {
        ACTIVITIES: _ids_spec(ACTIVITIES, 1, config.activities),
        WEIGHTS: tf.TensorSpec((1, config.activities), tf.float32, WEIGHTS),
    }

    def compute_adapter(ids: jax.Array, weights: jax.Array) -> tuple[jax.Array, ...]:
        model, history_length = placeholders.placeholder_model(), shapes.history_length
        return tuple(
            each[None] for each in device.adapt(model, ids[0], weights[0], history_length, config)
        )

    adapt_tf = _to_tensorflow(compute_adapter)

    def adapt(inputs: Tensors) -> dict[str, tf.Tensor]:
        adapter, before, after = adapt_tf(inputs[ACTIVITIES], inputs[WEIGHTS])
        return {"adapter": adapter, "before": before, "after": after}

    return Signature("adapt", activities, adapt, ("adapter", "before", "after"))


def _ids_spec(name: str, batch: int, length: int) -> tf.TensorSpec:
    return tf.TensorSpec((batch, length), tf.int32, name)


def _feature_spec(feature: Feature, shapes: Shapes) -> tf.TensorSpec:
    """Return dtype and shape of a feature's input."""
    length = (shapes.history_length,) if feature.of == "activity" else ()
    dtype = tf.float32 if feature.kind == "number" else tf.int32
    return tf.TensorSpec((shapes.batch_size, *length), dtype, feature.name)


def _to_tensorflow(function: Callable) -> Callable[..., Any]:
    return jax2tf.convert(function, with_gradient=False)


def _penalties(ids_BN: tf.Tensor, rows: int, shapes: Shapes) -> tf.Tensor:
    """Return the terms that lower the scores of each history's items to PAD's, [B, rows].

    SCATTER_ND into zeros and one addition: JAX's own scatter into the scores takes twice as long.
    """
    batch, length = shapes.batch_size, shapes.history_length
    places_nn = ids_BN + rows * tf.range(batch)[:, None] if batch > 1 else ids_BN
    lowered_n = tf.fill((batch * length,), tf.constant(PAD_BIAS))
    penalties = tf.scatter_nd(tf.reshape(places_nn, (-1, 1)), lowered_n, (batch * rows,))
    return tf.reshape(penalties, (batch, rows))
