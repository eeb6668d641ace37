"""Lists of blocks of histories are those of single calls, with the same scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.golden.write_cases import GOLDEN
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.runtime import Recommender, block_ranking
from jaxrec.runtime.block_ranking import ExcludedPairs, rank_block, read_item_matrix
from jaxrec.runtime.bundle import parse_bundle, read_bundle
from jaxrec.runtime.interpreter import HISTORY, DeviceModel, ItemEmbeddings
from jaxrec.runtime.item_index import NO_ITEM
from jaxrec.runtime.item_scorer import ItemScorer
from jaxrec.schema import ITEM
from tests import ROOT
from tests.bundles import make_bundle, pack
from tests.small_models import SIZE, make_model

# Each odd id has the vector and the bias of the even id after it.
TWINS = make_model("rnn")
for table in (TWINS.activities.tables[ITEM], TWINS.bias):
    table[...] = table[...].at[1::2].set(table[...][2::2])
PRETRAINED = sorted((ROOT / "pretrained").glob("*.tflite"))
LENGTH, TOP_K = 5, 12


@pytest.fixture(scope="module", params=[(1, False), (3, False), (1, True)])
def content(request) -> bytes:
    """Return a file of 30 items with ties, which lists 12."""
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    batch, keep_seen = request.param
    return pack(
        make_bundle(TWINS, Shapes(batch, LENGTH, TOP_K, 4, keep_seen), list(range(1, SIZE + 1)))
    )


def inputs_of(histories: list[list[int]], length: int) -> dict[str, np.ndarray]:
    rows = np.zeros((len(histories), length), np.int32)
    for row, ids in zip(rows, histories, strict=True):
        last = ids[-length:]
        row[length - len(last) :] = last
    return {HISTORY: rows}


def pairs_of(histories: list[list[int]]) -> ExcludedPairs:
    pairs = [(row, number) for row, ids in enumerate(histories) for number in ids]
    return ExcludedPairs(*np.array(pairs, int).reshape(-1, 2).T)


def single_lists(content: bytes, histories, k: int) -> list[list[tuple]]:
    """Return id and score of each place, of one call for each history."""
    recommender = Recommender.load(content)
    lists = [recommender.recommend([recommender.items[i - 1] for i in ids], k) for ids in histories]
    ids = {item: number for number, item in enumerate(recommender.items, 1)}
    return [[(ids[each.item], each.score) for each in found] for found in lists]


def block_lists(content: bytes, histories, k: int) -> list[list[tuple]]:
    bundle = parse_bundle(content, "the model")
    scorer = ItemScorer(DeviceModel(content), len(bundle.items))
    length = scorer.device.history_length
    inputs = inputs_of(histories, length)
    rng = np.random.default_rng(0)
    drawn = rng.integers(1, scorer.size + 1, (8, length)).astype(np.int32)
    matrix = read_item_matrix(scorer, {HISTORY: drawn})
    assert matrix is not None, "this machine adds in another order"
    excluded = pairs_of([[]] if bundle.model["keep_seen"] else histories)
    found = rank_block(scorer, matrix, inputs, excluded, k)
    return [
        [(number, score) for number, score in zip(*row, strict=True) if number != NO_ITEM]
        for row in zip(found.ids.tolist(), found.scores.tolist(), strict=True)
    ]


some_histories = st.lists(st.lists(st.integers(1, SIZE), max_size=2 * SIZE), min_size=1, max_size=6)


@given(some_histories, st.integers(1, SIZE), st.sampled_from([1, 7, 64]))
def test_blocks_equal_single_calls(content, histories, k, items):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_ranking, "_ITEMS", max(items, 2))
        found = block_lists(content, histories, k)
    assert found == single_lists(content, histories, k)


@pytest.mark.parametrize("path", PRETRAINED, ids=lambda path: path.stem)
@pytest.mark.parametrize("k", [1, 10, 100])
def test_blocks_of_a_trained_int8_file_equal_single_calls(path, k):
    """Most lists of 100 lack seen items of the file's own list, so that it is too short."""
    content, rng = path.read_bytes(), np.random.default_rng(k)
    size = len(parse_bundle(content, path).items)
    popular = 1 / np.arange(10, 10 + size)
    histories = [
        rng.choice(size, rng.integers(0, 150), p=popular / popular.sum()) + 1 for _ in range(40)
    ]
    histories = [each.tolist() for each in histories]
    assert block_lists(content, histories, k) == single_lists(content, histories, k)


def test_all_scores_of_products_are_those_of_the_file():
    """Not only those of its own lists: every item, for the last and an incomplete block too."""
    bundle, rng = read_bundle(PRETRAINED[-1]), np.random.default_rng(0)
    scorer = ItemScorer(DeviceModel(bundle.graph), len(bundle.items))
    count = 7
    drawn = rng.integers(1, scorer.size + 1, (count, scorer.device.history_length))
    inputs = {HISTORY: drawn.astype(np.int32)}
    everything = np.tile(np.arange(1, scorer.size + 1, dtype=np.int32), (count, 1))
    expected = scorer.device.score_all(inputs, everything)
    matrix = read_item_matrix(scorer, inputs)
    assert matrix is not None
    queries = np.insert(scorer.device.encode_all(inputs), 0, 1, axis=1)
    np.testing.assert_array_equal(queries @ matrix, expected)


class RoundingScorer(ItemScorer):
    """A scorer whose embeddings differ from the file's in the last bits."""

    def embeddings(self) -> ItemEmbeddings:
        vectors, biases = super().embeddings()
        return ItemEmbeddings(vectors * np.float32(1 + 1e-7), biases)


def test_products_that_round_otherwise_are_not_used():
    scorer = RoundingScorer(DeviceModel((GOLDEN / "plain.tflite").read_bytes()), 36)
    histories = {HISTORY: np.array([[0, 0, 3, 9], [5, 36, 1, 2]], np.int32)}
    assert read_item_matrix(scorer, histories) is None
    other = ItemScorer(scorer.device, 36)
    assert read_item_matrix(other, histories) is not None
    found = rank_block(scorer, None, histories, pairs_of([[3, 9], [5, 36, 1, 2]]), 5)
    expected = rank_block(
        other, read_item_matrix(other, histories), histories, pairs_of([[3, 9], [5, 36, 1, 2]]), 5
    )
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_an_older_file_without_vectors_has_no_item_matrix():
    device = DeviceModel((GOLDEN / "plain.tflite").read_bytes())
    del device.signatures["vectors"]
    histories = {HISTORY: np.array([[0, 0, 3, 9]], np.int32)}
    assert read_item_matrix(ItemScorer(device, 36), histories) is None


def test_a_mask_of_all_items_is_built_for_few_histories_at_a_time(monkeypatch):
    """Where the file computes the scores."""
    shapes: list[tuple[int, ...]] = []
    rank_all = block_ranking.rank_all

    def counted(scorer, histories, excluded, k):
        shapes.append(excluded.shape)
        return rank_all(scorer, histories, excluded, k)

    monkeypatch.setattr(block_ranking, "rank_all", counted)
    monkeypatch.setattr(block_ranking, "histories_per_chunk", lambda batch, size: 2)
    scorer = ItemScorer(DeviceModel((GOLDEN / "plain.tflite").read_bytes()), 36)
    histories = {HISTORY: np.arange(20, dtype=np.int32).reshape(5, 4)}
    rank_block(scorer, None, histories, pairs_of([[1]] * 5), 3)
    assert shapes == [(2, 37), (2, 37), (1, 37)]
