"""Graphs of models with drawn weights, wide enough for every kind of kernel of LiteRT."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from jaxrec.conversion.flatbuffer import finalize_graph
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.conversion.recipes import RECIPES, Recipe
from jaxrec.conversion.verify.distance import Reference, compute_reference
from jaxrec.data.gaps import GAP_EDGES
from jaxrec.models.adapter import AdaptConfig
from jaxrec.runs.heldout import Heldout
from jaxrec.schema import AGE, ITEM, PAD, Feature
from tests.small_models import STARS, make_heldout, make_model, random_histories

HISTORY_LENGTH = 5
# In int8, matrices of 16,384 weights and more are multiplied in 8 bits.
WIDE = {"embedding_dim": 64, "hidden_units": 128, "scale": 0.15}
ADAPT = AdaptConfig(activities=20, held_out=4, l2_penalty=0.5)
AGES = Feature(AGE, "activity", "age", len(GAP_EDGES))
RATING = Feature("rating", "activity", "id", 5, (1, 2, 3, 4, 5))


class WideGraphs(NamedTuple):
    """The graphs of a model by recipe, and the results of the model."""

    graphs: dict[Recipe, bytes]
    reference: Reference


def export_wide(encoder: str, *, with_features: bool) -> WideGraphs:
    """Export a model, with time gaps, ratings and a head, or with the signature `adapt`.

    It has four held-out histories, and as many with each mistake of `build_trials`.
    """
    # TensorFlow takes seconds to import.
    from jaxrec.conversion.graph.export import export_model
    from jaxrec.conversion.graph.quantize import quantize

    heldout, adapt, options = make_heldout(random_histories(HISTORY_LENGTH)[:4]), ADAPT, WIDE
    if with_features:
        heldout, adapt = with_times_and_ratings(heldout), None
        options = {**WIDE, "features": (AGES, RATING), "heads": (STARS,)}
    model = make_model(encoder, **options)
    exported = export_model(model, Shapes(1, HISTORY_LENGTH, 6, 4, keep_seen=False), adapt)
    return WideGraphs(
        {each: finalize_graph(quantize(exported, each), first="recommend") for each in RECIPES},
        compute_reference(model, heldout, top_k=6, keep_seen=False, adapt=adapt),
    )


def with_times_and_ratings(heldout: Heldout) -> Heldout:
    """Return held-out users with ages and ratings of their activities, some of them unknown."""
    rng, items = np.random.default_rng(0), heldout.history[ITEM]
    steps = np.exp2(rng.uniform(-1, 24, items.shape)).astype(np.int64)
    ages = steps[:, ::-1].cumsum(axis=1)[:, ::-1]
    ages = np.where((items > PAD) & (rng.random(items.shape) < 0.9), ages, -1).astype(np.int32)
    ratings = rng.integers(0, RATING.size + 1, items.shape).astype(np.int32)
    return replace(heldout, history={**heldout.history, AGE: ages, RATING.name: ratings})
