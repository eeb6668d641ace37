"""Export of a model by litert-converter, from the StableHLO of `jax.export`, without TensorFlow.

The four signatures of every file, of models without features and heads. Two things need help:
SCATTER_ND, to which no operation of JAX converts, is a custom call that is replaced in the module;
and loops are outlined here.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from litert_converter.mlir import ir
from litert_converter.mlir._mlir_libs import converter_api_ext as converter
from litert_converter.mlir.passmanager import PassManager

from experiments.studies.converter.outline_loops import outline_loops
from jaxrec.conversion.graph import device
from jaxrec.conversion.graph.placeholder_tables import build_placeholders
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.conversion.inputs import as_history
from jaxrec.conversion.suppress_output import suppress_output
from jaxrec.models.model import PAD_BIAS, RecommenderModel
from jaxrec.runtime.interpreter import CANDIDATES, HISTORY, ITEMS

SCATTER_ND = "tfl.scatter_nd"
Arrays = Mapping[str, jax.Array]
# The inputs of a signature, and its function from inputs to outputs, by name.
Signature = tuple[Mapping[str, jax.ShapeDtypeStruct], Callable[[Arrays], dict[str, jax.Array]]]


def export_by_litert(model: RecommenderModel, shapes: Shapes) -> bytes:
    """Convert the signatures of a model to one flatbuffer, in which they share their constants."""
    placeholders = build_placeholders(model)
    signatures = build_signatures(placeholders.model, placeholders.placeholder_model, shapes)
    return placeholders.restore_tables(convert_signatures(signatures))


def build_signatures(
    model: RecommenderModel, placeholder_model: Callable[[], RecommenderModel], shapes: Shapes
) -> dict[str, Signature]:
    """Return the signatures of a model by name."""
    rows = model.item_table.shape[0]
    history = {HISTORY: _ids(shapes.batch_size, shapes.history_length)}
    candidates = {CANDIDATES: _ids(shapes.batch_size, shapes.candidates)}
    items = {ITEMS: _ids(shapes.batch_size, shapes.candidates)}

    def compute_queries(inputs: Arrays) -> jax.Array:
        return device.encode(placeholder_model(), as_history({HISTORY: inputs[HISTORY]}))

    def compute_scores(inputs: Arrays) -> jax.Array:
        return placeholder_model().scores(compute_queries(inputs))

    def recommend(inputs: Arrays) -> dict[str, jax.Array]:
        scores = compute_scores(inputs)
        if not shapes.keep_seen:
            scores += seen_penalties(inputs[HISTORY], rows)
        best, ids = jax.lax.top_k(scores, shapes.top_k)
        return {"ids": ids, "scores": best}

    def encode(inputs: Arrays) -> dict[str, jax.Array]:
        return {"context": compute_queries(inputs)}

    def score(inputs: Arrays) -> dict[str, jax.Array]:
        return {"scores": device.gather_candidates(compute_scores(inputs), inputs[CANDIDATES])}

    def vectors(inputs: Arrays) -> dict[str, jax.Array]:
        ids = inputs[ITEMS]
        embeddings = device.item_embeddings(placeholder_model(), ids)
        return {"vectors": embeddings, "biases": device.item_biases(model, ids)}

    return {
        "recommend": (history, recommend),
        "encode": (history, encode),
        "score": (history | candidates, score),
        "vectors": (items, vectors),
    }


def seen_penalties(ids_BN: Int[jax.Array, "B N"], rows: int) -> Float[jax.Array, "B R"]:
    """Return the terms that lower the scores of each history's items to PAD's."""
    batch, length = ids_BN.shape
    firsts_B1 = rows * np.arange(batch, dtype=np.int32)[:, None]
    places_n1 = (device.known_or_pad(ids_BN, rows) + firsts_B1).reshape(-1, 1)
    scatter = jax.ffi.ffi_call(SCATTER_ND, jax.ShapeDtypeStruct((batch * rows,), jnp.float32))
    lowered_n = np.full(batch * length, PAD_BIAS, np.float32)
    return scatter(places_n1, lowered_n, np.array([batch * rows], np.int32)).reshape(batch, rows)


def convert_signatures(signatures: Mapping[str, Signature]) -> bytes:
    """Convert signatures to one flatbuffer of builtin operations."""
    with suppress_output(), ir.Context() as context:
        converter.prepare_mlir_context(context)
        modules = [_convert(name, *each) for name, each in signatures.items()]
        merged = converter.merge_modules(modules)
        # What a converted operation was composed of is a subgraph that nothing calls.
        PassManager.parse("builtin.module(symbol-dce)").run(merged.operation)
        return converter.export_flatbuffer_to_bytes(merged.operation)


def _convert(
    name: str,
    inputs: Mapping[str, jax.ShapeDtypeStruct],
    function: Callable[[Arrays], dict[str, jax.Array]],
) -> ir.Module:
    """Convert a signature to a module whose one public function has the name of the signature."""

    def of_arrays(*arrays: jax.Array) -> tuple[jax.Array, ...]:
        found = function(dict(zip(inputs, arrays, strict=True)))
        return tuple(found[name] for name in outputs)

    outputs = list(jax.eval_shape(function, dict(inputs)))
    exported = jax.export.export(
        jax.jit(of_arrays, keep_unused=True),
        platforms=["cpu"],
        disabled_checks=[jax.export.DisabledSafetyCheck.custom_call(SCATTER_ND)],
    )(*inputs.values())
    module = ir.Module.parse(exported.mlir_module())
    module.operation.walk(_replace_custom_call)
    converter.set_signature(module.operation, name, list(inputs), outputs)
    converter.run_convert_to_tfl_passes(module, PassManager(), converter.ConvertToTFLConfig())
    outline_loops(module, name)
    for each in module.body.operations:
        if each.attributes["sym_name"].value == "main":
            each.attributes["sym_name"] = ir.StringAttr.get(name)
    return module


def _replace_custom_call(operation: Any) -> ir.WalkResult:
    """Replace a call of a TensorFlow Lite operation by the operation."""
    if operation.name == "stablehlo.custom_call":
        name = operation.attributes["call_target_name"].value
        if name == SCATTER_ND:
            types = [each.type for each in operation.results]
            place = ir.InsertionPoint(operation)
            with operation.location:
                builtin = ir.Operation.create(name, types, list(operation.operands), ip=place)
            for old, new in zip(operation.results, builtin.results, strict=True):
                old.replace_all_uses_with(new)
            operation.erase()
    return ir.WalkResult.ADVANCE


def _ids(batch: int, length: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((batch, length), jnp.int32)
