"""The flatbuffer itself: put in order, and read for what it must and must not hold."""

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

# How the names of fused ones end: LiteRT's CompiledModel and LiteRT.js refuse them, and they keep
# state between calls.
_FUSED = ("LSTM", "RNN")
_OPERATOR_NAMES = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}


@dataclass(frozen=True)
class Facts:
    """What a flatbuffer holds.

    Attributes:
        operators: every operation that occurs, with how often it does, by name.
        lookups: how many EMBEDDING_LOOKUPs each signature has.
        weight_bytes: all constants together.
        tables: constants of the shape of the items' table.
        has_state: a tensor keeps its value between calls.
    """

    operators: dict[str, int]
    lookups: dict[str, int]
    weight_bytes: int
    tables: int
    has_state: bool


def _unpack(graph: bytes) -> Any:
    """Read the flatbuffer's tables, and the constants that the quantizer puts behind it.

    The generated types say too little to be checked.
    """
    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(graph, 0))
    for buffer in model.buffers:
        if buffer.offset:
            end = buffer.offset + buffer.size
            buffer.data = np.frombuffer(graph, np.uint8)[buffer.offset : end]
            buffer.offset = buffer.size = 0
    return model


def _pack(model: Any, size: int) -> bytes:
    """Write the flatbuffer's tables down; `size` is about how many bytes they need."""
    builder = flatbuffers.Builder(size)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _operator_names(model: Any) -> list[str]:
    """Name each code of an operation, those that are not built in as CUSTOM."""
    return [
        _OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if code.customCode is None
        else f"CUSTOM {code.customCode.decode()}"
        for code in model.operatorCodes
    ]


def tidy(graph: bytes, *, first: str) -> bytes:
    """Make `first` the signature of a caller who names none, and drop what no runtime reads.

    Converters put the signatures into alphabetical order. Names of inner tensors are a fifth of an
    unrolled LSTM's file; inputs and outputs get the names that their signature has for them.
    """
    model = _unpack(graph)
    place = next(s.subgraphIndex for s in model.signatureDefs if s.signatureKey == first.encode())
    subgraphs = model.subgraphs
    subgraphs[0], subgraphs[place] = subgraphs[place], subgraphs[0]
    moved = {0: place, place: 0}
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
    """Let the lists of a flatbuffer that this program made have another length, all else equal.

    Args:
        top_k: not more than there are items.
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
            # Others may read the same constant: the operator gets one of its own.
            number = copy(subgraph.tensors[operator.inputs[1]])
            number.buffer = len(model.buffers) - 1
            subgraph.tensors.append(number)
            operator.inputs = [operator.inputs[0], len(subgraph.tensors) - 1]
            for output in operator.outputs:
                subgraph.tensors[output].shape = [*subgraph.tensors[output].shape[:-1], top_k]
    return _pack(model, len(graph))


def replace_constants(graph: bytes, tables: Mapping[float, Float32[np.ndarray, "R D"]]) -> bytes:
    """Put each table in the place of the constants of its shape that repeat its number.

    Raises:
        FailedCheckError: there is no such constant.
    """
    model = _unpack(graph)
    for number, table in tables.items():
        places = {
            tensor.buffer
            for subgraph in model.subgraphs
            for tensor in subgraph.tensors
            if tensor.shape is not None and tuple(tensor.shape) == table.shape
            if model.buffers[tensor.buffer].data is not None
            if np.all(model.buffers[tensor.buffer].data.view(np.float32) == np.float32(number))
        }
        if not places:
            raise FailedCheckError(f"the graph has no place for a table of {table.shape}")
        for place in places:
            model.buffers[place].data = np.ascontiguousarray(table).reshape(-1).view(np.uint8)
    return _pack(model, len(graph))


def large_products(graph: bytes, least: int) -> list[str]:
    """Name the results of products with a constant of so many entries that is no table of items.

    A table is what ids are looked up in; by it items are scored.
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
        if model.buffers[constant.buffer].data is not None and np.prod(constant.shape) >= least
    ]


def read_facts(graph: bytes) -> Facts:
    """Read a flatbuffer that this program made."""
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
    """Count the constants that have the shape of the items' table, lying or standing.

    It is the table with the most rows of all that are looked up in.
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
    """Refuse a graph that some runtime could not load, or that holds a table twice.

    Args:
        lookups: what is known by an id, the item being one: each has a table that its ids are
            looked up in. `vectors` takes items alone, and `adapt` looks up all that there are.
        tables: of items, two when histories and candidates do not share one; and of what else has
            as many rows.
        heads: signatures of heads, which take items beside all else.

    Raises:
        FailedCheckError: what is wrong.
    """
    custom = [name for name in facts.operators if name.startswith("CUSTOM")]
    if custom:
        raise FailedCheckError(f"the graph has operations that are not built in: {custom}")
    fused = [name for name in facts.operators if name.endswith(_FUSED)]
    if fused or facts.has_state:
        raise FailedCheckError(f"the graph keeps state between calls ({fused or 'variables'})")
    others = {"vectors": 1, "adapt": lookups + 1, **dict.fromkeys(heads, lookups + 1)}
    wanted = {name: others.get(name, lookups) for name in facts.lookups}
    if facts.lookups != wanted:
        raise FailedCheckError(
            f"the graph looks ids up more than once, or not at all: {facts.lookups}, not {wanted}"
        )
    if facts.tables != tables:
        raise FailedCheckError(f"the graph holds {facts.tables} tables, not {tables}")
