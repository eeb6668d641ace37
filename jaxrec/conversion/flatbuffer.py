"""TensorFlow Lite flatbuffers: rewriting, inspection and checks of their operators."""

from collections import Counter
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from itertools import chain
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from jaxtyping import Float32

from jaxrec.errors import FailedCheckError

# Suffixes of the names of fused recurrent operators: LiteRT's CompiledModel and LiteRT.js refuse
# them, and they keep state between calls.
_FUSED = ("LSTM", "RNN")
_OPERATOR_NAMES = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}


@dataclass(frozen=True)
class Facts:
    """Contents of a flatbuffer.

    Attributes:
        operators: number of occurrences of each operator, by name.
        lookups: number of EMBEDDING_LOOKUP operators in each signature.
        weight_bytes: size of all constants together.
        tables: number of constants with the shape of the item table or of its transpose.
        has_state: whether a tensor keeps its value between calls.
    """

    operators: dict[str, int]
    lookups: dict[str, int]
    weight_bytes: int
    tables: int
    has_state: bool


def _unpack(graph: bytes) -> Any:
    """Parse a flatbuffer, with the constants that the quantizer appends behind it.

    The generated classes are typed too loosely for a type checker, hence Any.
    """
    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(graph, 0))
    for buffer in model.buffers:
        if buffer.offset:
            end = buffer.offset + buffer.size
            buffer.data = np.frombuffer(graph, np.uint8)[buffer.offset : end]
            buffer.offset = buffer.size = 0
    return model


def _pack(model: Any, size: int) -> bytes:
    """Serialize a flatbuffer; `size` is the initial size of its builder in bytes."""
    builder = flatbuffers.Builder(size)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _operator_names(model: Any) -> list[str]:
    """Return the name of each operator code; names of custom operators begin with CUSTOM."""
    return [
        _OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if code.customCode is None
        else f"CUSTOM {code.customCode.decode()}"
        for code in model.operatorCodes
    ]


def finalize_graph(graph: bytes, *, first: str) -> bytes:
    """Move the signature `first` to subgraph 0, the default, and drop unused metadata.

    Converters sort the signatures alphabetically, and callers who name none get subgraph 0. No
    runtime reads the names of inner tensors, a fifth of the file of an unrolled LSTM. Inputs and
    outputs get the names that their signature has for them.
    """
    model = _unpack(graph)
    default = next(s.subgraphIndex for s in model.signatureDefs if s.signatureKey == first.encode())
    subgraphs = model.subgraphs
    subgraphs[0], subgraphs[default] = subgraphs[default], subgraphs[0]
    moved = {0: default, default: 0}
    for subgraph in subgraphs:
        for tensor in subgraph.tensors:
            tensor.name = None
            if tensor.quantization is not None and tensor.quantization.scale is None:
                tensor.quantization = None
    for signature in model.signatureDefs:
        index = signature.subgraphIndex
        signature.subgraphIndex = moved.get(index, index)
        for end in [*signature.inputs, *signature.outputs]:
            subgraphs[signature.subgraphIndex].tensors[end.tensorIndex].name = end.name
    model.signatureDefs.sort(key=lambda signature: signature.subgraphIndex)
    return _pack(model, len(graph))


def with_top_k(graph: bytes, top_k: int) -> bytes:
    """Return a flatbuffer with another top_k, everything else unchanged.

    Args:
        graph: a flatbuffer of this package.
        top_k: at most the number of items.
    """
    model = _unpack(graph)
    constant: Any = schema.BufferT()
    constant.data = np.frombuffer(np.int32(top_k).tobytes(), np.uint8)
    model.buffers.append(constant)
    names = _operator_names(model)
    for subgraph in model.subgraphs:
        for operator in subgraph.operators or []:
            if names[operator.opcodeIndex] != "TOPK_V2":
                continue
            # Other operators may read the same constant, so this one gets its own.
            number = copy(subgraph.tensors[operator.inputs[1]])
            number.buffer = len(model.buffers) - 1
            subgraph.tensors.append(number)
            operator.inputs = [operator.inputs[0], len(subgraph.tensors) - 1]
            for output in operator.outputs:
                subgraph.tensors[output].shape = [*subgraph.tensors[output].shape[:-1], top_k]
    return _pack(model, len(graph))


def replace_constants(graph: bytes, tables: Mapping[float, Float32[np.ndarray, "R D"]]) -> bytes:
    """Replace each table's placeholders, the constants of its shape filled with its number.

    Raises:
        FailedCheckError: if a table has no placeholder.
    """
    model = _unpack(graph)
    for number, table in tables.items():
        placeholders = {
            tensor.buffer
            for subgraph in model.subgraphs
            for tensor in subgraph.tensors
            if tensor.shape is not None and tuple(tensor.shape) == table.shape
            if model.buffers[tensor.buffer].data is not None
            if np.all(model.buffers[tensor.buffer].data.view(np.float32) == np.float32(number))
        }
        if not placeholders:
            raise FailedCheckError(
                f"the graph has no placeholder for a table of shape {table.shape}"
            )
        for buffer in placeholders:
            model.buffers[buffer].data = np.ascontiguousarray(table).reshape(-1).view(np.uint8)
    return _pack(model, len(graph))


def large_products(graph: bytes, min_size: int) -> list[str]:
    """Return the names of the results of products with large constants, except item scores.

    A constant that EMBEDDING_LOOKUP reads is an embedding table; products with it score items.

    Args:
        min_size: number of entries from which on a constant is large.
    """
    model = _unpack(graph)
    names = _operator_names(model)
    products = [
        (
            names[each.opcodeIndex],
            subgraph.tensors[each.inputs[1]],
            subgraph.tensors[each.outputs[0]],
        )
        for subgraph in model.subgraphs
        for each in subgraph.operators or []
        if len(each.inputs) > 1
    ]
    tables = {constant.buffer for name, constant, _ in products if name == "EMBEDDING_LOOKUP"}
    return [
        result.name.decode()
        for name, constant, result in products
        if name == "FULLY_CONNECTED" and constant.buffer not in tables
        if model.buffers[constant.buffer].data is not None and np.prod(constant.shape) >= min_size
    ]


def read_facts(graph: bytes) -> Facts:
    """Read the contents of a flatbuffer of this package."""
    model = _unpack(graph)
    names = _operator_names(model)
    used = [[names[each.opcodeIndex] for each in g.operators or []] for g in model.subgraphs]
    return Facts(
        operators=dict(sorted(Counter(chain.from_iterable(used)).items())),
        lookups={
            signature.signatureKey.decode(): used[signature.subgraphIndex].count("EMBEDDING_LOOKUP")
            for signature in model.signatureDefs or []
        },
        weight_bytes=sum(len(b.data) for b in model.buffers if b.data is not None),
        tables=_count_tables(model, used),
        has_state=any(tensor.isVariable for g in model.subgraphs for tensor in g.tensors),
    )


def _count_tables(model: Any, used: list[list[str]]) -> int:
    """Count the constants with the shape of the item table or of its transpose.

    The item table is the one with the most rows of all that EMBEDDING_LOOKUP reads.
    """
    looked_up = [
        tuple(sorted(subgraph.tensors[operator.inputs[1]].shape))
        for subgraph, names in zip(model.subgraphs, used, strict=True)
        for operator, name in zip(subgraph.operators or [], names, strict=True)
        if name == "EMBEDDING_LOOKUP"
    ]
    constants = {
        tensor.buffer
        for subgraph in model.subgraphs
        for tensor in subgraph.tensors
        if tensor.shape is not None and tuple(sorted(tensor.shape)) == max(looked_up, default=None)
        if model.buffers[tensor.buffer].data is not None
    }
    return len(constants)


def check_operations(facts: Facts, *, lookups: int, tables: int, heads: Iterable[str] = ()) -> None:
    """Check that every runtime can load a graph and that it stores no table twice.

    Args:
        lookups: number of features whose ids are looked up in a table, the item included.
            `vectors` looks up items alone, and `adapt` also the whole item table.
        tables: number of item tables, two when histories and candidates do not share one, plus
            other tables with as many rows.
        heads: names of the signatures of heads, which look up items beside the history.

    Raises:
        FailedCheckError: if an operator is custom or keeps state, or a count differs.
    """
    custom = [name for name in facts.operators if name.startswith("CUSTOM")]
    if custom:
        raise FailedCheckError(f"the graph has custom operations: {custom}")
    fused = [name for name in facts.operators if name.endswith(_FUSED)]
    if fused or facts.has_state:
        raise FailedCheckError(f"the graph keeps state between calls ({fused or 'variables'})")
    others = {"vectors": 1, "adapt": lookups + 1, **dict.fromkeys(heads, lookups + 1)}
    wanted = {name: others.get(name, lookups) for name in facts.lookups}
    if facts.lookups != wanted:
        raise FailedCheckError(
            f"the graph has wrong numbers of id lookups: {facts.lookups}, not {wanted}"
        )
    if facts.tables != tables:
        raise FailedCheckError(f"the graph has {facts.tables} tables, not {tables}")
