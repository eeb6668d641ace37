"""The proof: that a flatbuffer is what it should be, and says what its model says."""

from typing import NamedTuple

from jaxrec.conversion.flatbuffer import Facts, check_operations, read_facts
from jaxrec.conversion.inputs import is_compared
from jaxrec.conversion.quiet import quiet
from jaxrec.conversion.recipes import Recipe
from jaxrec.conversion.verify.distance import Parity, Reference, compare
from jaxrec.conversion.verify.guards import check_guards
from jaxrec.errors import FailedCheckError
from jaxrec.models.heads import HEADS
from jaxrec.runtime.interpreter import DeviceModel, Lists

# Of a float32 file, in the units of `Parity`.
SCORE_TOLERANCE = 1e-5
TIE = 1e-6

# Of the vectors of items, in the same: float32 keeps them as they are, float16 eleven bits of each.
# int8 has 127 steps on either side of zero, and rounds by half of one; the product with a step is
# rounded too.
FURTHEST_VECTOR: dict[Recipe, float] = {"float32": 0.0, "float16": 2**-11, "int8": 0.501 / 127}

# The mean share of the model's first ten that a file must keep, to be called that model.
LEAST_OVERLAP: dict[Recipe, float] = {"float32": 0.999, "float16": 0.98, "int8": 0.8}

# What is learned of a user, in the units of `adapting_error`.
FURTHEST_ADAPTED: dict[Recipe, float] = {"float32": 1e-3, "float16": 0.02, "int8": 0.5}


class Proven(NamedTuple):
    """A file that is equal to its model.

    Attributes:
        device: runs it.
        lists: what it gives for every trial of the reference.
        facts: what it holds.
        parity: how far it is from its model.
    """

    device: DeviceModel
    lists: Lists
    facts: Facts
    parity: Parity


def prove(graph: bytes, reference: Reference, recipe: Recipe) -> Proven:
    """Check the operations of a flatbuffer, its guards, and its distance from its model.

    Raises:
        FailedCheckError: it is not what it should be; the message names the worst history.
    """
    with quiet():
        device = DeviceModel(graph)
    model, tried = reference.model, reference.tried
    lists = device.recommend_all(tried.given)
    facts = read_facts(graph)
    rows = model.item_bias.shape[0]
    looked_up = [each for each in model.features if not is_compared(each)]
    # What is compared has no row for what is unknown.
    alike = [each for each in model.features if each.size + (each in looked_up) == rows]
    tables = 1 + (not model.is_tied) + len(alike)
    heads = [head.signature for head in model.heads.values()]
    check_operations(facts, lookups=1 + len(looked_up), tables=tables, heads=heads)
    check_guards(graph, device, lists, tried, rows - 1, keep_seen=reference.keep_seen)
    parity = compare(device, lists, reference)
    judge(parity, recipe)
    return Proven(device, lists, facts, parity)


def judge(parity: Parity, recipe: Recipe) -> None:
    """Hold the figures against the limits of a recipe.

    Raises:
        FailedCheckError: one is too large.
    """
    limits = [
        ("keeps too few of", 1 - parity.overlap, 1 - LEAST_OVERLAP[recipe]),
        ("learns something else of users than", parity.adapting_error, FURTHEST_ADAPTED[recipe]),
    ]
    limits += [
        (f"predicts another {name} of", error, HEADS[name].tolerance[recipe])
        for name, error in parity.head_errors.items()
    ]
    if recipe == "float32":
        limits += [
            ("gets the scores wrong of", parity.score_error, SCORE_TOLERANCE),
            ("gets the context wrong of", parity.context_error, SCORE_TOLERANCE),
            ("gets the order wrong of", parity.order_error, TIE),
        ]
    for complaint, error, limit in limits:
        if not error <= limit:
            raise FailedCheckError(
                f"the {recipe} file {complaint} what its model recommends: an error of "
                f"{error:.2g}, more than {limit:.2g}; worst after {parity.worst}"
            )
    if not parity.vector_error <= FURTHEST_VECTOR[recipe]:
        raise FailedCheckError(
            f"the {recipe} file gives other vectors of its items than its model has: an error of "
            f"{parity.vector_error:.2g}, more than {FURTHEST_VECTOR[recipe]:.2g}"
        )
