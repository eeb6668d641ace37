"""A product: a flatbuffer made by a recipe, with the proof that it is what it should be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jaxrec.conversion.flatbuffer import Facts, tidy, with_top_k
from jaxrec.conversion.graph.quantize import quantize
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.conversion.inputs import as_inputs
from jaxrec.conversion.measure.latency import contend, measure, percentiles
from jaxrec.conversion.measure.recall import recall_through
from jaxrec.conversion.quiet import quiet
from jaxrec.conversion.recipes import Recipe
from jaxrec.conversion.restore import RestoredRun
from jaxrec.conversion.verify.distance import Parity, Reference
from jaxrec.conversion.verify.proof import prove
from jaxrec.errors import FailedCheckError
from jaxrec.models.adapter import AdaptConfig
from jaxrec.runs.heldout import Heldout

# What the default recipe may lose of the float32 file's recall@10.
MOST_LOST = 0.01

# Enough for a median, in a fraction of a second.
_ROUNDS_BY_TOP_K = 10

# A catalogue so large that a call takes milliseconds is timed by fewer of them.
_SECONDS = 4.0


@dataclass(frozen=True)
class Product:
    """A flatbuffer, and what was found about it.

    Attributes:
        recall: recall@10 on the held-out users through the file.
        latency: percentiles of the time of a call, µs; empty until it was timed.
    """

    recipe: Recipe
    graph: bytes
    facts: Facts
    parity: Parity
    recall: float
    latency: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Conversion:
    """What a run is made into.

    Attributes:
        product: the one that is shipped.
        products: every recipe that was tried and passed, for comparison.
        boost: what was added to the scores of new items.
        adapt: how the file learns of a user, if it does.
    """

    source: RestoredRun
    shapes: Shapes
    product: Product
    products: Mapping[Recipe, Product]
    boost: float
    adapt: AdaptConfig | None = None


def make(exported: bytes, run: RestoredRun, reference: Reference, recipe: Recipe) -> Product:
    """Quantize what was exported, and prove it.

    Raises:
        FailedCheckError: it is not equal to its model.
    """
    graph = tidy(quantize(exported, recipe), first="recommend")
    device, lists, facts, parity = prove(graph, reference, recipe)
    # The held-out histories come first.
    recall = recall_through(
        device, lists, run.heldout, run.vocabulary.size, keep_seen=run.config.data.keep_seen
    )
    return Product(recipe, graph, facts, parity, recall)


def time_in_turn(products: Mapping[Recipe, Product], heldout: Heldout) -> dict[Recipe, Product]:
    """Time products that take one history a call, in turn, on those of held-out users."""
    inputs = as_inputs(heldout.history)
    with quiet():
        contenders = [contend(product.graph, inputs) for product in products.values()]
    latencies = map(percentiles, measure(contenders, seconds=_SECONDS))
    timed = zip(products.items(), latencies, strict=True)
    return {recipe: replace(product, latency=latency) for (recipe, product), latency in timed}


def time_by_top_k(product: Product, top_ks: Sequence[int], heldout: Heldout) -> dict[int, float]:
    """Give the median time of a call for lists of several lengths, µs, timed in turn."""
    inputs = as_inputs(heldout.history)
    with quiet():
        contenders = [contend(with_top_k(product.graph, top_k), inputs) for top_k in top_ks]
    times = measure(contenders, rounds=_ROUNDS_BY_TOP_K, seconds=_SECONDS)
    return {k: percentiles(each)["p50"] for k, each in zip(top_ks, times, strict=True)}


def choose(
    products: Mapping[Recipe, Product],
    failures: Mapping[Recipe, FailedCheckError],
    asked: Recipe | None,
) -> Recipe:
    """Take what was asked for, or else the smallest that loses less than MOST_LOST of the recall.

    Raises:
        FailedCheckError: it failed; without float32 there is nothing to compare others with.
    """
    needed = asked or "float32"
    if needed in failures:
        raise failures[needed]
    if asked:
        return asked
    least = products["float32"].recall * (1 - MOST_LOST)
    good = [product for product in products.values() if product.recall >= least]
    return min(good, key=lambda product: len(product.graph)).recipe
