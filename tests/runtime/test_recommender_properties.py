"""Properties of the recommender, on a catalogue of 30 items with ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.errors import UserError
from jaxrec.runtime import Recommender, top_k
from jaxrec.schema import ITEM
from tests.bundles import make_bundle, recommender_of
from tests.small_models import SIZE, make_model

# Ties: each odd id has the vector and the bias of the even id after it.
TWINS = make_model("bow")
for table in (TWINS.activities.tables[ITEM], TWINS.bias):
    table[...] = table[...].at[1::2].set(table[...][2::2])
FILES = {
    "one at a time": Shapes(1, 5, 6, 4, False),
    "a batch": Shapes(3, 5, 6, 4, False),
    "keep what was seen": Shapes(1, 5, 6, 4, True),
    "a batch, keep what was seen": Shapes(3, 5, 6, 4, True),
}
RAW = [f"item {number}" for number in range(SIZE, 0, -1)]

some_items = st.lists(st.sampled_from([*RAW, "unknown"]), max_size=SIZE)
histories = some_items.filter(lambda items: not items or set(items) & set(RAW))


@pytest.fixture(scope="module", params=FILES)
def recommender(request) -> Recommender:
    """Return a recommender whose graph lists six of thirty items."""
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    return recommender_of(make_bundle(TWINS, FILES[request.param], RAW))


def test_vectors_are_of_every_item_at_any_batch_size(recommender):
    """Thirty items do not fill a whole number of calls."""
    vectors, biases = recommender.vectors()
    np.testing.assert_array_equal(vectors, np.array(TWINS.item_table)[1:])
    np.testing.assert_array_equal(biases, np.array(TWINS.item_bias)[1:])


def test_items_of_equal_vectors_are_equally_similar(recommender):
    """Of two equal items, the lower id comes first."""
    twin, *others = recommender.similar(RAW[3], k=SIZE)
    assert twin.item == RAW[2]
    assert twin.score == pytest.approx(1)
    places = [RAW.index(each.item) for each in others]
    assert all(places[i + 1] == places[i] + 1 for i in range(0, len(places), 2))


def test_an_older_file_without_vectors():
    """It still recommends."""
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    old = recommender_of(make_bundle(TWINS, FILES["one at a time"], RAW, without="vectors"))
    assert len(old.recommend(RAW[:2], k=SIZE)) == SIZE - 2
    for call in (old.vectors, lambda: old.similar(RAW[0])):
        with pytest.raises(UserError, match=r"no signature `vectors`; export its run again$"):
            call()


def brute_force(recommender: Recommender, history, exclude, candidates) -> list[tuple[float, str]]:
    """Return score and item of all candidates, best first, in plain Python."""
    excluded = {*exclude, *([] if recommender.model["keep_seen"] else history)}
    ranked = [item for item in RAW if item in candidates and item not in excluded]
    pairs = zip(recommender.score(history, ranked), ranked, strict=True)
    return sorted(pairs, key=lambda pair: (-pair[0], RAW.index(pair[1])))


@given(histories, some_items, st.integers(1, SIZE), st.none() | histories)
def test_recommend_equals_sorting_all_scores(recommender, history, exclude, k, candidates):
    found = recommender.recommend(history, k, exclude=exclude, candidates=candidates)
    expected = brute_force(
        recommender, history, exclude, RAW if candidates is None else candidates
    )[:k]
    assert [each.item for each in found] == [item for _, item in expected]
    np.testing.assert_allclose(
        [each.score for each in found], [s for s, _ in expected], rtol=1e-6, atol=1e-6
    )


@given(st.lists(st.tuples(histories, some_items), max_size=5), st.integers(1, SIZE))
def test_recommend_many_equals_single_calls(recommender, requests, k):
    found = recommender.recommend_many(
        [items for items, _ in requests], k, exclude=[e for _, e in requests]
    )
    one_by_one = [recommender.recommend(items, k, exclude=exclude) for items, exclude in requests]
    assert [[each.item for each in row] for row in found] == [
        [each.item for each in row] for row in one_by_one
    ]
    for row, one in zip(found, one_by_one, strict=True):
        np.testing.assert_allclose([e.score for e in row], [e.score for e in one], rtol=1e-6)


def test_many_histories_are_processed_in_chunks(recommender, monkeypatch):
    histories = [RAW[start : start + 3] for start in range(20)]
    expected = recommender.recommend_many(histories, k=9)
    monkeypatch.setattr(top_k, "_MAX_ENTRIES", 1)
    assert recommender.recommend_many(histories, k=9) == expected
