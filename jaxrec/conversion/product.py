"""Products: flatbuffers quantized by a recipe, verified and measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jaxrec.conversion.boost import BoostEffect
from jaxrec.conversion.flatbuffer import Facts, finalize_graph, with_top_k
from jaxrec.conversion.graph.quantize import quantize
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.conversion.inputs import as_inputs
from jaxrec.conversion.measure.changed_lists import ListChanges
from jaxrec.conversion.measure.latency import load_timed_model, measure_latency, percentiles
from jaxrec.conversion.measure.recall import compute_recall
from jaxrec.conversion.recipes import Recipe
from jaxrec.conversion.release import Release
from jaxrec.conversion.restore import RestoredRun
from jaxrec.conversion.suppress_output import suppress_output
from jaxrec.conversion.verify.distance import Parity, Reference
from jaxrec.conversion.verify.proof import verify_graph
from jaxrec.errors import FailedCheckError
from jaxrec.models.adapter import AdaptConfig
from jaxrec.runs.heldout import Heldout

# Largest relative loss of the float32 file's recall@10 in a recipe chosen by default.
MAX_RECALL_LOSS = 0.01

# Rounds enough for a median, in a fraction of a second.
_ROUNDS_BY_TOP_K = 10

# Time limit: with a large catalogue, where a call takes milliseconds, fewer rounds are run.
_SECONDS = 4.0


@dataclass(frozen=True)
class Product:
    """A verified flatbuffer with its measurements.

    Attributes:
        recall: recall@10 of the file on the held-out users.
        latency: percentiles of the time of a call, in µs; empty until it is timed.
    """

    recipe: Recipe
    graph: bytes
    facts: Facts
    parity: Parity
    recall: float
    latency: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Conversion:
    """The result of converting a run.

    Attributes:
        product: the product that is shipped.
        products: the products of all recipes that passed verification, for comparison.
        release: the place of the file in the order of its versions.
        new_items: the effect of the new items and of the boost of their scores; None without any.
        adapt: settings of on-device adaptation; None without it.
        changes: the churn since a previous file; None without one.
    """

    source: RestoredRun
    shapes: Shapes
    product: Product
    products: Mapping[Recipe, Product]
    release: Release
    new_items: BoostEffect | None = None
    adapt: AdaptConfig | None = None
    changes: ListChanges | None = None


def build_product(
    exported: bytes, run: RestoredRun, reference: Reference, recipe: Recipe
) -> Product:
    """Quantize an exported flatbuffer, verify it, and compute its recall.

    Raises:
        FailedCheckError: if it does not match its model.
    """
    graph = finalize_graph(quantize(exported, recipe), first="recommend")
    device, lists, facts, parity = verify_graph(graph, reference, recipe)
    # The trials begin with the held-out histories, so `lists` does too.
    recall = compute_recall(
        device, lists, run.heldout, run.vocabulary.size, keep_seen=run.config.data.keep_seen
    )
    return Product(recipe, graph, facts, parity, recall)


def time_in_turn(products: Mapping[Recipe, Product], heldout: Heldout) -> dict[Recipe, Product]:
    """Return products of batch size 1 with their latency on held-out histories, timed in turn."""
    inputs = as_inputs(heldout.history)
    with suppress_output():
        models = [load_timed_model(product.graph, inputs) for product in products.values()]
    latencies = map(percentiles, measure_latency(models, seconds=_SECONDS))
    timed = zip(products.items(), latencies, strict=True)
    return {recipe: replace(product, latency=latency) for (recipe, product), latency in timed}


def time_by_top_k(product: Product, top_ks: Sequence[int], heldout: Heldout) -> dict[int, float]:
    """Return the median time of a call in µs for several values of top_k, timed in turn."""
    inputs = as_inputs(heldout.history)
    with suppress_output():
        models = [load_timed_model(with_top_k(product.graph, top_k), inputs) for top_k in top_ks]
    times = measure_latency(models, rounds=_ROUNDS_BY_TOP_K, seconds=_SECONDS)
    return {k: percentiles(each)["p50"] for k, each in zip(top_ks, times, strict=True)}


def choose_recipe(
    products: Mapping[Recipe, Product],
    failures: Mapping[Recipe, FailedCheckError],
    requested: Recipe | None,
) -> Recipe:
    """Return the requested recipe, or the smallest with a recall loss below MAX_RECALL_LOSS.

    Raises:
        FailedCheckError: if the requested recipe failed, or without one float32, the baseline.
    """
    needed = requested or "float32"
    if needed in failures:
        raise failures[needed]
    if requested:
        return requested
    least = products["float32"].recall * (1 - MAX_RECALL_LOSS)
    good = [product for product in products.values() if product.recall >= least]
    return min(good, key=lambda product: len(product.graph)).recipe
