"""Export: from a model to a float32 flatbuffer with the signatures recommend, encode and score."""

import os
import tempfile
from collections.abc import Callable
from functools import partial

from convert.quiet import quiet

# Before the first import: TensorFlow's C++ half reads it once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with quiet():
    import tensorflow as tf
    from jax.experimental import jax2tf

import jax

from convert import device
from convert.shapes import Shapes
from jaxrec.models.recommender import PAD_BIAS, Recommender


def export(model: Recommender, shapes: Shapes) -> bytes:
    """Convert the model to a flatbuffer of builtin operations with three signatures.

    recommend: history int32 [B, N] -> ids int32 [B, k], scores float32 [B, k], best first
    encode: history -> context float32 [B, D]
    score: history, candidates int32 [B, M] -> scores float32 [B, M]
    """
    model = device.prepare(model)
    rows = model.item_bias.shape[0]
    history = tf.TensorSpec((shapes.batch_size, shapes.history_length), tf.int32, "history")
    candidates = tf.TensorSpec((shapes.batch_size, shapes.candidates), tf.int32, "candidates")

    encode_tf = _to_tensorflow(partial(device.encode, model))
    scores_tf = _to_tensorflow(lambda ids: model.scores(device.encode(model, ids)))
    known_tf = _to_tensorflow(lambda ids: device.known_or_pad(ids, rows))
    pick_tf = _to_tensorflow(device.pick)

    # jax.lax.top_k does not convert: TensorFlow reads an older StableHLO than JAX writes.
    def recommend(history: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = scores_tf(history)
        if not shapes.keep_seen:
            scores += _penalties(known_tf(history), rows, shapes)
        best, ids = tf.math.top_k(scores, shapes.top_k)
        return {"ids": ids, "scores": best}

    def encode(history: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"context": encode_tf(history)}

    def score(history: tf.Tensor, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": pick_tf(scores_tf(history), candidates)}

    return _to_flatbuffer(
        {
            "recommend": tf.function(recommend, [history], autograph=False),
            "encode": tf.function(encode, [history], autograph=False),
            "score": tf.function(score, [history, candidates], autograph=False),
        }
    )


def _penalties(ids_BN: tf.Tensor, rows: int, shapes: Shapes) -> tf.Tensor:
    """Give what lowers the scores of the items of each history as far as PAD's, [B, rows].

    A SCATTER_ND of zeros and one addition: JAX's own scatter into the scores takes twice as long.
    """
    batch, length = shapes.batch_size, shapes.history_length
    places_nn = ids_BN + rows * tf.range(batch)[:, None] if batch > 1 else ids_BN
    lowered_n = tf.fill((batch * length,), tf.constant(PAD_BIAS))
    penalties = tf.scatter_nd(tf.reshape(places_nn, (-1, 1)), lowered_n, (batch * rows,))
    return tf.reshape(penalties, (batch, rows))


def _to_tensorflow(function: Callable[..., jax.Array]) -> Callable[..., tf.Tensor]:
    return jax2tf.convert(function, with_gradient=False)


def _to_flatbuffer(functions: dict[str, tf.types.experimental.PolymorphicFunction]) -> bytes:
    """Convert functions to signatures of one file, which share their constants."""
    module = tf.Module()
    vars(module).update(functions)
    with tempfile.TemporaryDirectory() as folder, quiet():
        signatures = {name: each.get_concrete_function() for name, each in functions.items()}
        tf.saved_model.save(module, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        return converter.convert()
