"""Ranks against plain Python: for any scores, a target's rank is never too good."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxrec.data import buckets
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset
from jaxrec.data.timelines import Timelines
from jaxrec.data.vocabulary import Vocabulary
from jaxrec.evaluation import ranking as ranking_module
from jaxrec.evaluation.metrics import target_values
from jaxrec.evaluation.ranking import Ranking, model_scorer
from jaxrec.evaluation.scores import materialize_scores
from jaxrec.models.model import RecommenderModel
from jaxrec.models.model_config import ModelConfig
from jaxrec.schema import ITEM, PAD, Schema
from tests.small_data import (
    NO_LOG_SUMMARY,
    left_padded,
    no_items,
    timelines_of,
    training_on_everything,
)

V = 12
N = 3
# The rank of a miss: beyond the largest k of any metric, although there are twelve items.
MISSED = 51


def scores_by_last_item(scores_RR: np.ndarray) -> ranking_module.Scorer:
    """Return a scorer that looks up the row of the history's last item."""

    def scorer(history: Mapping[str, np.ndarray]) -> np.ndarray:
        return scores_RR[history[ITEM][:, -1]]

    return scorer


def constant_scorer(scores_R) -> ranking_module.Scorer:
    return scores_by_last_item(np.tile(np.array(scores_R, np.float32), (V + 1, 1)))


def rank(
    scorer: ranking_module.Scorer,
    timelines: Timelines,
    positions: list[int],
    keep_seen: bool = False,
    coverage: bool = True,
) -> Ranking:
    """Rank the targets at `positions` in a catalogue of V items."""
    vocabulary = Vocabulary(pl.Series("item", range(1, V + 1)), np.zeros(V + 1, np.int64))
    split = training_on_everything(timelines)
    dataset = Dataset(timelines, split, vocabulary, no_items(), NO_LOG_SUMMARY)
    config = DataConfig(history_length=N, keep_seen=keep_seen)
    where = np.array(positions, np.int64)
    return ranking_module.rank(scorer, dataset, where, config, coverage=coverage)


def slow_rank(scores: np.ndarray, target: int, excluded: set[int]) -> int:
    """Return the rank by counting the candidates that are not worse, in plain Python."""
    if target in excluded:
        return MISSED
    candidates = set(range(1, V + 1)) - excluded
    return 1 + sum(not scores[other] < scores[target] for other in candidates - {target})


# An item scores 12 - id: item 1 is the best and item 12 the worst, but PAD scores highest.
FALLING = [99.0, *range(V - 1, -1, -1)]

# Few values make ties common. All examples have batches of four rows, since compiling another
# shape takes longer than ranking.
score_tables = hnp.arrays(
    np.float32,
    (V + 1, V + 1),
    elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, np.inf, np.nan]).map(np.float32),
)
four_or_more = st.lists(st.lists(st.integers(1, V), min_size=1, max_size=8), min_size=4, max_size=6)


@given(scores=score_tables, sequences=four_or_more, keep_seen=st.booleans(), data=st.data())
def test_ranks_match_counts_in_plain_python(scores, sequences, keep_seen, data):
    timelines = timelines_of(sequences)
    any_position = st.sampled_from(range(len(timelines.items)))
    positions = data.draw(st.lists(any_position, min_size=4, max_size=11))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking_module, "_MAX_SCORES", 4 * (V + 1))
        ranking = rank(scores_by_last_item(scores), timelines, positions, keep_seen)

    owner = [user for user, items in enumerate(sequences) for _ in items]
    before = [items[:i] for items in sequences for i in range(len(items))]
    expected, repeated = [], 0
    for position in positions:
        history = before[position]
        target = int(timelines.items[position])
        last = history[-1] if history else PAD
        expected.append(slow_rank(scores[last], target, set() if keep_seen else set(history)))
        repeated += target in history
    assert ranking.ranks.tolist() == expected
    assert ranking.users.tolist() == [owner[position] for position in positions]
    assert ranking.seen_targets == repeated


def test_ties_count_against_the_target():
    # One item is better, three are equal, and PAD is better than all.
    scores = [9.0, 5.0, 5.0, 7.0, 5.0, 5.0, *[1.0] * 7]
    assert rank(constant_scorer(scores), timelines_of([[5]]), [0]).ranks.tolist() == [5]


@pytest.mark.parametrize("score", [0.0, np.nan, np.inf, -np.inf])
def test_a_constant_scorer_has_the_worst_rank(score):
    timelines = timelines_of([[6, 7, 5], [5]])
    ranking = rank(constant_scorer([score] * (V + 1)), timelines, [2, 3])
    # The first user has seen two of the twelve items.
    assert ranking.ranks.tolist() == [10, 12]


def test_nan_scores_count_against_the_target():
    # A target with NaN is the worst; another item with NaN is better than the target.
    scores = [0.0, np.nan, 5.0, np.nan, *[1.0] * 9]
    assert rank(constant_scorer(scores), timelines_of([[1], [2]]), [0, 1]).ranks.tolist() == [12, 3]


def test_all_seen_items_are_excluded_or_kept():
    # Items 1 to 4 beat 5. Item 1 was seen before the last N activities.
    timelines = timelines_of([[1, 9, 10, 11, 5], [5]])
    assert rank(constant_scorer(FALLING), timelines, [4, 5]).ranks.tolist() == [4, 5]
    assert rank(constant_scorer(FALLING), timelines, [4, 5], keep_seen=True).ranks.tolist() == [
        5,
        5,
    ]


def test_items_seen_later_stay_candidates():
    timelines = timelines_of([[9, 5, 1, 2]])
    assert rank(constant_scorer(FALLING), timelines, [1]).ranks.tolist() == [5]


def test_a_seen_target_is_missed_if_excluded_and_is_counted():
    timelines = timelines_of([[1, 2, 1], [1, 2, 3]])
    ranking = rank(constant_scorer(FALLING), timelines, [2, 5])
    assert ranking.ranks.tolist() == [MISSED, 1]
    assert ranking.seen_targets == 1
    kept = rank(constant_scorer(FALLING), timelines, [2, 5], keep_seen=True)
    assert kept.ranks.tolist() == [1, 3]
    assert kept.seen_targets == 1


def test_an_excluded_target_is_no_hit_even_with_few_candidates():
    """With nine of twelve items seen, three candidates remain; the rank is beyond every k."""
    timelines = timelines_of([[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]])
    values = target_values(rank(constant_scorer(FALLING), timelines, [9]).ranks)
    hits = [values[name][0] for name in values if name.startswith(("recall@", "ndcg@"))]
    assert len(hits) == 5 and not any(hits)
    assert values["mean_rank"] == MISSED


@pytest.mark.parametrize("pad_score", [1e9, np.inf, np.nan])
def test_padding_is_neither_recommended_nor_a_candidate(pad_score):
    scores = [pad_score, *FALLING[1:]]
    ranking = rank(constant_scorer(scores), timelines_of([[1], [12]]), [0, 1], keep_seen=True)
    assert ranking.ranks.tolist() == [1, 12]
    # PAD takes no position in the top 10 either.
    assert ranking.covered == 10


def test_coverage_counts_items_in_any_top_ten():
    # No item was seen: both lists are items 1 to 10.
    assert rank(constant_scorer(FALLING), timelines_of([[5], [6]]), [0, 1]).covered == 10
    # A user who has seen 3 gets 11 as well.
    timelines = timelines_of([[3, 5], [6]])
    assert rank(constant_scorer(FALLING), timelines, [1, 2]).covered == 11
    assert rank(constant_scorer(FALLING), timelines, [1, 2], keep_seen=True).covered == 10
    # A user who has seen five items has seven candidates left.
    timelines = timelines_of([[1, 2, 3, 4, 5, 6]])
    assert rank(constant_scorer(FALLING), timelines, [5]).covered == 7


def test_coverage_depends_on_the_history():
    rising = [0.0, *range(V)]
    scores = np.tile(np.array(FALLING, np.float32), (V + 1, 1))
    scores[6] = rising
    timelines = timelines_of([[5, 1], [6, 1]])
    # 1 to 10 after 5 (without 5, up to 11); 12 to 3 after 6 (without 6, down to 2).
    assert rank(scores_by_last_item(scores), timelines, [1, 3]).covered == 12


def test_ranks_are_the_same_without_coverage():
    rng = np.random.default_rng(0)
    timelines = timelines_of([rng.integers(1, V + 1, 9).tolist() for _ in range(3)])
    scorer = scores_by_last_item(rng.normal(size=(V + 1, V + 1)).astype(np.float32))
    full, ranks_only = (
        rank(scorer, timelines, [8, 17, 26], coverage=each) for each in (True, False)
    )
    assert full.ranks.tolist() == ranks_only.ranks.tolist()
    assert full.covered and not ranks_only.covered


def test_results_do_not_depend_on_the_batch_size(monkeypatch):
    rng = np.random.default_rng(0)
    timelines = timelines_of([rng.integers(1, V + 1, 9).tolist() for _ in range(3)])
    positions = [26, 0, 3, 8, 9, 17, 13]
    scorer = scores_by_last_item(rng.normal(size=(V + 1, V + 1)).astype(np.float32))
    whole = rank(scorer, timelines, positions)
    assert len(set(whole.ranks.tolist())) > 3
    # Room for less than one row, one row, two, three (the last batch has one), seven, eight.
    for allowed in (1, V + 1, 2 * (V + 1), 3 * (V + 1), 7 * (V + 1), 8 * (V + 1)):
        shapes = set()

        def counting(history, seen=shapes):
            seen.add(history[ITEM].shape)
            return scorer(history)

        monkeypatch.setattr(ranking_module, "_MAX_SCORES", allowed)
        ranking = rank(counting, timelines, positions)
        assert {rows for rows, _ in shapes} == {min(7, max(1, allowed // (V + 1)))}
        assert max(length for _, length in shapes) == N
        assert ranking.ranks.tolist() == whole.ranks.tolist()
        assert ranking.users.tolist() == whole.users.tolist() == [2, 0, 0, 0, 1, 1, 1]
        assert ranking.covered == whole.covered
        assert ranking.seen_targets == whole.seen_targets


def test_the_scorer_gets_the_last_n_activities_before_each_target():
    given_histories = []

    def scorer(history):
        given_histories.extend(history[ITEM].tolist())
        return np.zeros((len(history[ITEM]), V + 1), np.float32)

    sequences = [[1, 2, 3, 4, 5], [6, 7]]
    rank(scorer, timelines_of(sequences), [4, 5, 6])
    assert sorted(given_histories) == [left_padded(items, N) for items in ([], [6], [1, 2, 3, 4])]


def test_short_histories_are_scored_in_few_positions():
    shapes = []

    def scorer(history):
        shapes.append(history[ITEM].shape)
        return np.zeros((len(history[ITEM]), V + 1), np.float32)

    # Two rows at a time; only a batch of histories of one activity has one position.
    sequences = [[1, 2, 3, 4, 5, 6, 7, 8]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking_module, "_MAX_SCORES", 2 * (V + 1))
        patch.setattr(buckets, "MIN_SAVED", 1)
        rank(scorer, timelines_of(sequences), [7, 1, 1, 6, 5, 4, 1])
    assert shapes == [(2, 1), (2, 3), (2, 3), (2, 3)]


def test_the_scorer_of_a_model_gives_the_scores_of_the_model():
    counts = np.array([0, *range(V, 0, -1)])
    config = ModelConfig(encoder="bow", hidden_units=4, embedding_dim=4)
    model = RecommenderModel(Schema(V, 4), config, counts, rngs=nnx.Rngs(0))
    items_BN = np.array([[0, 1, 2], [0, 0, 0]], np.int32)
    scores = np.asarray(materialize_scores(model_scorer(*nnx.split(model))({ITEM: items_BN})))
    expected = model.scores(model.encode_last({ITEM: jnp.asarray(items_BN)}))
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    # An empty history ranks by popularity, which is the order of the ids.
    assert np.argsort(-scores[1]).tolist() == [*range(1, V + 1), PAD]
