"""Export of signatures to a float32 flatbuffer of builtin operations."""

import tempfile
from collections.abc import Sequence

from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.conversion.graph.signatures import Signature, signatures, tf
from jaxrec.conversion.graph.stand_ins import StandIns, stand_in
from jaxrec.conversion.quiet import quiet
from jaxrec.models.adapter import AdaptConfig
from jaxrec.models.model import RecommenderModel


def export_model(
    model: RecommenderModel, shapes: Shapes, adapt: AdaptConfig | None = None
) -> bytes:
    """Convert all signatures of a model; the placeholders of its tables are freed on return.

    Args:
        adapt: settings of on-device adaptation; None: without it.
    """
    stand_ins = stand_in(model)
    return export(signatures(stand_ins, shapes, adapt), stand_ins)


def export(offered: Sequence[Signature], stand_ins: StandIns) -> bytes:
    """Convert signatures to one flatbuffer, in which they share their constants.

    Args:
        stand_ins: the model with placeholder tables that the signatures were built from.
    """
    module = tf.Module()
    functions = {each.name: _traceable(each) for each in offered}
    vars(module).update(functions)
    with tempfile.TemporaryDirectory() as folder, quiet():
        concrete = {name: each.get_concrete_function() for name, each in functions.items()}
        tf.saved_model.save(module, folder, signatures=concrete)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        graph = converter.convert()
    return stand_ins.put_back(graph)


def _traceable(signature: Signature) -> tf.types.experimental.PolymorphicFunction:
    def function(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        found = signature.function(dict(zip(signature.inputs, tensors, strict=True)))
        assert tuple(found) == signature.outputs, f"{signature.name} gives {tuple(found)}"
        return found

    return tf.function(function, list(signature.inputs.values()), autograph=False)
