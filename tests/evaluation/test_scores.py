"""Scores in blocks of candidates: the same ranks as from whole rows."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset
from jaxrec.data.vocabulary import Vocabulary
from jaxrec.evaluation import ranking as ranking_module
from jaxrec.evaluation.scores import BLOCK, Factors, materialize_scores, rank_in_blocks, rank_whole
from jaxrec.schema import ITEM, PAD
from tests.small_data import NO_LOG_SUMMARY, no_items, timelines_of, training_on_everything


@given(seed=st.integers(0, 10_000), size=st.sampled_from([8, 9, 15, 16, 17, 30]))
def test_ranks_in_blocks_equal_those_of_whole_rows(seed, size):
    """Scores have few values, so that ties are common, and some are NaN or infinite."""
    rng = np.random.default_rng(seed)
    table = rng.integers(-1, 2, (size, 2)).astype(np.float32)
    bias = rng.choice([0.0, 1.0, np.nan, np.inf, -np.inf], size, p=[0.5, 0.3, 0.1, 0.05, 0.05])
    rows, ids = rng.integers(5, size=12), rng.integers(size + 3, size=12)
    added = rows, ids, rng.integers(-1, 2, 12).astype(np.float32)
    context = rng.integers(-1, 2, (5, 2)).astype(np.float32)
    product = Factors(context, table, bias.astype(np.float32), added)
    targets = rng.integers(1, size, 5)
    excluded = np.stack([rng.integers(5, size=9), rng.integers(size, size=9)])
    excluded[1, excluded[1] == targets[excluded[0]]] = PAD
    ranks, best = rank_in_blocks(product, targets, excluded, top=4, block=8)
    expected, expected_best = rank_whole(materialize_scores(product), targets, excluded, top=4)
    np.testing.assert_array_equal(ranks, expected)
    np.testing.assert_array_equal(best, expected_best)


def test_a_large_catalogue_has_the_same_ranks_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    size = BLOCK + 100
    contexts, table = (rng.normal(size=(size + 1, 4)).astype(np.float32) for _ in range(2))
    bias = rng.normal(size=size + 1).astype(np.float32)
    timelines = timelines_of([rng.integers(1, size + 1, 9).tolist() for _ in range(3)])
    vocabulary = Vocabulary(pl.Series("item", range(1, size + 1)), np.zeros(size + 1, np.int64))
    dataset = Dataset(
        timelines, training_on_everything(timelines), vocabulary, no_items(), NO_LOG_SUMMARY
    )

    def scorer(history):
        return Factors(contexts[history[ITEM][:, -1]], table, bias)

    config = DataConfig(history_length=3)
    whole_rows = ranking_module.rank(scorer, dataset, np.arange(27), config)
    monkeypatch.setattr(ranking_module, "_MAX_WHOLE_ITEMS", size - 1)
    monkeypatch.setattr(ranking_module, "_HISTORIES_IN_BLOCKS", 9)
    monkeypatch.setattr(ranking_module, "_MAX_SCORES", 9 * (size + 1))
    in_blocks = ranking_module.rank(scorer, dataset, np.arange(27), config)
    assert in_blocks.ranks.tolist() == whole_rows.ranks.tolist()
    assert in_blocks.covered == whole_rows.covered
    assert len(set(in_blocks.ranks.tolist())) > 20
