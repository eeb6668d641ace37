"""Signatures: what a file offers, each a value with its name, inputs, function and outputs.

    recommend   a history -> ids int32 [B, k], scores float32 [B, k], best first
    encode      a history -> context float32 [B, D]
    score       a history, candidates int32 [B, M] -> scores float32 [B, M]
    vectors     items int32 [B, M] -> vectors float32 [B, M, D], biases float32 [B, M]
    adapt       activities int32 [1, M], weights float32 [1, M] -> adapter float32 [1, D], before
                float32 [1], after float32 [1]: what is learned of a user, and the loss on what was
                held back; where that was asked for

Each head of the model has one more, by the name that its class gives it:

    a history, candidates int32 [B, M] -> the outputs of the head, each float32 [B, M, ...]

A history is `history` int32 [B, N], then the features of its activities, [B, N], and of its user
and the moment, [B], each by its name: int32 ids or seconds, or float32 numbers. The product of a
context with an item's vector, and its bias, are its score. A file that learns takes `adapter`
too, float32 [B, D], in recommend, encode and score: it is added to the context, zeros change
nothing.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxrec.conversion.quiet import quiet

# Before the first import: TensorFlow's C++ half reads it once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with quiet():
    import tensorflow as tf
    from jax.experimental import jax2tf

import jax

from jaxrec.conversion.graph import device
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.conversion.graph.stand_ins import StandIns
from jaxrec.conversion.inputs import as_history
from jaxrec.models.adapter import AdaptConfig
from jaxrec.models.heads.head import Head
from jaxrec.models.model import PAD_BIAS
from jaxrec.runtime.interpreter import ACTIVITIES, ADAPTER, CANDIDATES, HISTORY, ITEMS, WEIGHTS
from jaxrec.schema import Feature

Tensors = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class Signature:
    """One way to call a file.

    Attributes:
        inputs: type and shape of each input, by name.
        function: from tensors by the names of the inputs to those of the outputs.
        outputs: their names.
    """

    name: str
    inputs: Mapping[str, tf.TensorSpec]
    function: Callable[[Tensors], dict[str, tf.Tensor]]
    outputs: tuple[str, ...]


def signatures(
    stand_ins: StandIns, shapes: Shapes, adapt: AdaptConfig | None = None
) -> list[Signature]:
    """List what the file of a model offers; `recommend`, the one of who names none, comes first.

    Args:
        adapt: how it learns of a user, if it shall.
    """
    model, standing = stand_ins.model, stand_ins.standing
    rows, width = model.item_table.shape
    history = {HISTORY: _numbers(HISTORY, shapes.batch_size, shapes.history_length)}
    history |= {each.name: _values(each, shapes) for each in model.features}
    told = history
    if adapt is not None:
        spec = tf.TensorSpec((shapes.batch_size, width), tf.float32, ADAPTER)
        told = history | {ADAPTER: spec}
    candidates = {CANDIDATES: _numbers(CANDIDATES, shapes.batch_size, shapes.candidates)}
    items = {ITEMS: _numbers(ITEMS, shapes.batch_size, shapes.candidates)}

    def encoded(inputs: Mapping[str, jax.Array]) -> jax.Array:
        history = {name: each for name, each in inputs.items() if name != ADAPTER}
        context = device.encode(standing(), as_history(history))
        return context + inputs[ADAPTER] if ADAPTER in inputs else context

    encode_tf = _to_tensorflow(encoded)
    scores_tf = _to_tensorflow(lambda inputs: standing().scores(encoded(inputs)))
    known_tf = _to_tensorflow(lambda ids: device.known_or_pad(ids, rows))
    pick_tf = _to_tensorflow(device.pick)
    vectors_tf = _to_tensorflow(lambda ids: device.vectors(standing(), ids))
    biases_tf = _to_tensorflow(lambda ids: device.biases(model, ids))

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
        scores = scores_tf({name: inputs[name] for name in told})
        return {"scores": pick_tf(scores, inputs[CANDIDATES])}

    def vectors(inputs: Tensors) -> dict[str, tf.Tensor]:
        return {"vectors": vectors_tf(inputs[ITEMS]), "biases": biases_tf(inputs[ITEMS])}

    def predictions(name: str, head: Head) -> Signature:
        outputs_tf = _to_tensorflow(
            lambda inputs, ids: device.predict(standing(), name, encoded(inputs), ids)
        )

        def predict(inputs: Tensors) -> dict[str, tf.Tensor]:
            found = outputs_tf({name: inputs[name] for name in history}, inputs[CANDIDATES])
            return {output: found[output] for output in head.outputs}

        # An adapter is learned of what a user takes, not of what heads predict.
        return Signature(head.signature, history | candidates, predict, head.outputs)

    found = [
        Signature("recommend", told, recommend, ("ids", "scores")),
        Signature("encode", told, encode, ("context",)),
        Signature("score", told | candidates, score, ("scores",)),
        Signature("vectors", items, vectors, ("vectors", "biases")),
    ]
    found += [predictions(name, head) for name, head in model.heads.items()]
    if adapt is not None:
        found.append(_learning(stand_ins, shapes, adapt))
    return found


def _learning(stand_ins: StandIns, shapes: Shapes, config: AdaptConfig) -> Signature:
    """Offer to learn of one user; batches are of servers."""
    activities = {
        ACTIVITIES: _numbers(ACTIVITIES, 1, config.activities),
        WEIGHTS: tf.TensorSpec((1, config.activities), tf.float32, WEIGHTS),
    }

    def learned(ids: jax.Array, weights: jax.Array) -> tuple[jax.Array, ...]:
        model, span = stand_ins.standing(), shapes.history_length
        return tuple(each[None] for each in device.adapt(model, ids[0], weights[0], span, config))

    learned_tf = _to_tensorflow(learned)

    def adapt(inputs: Tensors) -> dict[str, tf.Tensor]:
        adapter, before, after = learned_tf(inputs[ACTIVITIES], inputs[WEIGHTS])
        return {"adapter": adapter, "before": before, "after": after}

    return Signature("adapt", activities, adapt, ("adapter", "before", "after"))


def _numbers(name: str, batch: int, length: int) -> tf.TensorSpec:
    return tf.TensorSpec((batch, length), tf.int32, name)


def _values(feature: Feature, shapes: Shapes) -> tf.TensorSpec:
    """Give the type and the shape of a feature's input."""
    length = (shapes.history_length,) if feature.of == "activity" else ()
    dtype = tf.float32 if feature.kind == "number" else tf.int32
    return tf.TensorSpec((shapes.batch_size, *length), dtype, feature.name)


def _to_tensorflow(function: Callable) -> Callable[..., Any]:
    return jax2tf.convert(function, with_gradient=False)


def _penalties(ids_BN: tf.Tensor, rows: int, shapes: Shapes) -> tf.Tensor:
    """Give what lowers the scores of the items of each history as far as PAD's, [B, rows].

    A SCATTER_ND of zeros and one addition: JAX's own scatter into the scores takes twice as long.
    """
    batch, length = shapes.batch_size, shapes.history_length
    places_nn = ids_BN + rows * tf.range(batch)[:, None] if batch > 1 else ids_BN
    lowered_n = tf.fill((batch * length,), tf.constant(PAD_BIAS))
    penalties = tf.scatter_nd(tf.reshape(places_nn, (-1, 1)), lowered_n, (batch * rows,))
    return tf.reshape(penalties, (batch, rows))
