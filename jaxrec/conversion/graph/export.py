"""Export of signatures to a float32 flatbuffer of builtin operations."""

import tempfile
from collections.abc import Sequence

from jaxrec.conversion.graph.placeholder_tables import PlaceholderTables, build_placeholders
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.conversion.graph.signatures import Signature, build_signatures, tf
from jaxrec.conversion.suppress_output import suppress_output
from jaxrec.models.adapter import AdaptConfig
from jaxrec.models.model import RecommenderModel


def export_model(
    model: RecommenderModel, shapes: Shapes, adapt: AdaptConfig | None = None
) -> bytes:
    """Convert all signatures of a model; the placeholders of its tables are freed on return.

    Args:
        adapt: settings of on-device adaptation; None: without it.
    """
    placeholders = build_placeholders(model)
    return export(build_signatures(placeholders, shapes, adapt), placeholders)


def export(signatures: Sequence[Signature], placeholders: PlaceholderTables) -> bytes:
    """Convert signatures to one flatbuffer, in which they share their constants.

    Args:
        placeholders: the model with placeholder tables that the signatures were built from.
    """
    module = tf.Module()
    functions = {each.name: _traceable(each) for each in signatures}
    vars(module).update(functions)
    with tempfile.TemporaryDirectory() as folder, suppress_output():
        concrete = {name: each.get_concrete_function() for name, each in functions.items()}
        tf.saved_model.save(module, folder, signatures=concrete)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        graph = converter.convert()
    return placeholders.restore_tables(graph)


def _traceable(signature: Signature) -> tf.types.experimental.PolymorphicFunction:
    def function(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        found = signature.function(dict(zip(signature.inputs, tensors, strict=True)))
        assert tuple(found) == signature.outputs, f"{signature.name} gives {tuple(found)}"
        return found

    return tf.function(function, list(signature.inputs.values()), autograph=False)
