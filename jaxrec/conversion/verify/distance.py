"""Distance of a file from the JAX model that it was converted from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, Int32

from jaxrec.conversion.inputs import as_history, take_rows
from jaxrec.conversion.verify.adapting import compute_adapting_error
from jaxrec.conversion.verify.trials import HELD_OUT, Trials, build_trials
from jaxrec.data.feature_values import encode_inputs
from jaxrec.models.adapter import AdaptConfig
from jaxrec.models.model import RecommenderModel
from jaxrec.runs.heldout import Heldout
from jaxrec.runtime.interpreter import CANDIDATES, HISTORY, DeviceModel, Inputs, RankedItems
from jaxrec.schema import PAD

OVERLAP_AT = 10

# Scores in memory at a time.
_MAX_SCORES = 8_000_000

# The lists of all histories are compared. Queries, candidates and heads, which are largely
# redundant, are compared for all malformed histories and for this number of held-out ones.
_HELD_OUT_CHECKED = 1000


@dataclass(frozen=True)
class Parity:
    """Distance of a file from its model.

    Where an error has two units, the larger one applies.

    Attributes:
        histories: number of histories compared.
        score_error: largest error of a score, in a list or of a candidate, in units of one, or of a
            tenth of the history's largest score: float32 itself steps by 1e-6 between 8 and 16, and
            its sums by more.
        order_error: largest difference between the model's scores of the item that the file ranks
            at a position and of the item that belongs there: zero where the lists are equal, or
            tied. In units of one, or of the history's largest score.
        context_error: largest error of an entry of a query, in units of one, or of the largest
            entry of the history's query.
        vector_error: largest error of an entry of an item's vector, in units of the largest entry
            of all vectors; or of a bias, in units of one.
        overlap: mean share of the model's top ten among the file's top ten.
        worst: description of the history with the largest score error.
        adapting_error: error of on-device adaptation, as in `compute_adapting_error`; 0 without it.
        head_errors: by head, the largest error of an output, in units of one, or of the largest
            entry of the model's output.
    """

    histories: int
    score_error: float
    order_error: float
    context_error: float
    vector_error: float
    overlap: float
    worst: str
    adapting_error: float = 0.0
    head_errors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Reference:
    """The model's results for every history, computed once for all recipes.

    Attributes:
        queries: queries of the histories, [n, D].
        best: scores of the best items, best first, [n, k].
        best_ids: ids of the first ten of them, [n, 10].
        keep_seen: whether items of the history are candidates.
        adapt: settings of on-device adaptation; None without it.
    """

    model: RecommenderModel
    trials: Trials
    queries: Float32[np.ndarray, "n D"]
    best: Float32[np.ndarray, "n k"]
    best_ids: Int32[np.ndarray, "n ten"]
    keep_seen: bool
    adapt: AdaptConfig | None

    def scores(self, chosen: slice) -> Float32[np.ndarray, "m R"]:
        """Compute the scores of every item for some histories."""
        return np.array(self.model.scores(jnp.asarray(self.queries[chosen])))


def compute_reference(
    model: RecommenderModel,
    heldout: Heldout,
    *,
    top_k: int,
    keep_seen: bool,
    adapt: AdaptConfig | None = None,
) -> Reference:
    """Compute the model's results for the canonical form of each trial."""
    trials = build_trials(heldout, model.item_bias.shape[0] - 1, model.features)
    encode = jax.jit(lambda model, history: model.encode_last(history))
    queries, best, best_ids = [], [], []
    for part in _parts(len(trials), model):
        canonical = take_rows(trials.canonical, part)
        queries.append(encode(model, encode_inputs(model.features, as_history(canonical))))
        scores = np.array(model.scores(queries[-1]))
        _mask_excluded(scores, canonical[HISTORY], keep_seen=keep_seen)
        found, ids = jax.lax.top_k(scores, top_k)
        best.append(found)
        best_ids.append(ids[:, :OVERLAP_AT])
    found = [np.concatenate(parts) for parts in (queries, best, best_ids)]
    return Reference(model, trials, *found, keep_seen=keep_seen, adapt=adapt)


def compare(device: DeviceModel, lists: RankedItems, reference: Reference) -> Parity:
    """Compute the distance of a file from its model.

    Args:
        lists: the file's lists for every history of the reference.
    """
    model, trials = reference.model, reference.trials
    rng = np.random.default_rng(0)
    shape = (len(trials), device.candidates)
    candidates = rng.integers(0, model.item_bias.shape[0], shape, np.int32)
    largest = np.empty(len(trials), np.float32)
    score_errors, order_errors, wanted = [], [], []
    for part in _parts(len(trials), model):
        scores, ids = reference.scores(part), lists.ids[part]
        wanted.append(np.take_along_axis(scores, candidates[part], axis=1))
        most = largest[part] = np.abs(scores[:, 1:]).max(axis=1)
        _mask_excluded(scores, trials.canonical[HISTORY][part], keep_seen=reference.keep_seen)
        listed = np.take_along_axis(scores, ids, axis=1)
        score_errors.append(_errors(lists.scores[part], listed, most / 10))
        order_errors.append(_errors(listed, reference.best[part], most))
    score_error = np.concatenate(score_errors)

    checked = np.array([kind != HELD_OUT for kind in trials.kinds])
    checked[:_HELD_OUT_CHECKED] = True
    inputs, queries = take_rows(trials.inputs, checked), reference.queries[checked]
    candidates = candidates[checked]
    picked = _errors(
        device.score_all(inputs, candidates), np.concatenate(wanted)[checked], largest[checked] / 10
    )
    score_error[checked] = np.maximum(score_error[checked], picked)

    widest = np.abs(queries).max(axis=1)
    context_error = _errors(device.encode_all(inputs), queries, widest)
    adapting_error = 0.0
    if reference.adapt is not None:
        histories = trials.canonical[HISTORY]
        adapting_error = compute_adapting_error(device, model, histories, reference.adapt)
    kept = reference.best_ids[:, :, None] == lists.ids[:, None, :OVERLAP_AT]
    return Parity(
        histories=len(trials),
        score_error=float(score_error.max()),
        order_error=float(np.concatenate(order_errors).max()),
        context_error=float(context_error.max()),
        vector_error=_vector_error(device, model),
        head_errors={
            name: _head_error(device, model, name, inputs, queries, candidates)
            for name in model.heads
        },
        adapting_error=adapting_error,
        overlap=float(kept.any(axis=2).mean()),
        worst=trials.describe(int(np.argmax(score_error))),
    )


def _vector_error(device: DeviceModel, model: RecommenderModel) -> float:
    """Compute the largest error of item vectors and biases; infinite for NaN."""
    table, bias = np.array(model.item_table)[1:], np.array(model.item_bias)[1:]
    vectors, biases = device.vectors_all(np.arange(1, len(table) + 1, dtype=np.int32))
    errors = np.abs(vectors - table).max() / np.abs(table).max(), np.abs(biases - bias).max()
    return float(np.nan_to_num(max(errors), nan=np.inf))


def _head_error(
    device: DeviceModel,
    model: RecommenderModel,
    name: str,
    inputs: Inputs,
    queries: Float32[np.ndarray, "n D"],
    candidates: Int32[np.ndarray, "n M"],
) -> float:
    """Compute the largest error of a head's outputs; padding, NaN in the file alone, is skipped."""
    found = device.call_all(model.heads[name].signature, {**inputs, CANDIDATES: candidates})
    predict = jax.jit(lambda model, *args: model.predict(name, *args))
    is_item, errors = candidates != PAD, []
    for output, wanted in predict(model, queries, candidates).items():
        wanted = np.asarray(wanted)[is_item]
        errors.append(np.abs(found[output][is_item] - wanted) / max(1, np.abs(wanted).max()))
    return max(float(np.nan_to_num(each, nan=np.inf).max()) for each in errors)


def _parts(count: int, model: RecommenderModel) -> list[slice]:
    """Split histories into slices whose scores fit into memory."""
    size = max(1, _MAX_SCORES // model.item_bias.shape[0])
    return [slice(start, start + size) for start in range(0, count, size)]


def _mask_excluded(
    scores: Float32[np.ndarray, "n R"], canonical: Int32[np.ndarray, "n N"], *, keep_seen: bool
) -> None:
    """Set the scores of excluded items to -inf in place: padding, and items of the history."""
    scores[:, PAD] = -np.inf
    if not keep_seen:
        scores[np.arange(len(canonical))[:, None], canonical] = -np.inf


def _errors(
    got: Float[np.ndarray, "n m"], wanted: Float[np.ndarray, "n m"], unit: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Return the largest error of each row in its unit, or in units of one if that is larger.

    NaN counts as an infinite error.
    """
    with np.errstate(invalid="ignore"):
        errors = np.abs(got - wanted).max(axis=1) / np.maximum(1, unit)
    return np.nan_to_num(errors, nan=np.inf)
