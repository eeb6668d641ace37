"""Signatures: what a file offers, each a value with its name, inputs, function and outputs.

    recommend   a history -> ids int32 [B, k], scores float32 [B, k], best first
    encode      a history -> context float32 [B, D]
    score       a history, candidates int32 [B, M] -> scores float32 [B, M]
    vectors     items int32 [B, M] -> vectors float32 [B, M, D], biases float32 [B, M]
    rate        a history, candidates int32 [B, M] -> ratings float32 [B, M], at_least float32
                [B, M, K - 1], where the model has learned K different ratings

A history is `history` int32 [B, N], then the features of its activities, [B, N], and of its user
and the moment, [B], each by its name: int32 ids or seconds, or float32 numbers. The product of a
context with an item's vector, and its bias, are its score.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from convert.quiet import quiet

# Before the first import: TensorFlow's C++ half reads it once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with quiet():
    import tensorflow as tf
    from jax.experimental import jax2tf

import jax

from convert.build import device
from convert.build.shapes import Shapes
from convert.build.stand_ins import StandIns
from convert.inputs import as_history
from jaxrec.models.model import PAD_BIAS
from jaxrec.runtime.interpreter import CANDIDATES, HISTORY, ITEMS
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


def signatures(stand_ins: StandIns, shapes: Shapes) -> list[Signature]:
    """List what the file of a model offers; `recommend`, the one of who names none, comes first."""
    model, standing = stand_ins.model, stand_ins.standing
    rows = model.item_bias.shape[0]
    history = {HISTORY: _numbers(HISTORY, shapes.batch_size, shapes.history_length)}
    history |= {each.name: _values(each, shapes) for each in model.features}
    candidates = {CANDIDATES: _numbers(CANDIDATES, shapes.batch_size, shapes.candidates)}
    items = {ITEMS: _numbers(ITEMS, shapes.batch_size, shapes.candidates)}

    def encoded(inputs: Mapping[str, jax.Array]) -> jax.Array:
        return device.encode(standing(), as_history(inputs))

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
        scores = scores_tf({name: inputs[name] for name in history})
        return {"scores": pick_tf(scores, inputs[CANDIDATES])}

    def vectors(inputs: Tensors) -> dict[str, tf.Tensor]:
        return {"vectors": vectors_tf(inputs[ITEMS]), "biases": biases_tf(inputs[ITEMS])}

    rate_tf = _to_tensorflow(lambda inputs, ids: device.rate(standing(), encoded(inputs), ids))

    def rate(inputs: Tensors) -> dict[str, tf.Tensor]:
        told = {name: inputs[name] for name in history}
        ratings, at_least = rate_tf(told, inputs[CANDIDATES])
        return {"ratings": ratings, "at_least": at_least}

    found = [
        Signature("recommend", history, recommend, ("ids", "scores")),
        Signature("encode", history, encode, ("context",)),
        Signature("score", history | candidates, score, ("scores",)),
        Signature("vectors", items, vectors, ("vectors", "biases")),
    ]
    if model.rating is not None:
        found.append(Signature("rate", history | candidates, rate, ("ratings", "at_least")))
    return found


def _numbers(name: str, batch: int, length: int) -> tf.TensorSpec:
    return tf.TensorSpec((batch, length), tf.int32, name)


def _values(feature: Feature, shapes: Shapes) -> tf.TensorSpec:
    """Give the type and the shape of a feature's input."""
    length = (shapes.history_length,) if feature.of == "activity" else ()
    dtype = tf.float32 if feature.kind == "number" else tf.int32
    return tf.TensorSpec((shapes.batch_size, *length), dtype, feature.name)


def _to_tensorflow(function: Callable) -> Callable[..., tf.Tensor]:
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
