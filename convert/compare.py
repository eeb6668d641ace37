"""Compare: how far a file is from the JAX model that it came from, in figures."""

from dataclasses import dataclass

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float
from tqdm import tqdm

from convert.histories import Trials
from convert.interpreter import DeviceModel
from jaxrec.features import ITEM, PAD
from jaxrec.models.recommender import Recommender

OVERLAP_AT = 10

# In memory at a time.
_SCORES_AT_A_TIME = 4_000_000


@dataclass(frozen=True)
class Parity:
    """How far a file is from its model.

    Attributes:
        histories: how many were tried.
        score_error: the largest difference of a score, recommended or of a candidate, in units of
            the score or of one, whichever is larger.
        order_error: the largest difference between the model's scores of what the file puts at a
            place and of what belongs there: zero where the lists are equal, or tied. In units of
            the history's largest score or of one: sums are no finer than their largest terms.
        context_error: the largest difference of an entry of a context, in units of the entry or of
            one.
        overlap: mean share of the model's first ten among the file's first ten.
        worst: the history with the largest score error.
    """

    histories: int
    score_error: float
    order_error: float
    context_error: float
    overlap: float
    worst: str


def compare(device: DeviceModel, model: Recommender, tried: Trials, *, keep_seen: bool) -> Parity:
    """Run a file on what is given and its model on what is meant, and measure how they differ."""
    graphdef, params = nnx.split(model)

    @jax.jit
    def ask(params: nnx.State, history_BN: jax.Array) -> tuple[jax.Array, jax.Array]:
        model = nnx.merge(graphdef, params)
        context_BD = model.context({ITEM: history_BN})
        return context_BD, model.scores(context_BD)

    rows = model.item_bias.shape[0]
    rng = np.random.default_rng(0)
    score_errors, order_errors, context_errors, overlaps = [], [], [], []
    part = max(1, _SCORES_AT_A_TIME // rows)
    for start in tqdm(range(0, len(tried.given), part), unit="part", disable=None, leave=False):
        given, meant = tried.given[start : start + part], tried.meant[start : start + part]
        contexts, scores = (np.array(answer) for answer in ask(params, meant))
        context_errors.append(_errors(device.encode_all(given), contexts))
        candidates = rng.integers(0, rows, (len(meant), device.candidates), np.int32)
        wanted = np.take_along_axis(scores, candidates, axis=1)
        picked = _errors(device.score_all(given, candidates), wanted)
        largest = np.abs(scores[:, 1:]).max(axis=1)

        scores[:, PAD] = -np.inf
        if not keep_seen:
            scores[np.arange(len(meant))[:, None], meant] = -np.inf
        ids, found = device.recommend_all(given)
        theirs = np.take_along_axis(scores, ids, axis=1)
        best, best_ids = jax.lax.top_k(scores, device.top_k)
        score_errors.append(np.maximum(picked, _errors(found, theirs)))
        order_errors.append(_errors(theirs, np.asarray(best), largest))
        first = np.asarray(best_ids)[:, :OVERLAP_AT, None] == ids[:, None, :OVERLAP_AT]
        overlaps.append(first.any(axis=2).mean(axis=1))
    score_error = np.concatenate(score_errors)
    return Parity(
        histories=len(tried.given),
        score_error=float(score_error.max()),
        order_error=float(np.concatenate(order_errors).max()),
        context_error=float(np.concatenate(context_errors).max()),
        overlap=float(np.concatenate(overlaps).mean()),
        worst=tried.describe(int(np.argmax(score_error))),
    )


def _errors(
    got: Float[np.ndarray, "n m"],
    wanted: Float[np.ndarray, "n m"],
    unit: Float[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, " n"]:
    """Give the largest error of each row; one that is not a number is as large as it gets.

    Args:
        unit: of each row's errors; without it each entry that is wanted is its own. Never below 1.
    """
    units = np.abs(wanted) if unit is None else unit[:, None]
    with np.errstate(invalid="ignore"):
        errors = np.abs(got - wanted) / np.maximum(1, units)
    return np.nan_to_num(errors, nan=np.inf).max(axis=1)
