"""Loops as the file format has them: their condition and body are subgraphs.

LiteRT's converter leaves both inside the operation, where its writer does not find them, and gives
no access to the pass that moves them.
"""

from collections.abc import Sequence

from litert_converter.mlir import ir
from litert_converter.mlir.dialects import func

# Constants are copied into a subgraph: it reads no values but its arguments and its own.
_CONSTANTS = ("arith.constant", "tfl.pseudo_const", "tfl.no_value")


def outline_loops(module: ir.Module, prefix: str) -> None:
    """Move the condition and the body of each loop of a module to private functions.

    Args:
        prefix: start of the names of the functions.
    """
    loops = []

    def collect(operation: ir.Operation) -> ir.WalkResult:
        if operation.name == "tfl.while":
            loops.append(operation)
        return ir.WalkResult.ADVANCE

    # Inner loops come before the loop that they are part of.
    module.operation.walk(collect)
    for number, loop in enumerate(loops):
        _outline(module, loop, f"{prefix}_loop{number}")


def _outline(module: ir.Module, loop: ir.Operation, name: str) -> None:
    """Replace a loop by one that calls functions; values from outside become loop variables."""
    read = {
        value: None for region in loop.regions for value in _values_from_outside(region.blocks[0])
    }
    outside = [each for each in read if not _is_constant(each)]
    operands = [*loop.operands, *outside]
    types = [each.type for each in operands]
    with loop.location:
        outlined = ir.Operation.create(
            loop.name,
            types,
            operands,
            {each: loop.attributes[each] for each in loop.attributes},
            regions=2,
            ip=ir.InsertionPoint(loop),
        )
        for part, old, new in zip(
            ("condition", "body"), loop.regions, outlined.regions, strict=True
        ):
            function = _move_to_function(module, old, outside, f"{name}_{part}")
            block = new.blocks.append(*types)
            with ir.InsertionPoint(block):
                results = func.CallOp(function, list(block.arguments)).results
                ir.Operation.create("tfl.yield", operands=list(results))
    for old, new in zip(loop.results, outlined.results, strict=False):
        old.replace_all_uses_with(new)
    loop.erase()


def _move_to_function(
    module: ir.Module, region: ir.Region, outside: Sequence[ir.Value], name: str
) -> func.FuncOp:
    """Move a region to a function of the loop variables, which a body returns."""
    block = region.blocks[0]
    start = ir.InsertionPoint.at_block_begin(block)
    replacements = {
        value: value.owner.clone(ip=start).results[0]
        for value in _values_from_outside(block)
        if _is_constant(value)
    }
    arguments = [block.add_argument(each.type, ir.Location.unknown()) for each in outside]
    replacements |= zip(outside, arguments, strict=True)
    for operation in block.operations:
        for index, value in enumerate(operation.operands):
            if value in replacements:
                operation.operands[index] = replacements[value]
    end = block.operations[len(block.operations) - 1]
    returned = [*end.operands, *(arguments if name.endswith("body") else [])]
    function = func.FuncOp(
        name,
        ([each.type for each in block.arguments], [each.type for each in returned]),
        visibility="private",
        ip=ir.InsertionPoint(module.body),
    )
    func.ReturnOp(returned, ip=ir.InsertionPoint(end))
    end.operation.erase()
    block.append_to(function.regions[0])
    return function


def _values_from_outside(block: ir.Block) -> list[ir.Value]:
    """Return the values that a block reads and does not define, each once.

    Its own loops are outlined already, and read no values but their operands.
    """
    inside = {*block.arguments, *(result for each in block.operations for result in each.results)}
    read = {value: None for each in block.operations for value in each.operands}
    return [each for each in read if each not in inside]


def _is_constant(value: ir.Value) -> bool:
    return isinstance(value, ir.OpResult) and value.owner.name in _CONSTANTS
