"""Scores of many items: from item embeddings, which are read once, or by the signature `score`."""

from collections import Counter

import numpy as np
import pytest

from clients.golden.write_cases import GOLDEN
from jaxrec.errors import UserError
from jaxrec.runtime.interpreter import HISTORY, DeviceModel, ItemEmbeddings
from jaxrec.runtime.item_scorer import ItemScorer

SIZE = 36
EVERYTHING = np.arange(1, SIZE + 1, dtype=np.int32)
HISTORIES = {HISTORY: np.array([[0, 0, 3, 9], [0, 0, 0, 0], [5, 36, 1, 2]], np.int32)}


class CountingModel(DeviceModel):
    """A model that counts the calls of each signature."""

    def __init__(self, graph: bytes):
        super().__init__(graph)
        self.counts: Counter[str] = Counter()

    def call(self, signature, inputs):
        self.counts[signature] += 1
        return super().call(signature, inputs)


@pytest.fixture
def device() -> CountingModel:
    """Return a model of 36 items that scores 8 per call."""
    return CountingModel((GOLDEN / "plain.tflite").read_bytes())


def test_embeddings_are_read_once(device):
    scorer = ItemScorer(device, SIZE)
    for _ in range(3):
        scorer.score(HISTORIES, EVERYTHING)
    assert device.counts == {"vectors": 5, "encode": 9}


def test_scores_are_those_of_the_signature(device):
    scorer = ItemScorer(device, SIZE)
    expected = device.score_all(HISTORIES, np.tile(EVERYTHING, (3, 1)))
    np.testing.assert_allclose(scorer.score(HISTORIES, EVERYTHING), expected, rtol=1e-6, atol=1e-6)
    some = EVERYTHING[4:29]
    np.testing.assert_array_equal(
        scorer.score(HISTORIES, some), scorer.score(HISTORIES, EVERYTHING)[:, 4:29]
    )


def test_a_score_does_not_depend_on_other_histories(device):
    scorer = ItemScorer(device, SIZE)
    together = scorer.score(HISTORIES, EVERYTHING)
    for number, row in enumerate(HISTORIES[HISTORY]):
        single = scorer.score({HISTORY: row[None]}, EVERYTHING)
        np.testing.assert_array_equal(single[0], together[number])


class ConstantScorer(ItemScorer):
    """A scorer whose items all have the same embedding."""

    def embeddings(self) -> ItemEmbeddings:
        vector = np.random.default_rng(0).normal(size=8).astype(np.float32)
        return ItemEmbeddings(np.tile(vector, (self.size, 1)), np.zeros(self.size, np.float32))


def test_equal_items_have_equal_scores(device):
    """A matrix product rounds rows differently, which depends on their place."""
    items = np.arange(1, 1002, dtype=np.int32)
    scores = ConstantScorer(device, len(items)).score(HISTORIES, items)
    assert [len(np.unique(row)) for row in scores] == [1, 1, 1]


@pytest.mark.parametrize(
    ("size", "count", "signature"),
    [(SIZE, 8, "score"), (SIZE, 9, "encode"), (200, 20, "score"), (200, 21, "encode")],
)
def test_a_small_share_of_the_catalogue_is_scored_by_the_signature(device, size, count, signature):
    ConstantScorer(device, size).score(HISTORIES, EVERYTHING[:count])
    assert set(device.counts) == {signature}


def test_a_file_without_embeddings_is_scored_by_the_signature(device):
    del device.signatures["vectors"]
    scores = ItemScorer(device, SIZE).score(HISTORIES, EVERYTHING)
    np.testing.assert_array_equal(scores, device.score_all(HISTORIES, np.tile(EVERYTHING, (3, 1))))
    assert "encode" not in device.counts


def test_embeddings_cannot_be_changed(device):
    """All later scores are computed from them."""
    vectors, biases = ItemScorer(device, SIZE).embeddings()
    for array in (vectors, biases):
        with pytest.raises(ValueError, match="read-only"):
            array += 1


def test_a_closed_scorer_does_not_read_embeddings_again(device):
    scorer = ItemScorer(device, SIZE)
    scorer.embeddings()
    scorer.close()
    for call in (scorer.embeddings, scorer.lengths):
        with pytest.raises(UserError, match=r"^the model is closed; load its file again$"):
            call()
