"""Verification of a flatbuffer: operators, guards, and equality with the JAX model."""

from typing import NamedTuple

from jaxrec.conversion.flatbuffer import Facts, check_operations, read_facts
from jaxrec.conversion.inputs import is_compared
from jaxrec.conversion.recipes import Recipe
from jaxrec.conversion.suppress_output import suppress_output
from jaxrec.conversion.verify.distance import Parity, Reference, compare
from jaxrec.conversion.verify.guards import check_compiled_model, check_guards
from jaxrec.errors import FailedCheckError
from jaxrec.models.heads import HEADS
from jaxrec.runtime.interpreter import DeviceModel, RankedItems

# Limits of a float32 file, in the units of `Parity`.
SCORE_TOLERANCE = 1e-5
ORDER_TOLERANCE = 1e-6

# Limits of vector_error: float32 keeps vectors unchanged, float16 eleven bits of each entry. int8
# has 127 steps on either side of zero and rounds by half a step; the product with the step size is
# rounded too.
MAX_VECTOR_ERROR: dict[Recipe, float] = {"float32": 0.0, "float16": 2**-11, "int8": 0.501 / 127}

# Least mean share of the model's top ten that a file has to keep.
MIN_OVERLAP: dict[Recipe, float] = {"float32": 0.999, "float16": 0.98, "int8": 0.8}

# Limits of on-device adaptation, in the units of `adapting_error`.
MAX_ADAPTER_ERROR: dict[Recipe, float] = {"float32": 1e-3, "float16": 0.02, "int8": 0.5}


class VerifiedGraph(NamedTuple):
    """A file that passed all checks.

    Attributes:
        device: the file, loaded.
        lists: its lists for every trial of the reference.
        facts: its contents.
        parity: its distance from its model.
    """

    device: DeviceModel
    lists: RankedItems
    facts: Facts
    parity: Parity


def verify_graph(graph: bytes, reference: Reference, recipe: Recipe) -> VerifiedGraph:
    """Check the operators of a flatbuffer, its guards, and its distance from its model.

    Raises:
        FailedCheckError: if a check fails; the message names the worst history.
    """
    with suppress_output():
        device = DeviceModel(graph)
    verified = verify_device(device, graph, reference, recipe)
    check_compiled_model(graph, device, verified.lists, reference.trials)
    return verified


def verify_device(
    device: DeviceModel, graph: bytes, reference: Reference, recipe: Recipe
) -> VerifiedGraph:
    """Check a loaded flatbuffer as `verify_graph` does, except in CompiledModel.

    Args:
        device: the flatbuffer, loaded; it may run on another processor.

    Raises:
        FailedCheckError: if a check fails; the message names the worst history.
    """
    model, trials = reference.model, reference.trials
    lists = device.recommend_all(trials.inputs)
    facts = read_facts(graph)
    rows = model.item_bias.shape[0]
    looked_up = [each for each in model.features if not is_compared(each)]
    # The constant of a compared feature has no row for unknown values.
    same_rows = [each for each in model.features if each.size + (each in looked_up) == rows]
    tables = 1 + (not model.is_tied) + len(same_rows)
    heads = [head.signature for head in model.heads.values()]
    check_operations(facts, lookups=1 + len(looked_up), tables=tables, heads=heads)
    check_guards(device, lists, trials, rows - 1, keep_seen=reference.keep_seen)
    parity = compare(device, lists, reference)
    check_limits(parity, recipe)
    return VerifiedGraph(device, lists, facts, parity)


def check_limits(parity: Parity, recipe: Recipe) -> None:
    """Compare the figures with the limits of a recipe.

    Raises:
        FailedCheckError: if a figure exceeds its limit.
    """
    limits = [
        ("top ten", 1 - parity.overlap, 1 - MIN_OVERLAP[recipe]),
        ("adapters", parity.adapting_error, MAX_ADAPTER_ERROR[recipe]),
    ]
    limits += [
        (f"outputs of the {name} head", error, HEADS[name].tolerance[recipe])
        for name, error in parity.head_errors.items()
    ]
    if recipe == "float32":
        limits += [
            ("scores", parity.score_error, SCORE_TOLERANCE),
            ("queries", parity.context_error, SCORE_TOLERANCE),
            ("order of the items", parity.order_error, ORDER_TOLERANCE),
        ]
    for figure, error, limit in limits:
        if not error <= limit:
            raise FailedCheckError(
                f"the {recipe} file differs from its model in its {figure}: an error of "
                f"{error:.2g}, more than {limit:.2g}; worst after {parity.worst}"
            )
    if not parity.vector_error <= MAX_VECTOR_ERROR[recipe]:
        raise FailedCheckError(
            f"the {recipe} file differs from its model in its item vectors: an error of "
            f"{parity.vector_error:.2g}, more than {MAX_VECTOR_ERROR[recipe]:.2g}"
        )
