"""Guards of a converted model: each one fails on a device with that defect."""

import numpy as np
import pytest

from jaxrec.conversion.verify import guards
from jaxrec.conversion.verify.trials import Trials, build_trials
from jaxrec.errors import FailedCheckError
from jaxrec.runtime.interpreter import (
    CANDIDATES,
    HISTORY,
    ITEMS,
    DeviceModel,
    ItemEmbeddings,
    Port,
    Ports,
    RankedItems,
)
from jaxrec.schema import PAD
from tests.conversion.verify.test_trials import HELDOUT, SIZE

TRIALS: Trials = build_trials(HELDOUT, SIZE)
K, M = 5, 10


def known_or_pad(ids: np.ndarray) -> np.ndarray:
    return np.where((ids > PAD) & (ids <= SIZE), ids, PAD)


class Device(DeviceModel):
    """A correct device: popular items first, with scores slightly changed by the history."""

    def __init__(self):
        self.candidates, self.top_k, self.batch_size = M, K, 1
        history = {HISTORY: Port("int32", (1, 4))}
        context = {"context": Port("float32", (1, SIZE + 1))}
        candidates = {CANDIDATES: Port("int32", (1, M))}
        scores = {"scores": Port("float32", (1, M))}
        vectors = {"vectors": Port("float32", (1, M, SIZE + 1)), "biases": Port("float32", (1, M))}
        self.signatures = {
            "encode": Ports(history, context),
            "score": Ports(history | candidates, scores),
            "vectors": Ports({ITEMS: Port("int32", (1, M))}, vectors),
        }
        # A context holds each item's gain from the history; its one-hot vector selects it.
        self.table = np.eye(SIZE + 1, dtype=np.float32)
        self.bias = -np.arange(SIZE + 1, dtype=np.float32)
        self.table[PAD], self.bias[PAD] = 0, -1e9

    def call_all(self, signature, inputs):
        if signature == "encode":
            return {"context": self.contexts(inputs[HISTORY])}
        if signature == "vectors":
            ids = known_or_pad(inputs[ITEMS])
            return {"vectors": self.table[ids], "biases": self.bias[ids]}
        ids = known_or_pad(inputs[CANDIDATES])
        return {"scores": np.take_along_axis(self.scores(inputs[HISTORY]), ids, axis=1)}

    def contexts(self, histories: np.ndarray) -> np.ndarray:
        gains = np.random.default_rng(0).normal(size=(SIZE + 1, SIZE + 1)).astype(np.float32)
        gains[PAD] = 0
        return gains[known_or_pad(histories)].sum(axis=1)

    def scores(self, histories: np.ndarray) -> np.ndarray:
        return self.contexts(histories) @ self.table.T + self.bias

    def recommend_all(self, histories):
        histories = histories[HISTORY]
        scores = self.scores(histories)
        scores[np.arange(len(scores))[:, None], known_or_pad(histories)] = -1e9
        ids = np.argsort(-scores, axis=1, kind="stable")[:, :K].astype(np.int32)
        return RankedItems(ids, np.take_along_axis(scores, ids, axis=1))

    def score_all(self, histories, candidates):
        return self.call_all("score", {**histories, CANDIDATES: candidates})["scores"]


class ReturnsPadding(Device):
    def recommend_all(self, histories):
        ids, scores = super().recommend_all(histories)
        ids[4, -1] = PAD
        return RankedItems(ids, scores)


class ReturnsInvalidItems(Device):
    def recommend_all(self, histories):
        ids, scores = super().recommend_all(histories)
        ids[0, 0] = SIZE + 1
        return RankedItems(ids, scores)


class ReturnsDuplicates(Device):
    def recommend_all(self, histories):
        ids, scores = super().recommend_all(histories)
        ids[1, 1] = ids[1, 0]
        return RankedItems(ids, scores)


class ReturnsWorstFirst(Device):
    def recommend_all(self, histories):
        ids, scores = super().recommend_all(histories)
        return RankedItems(ids[:, ::-1], scores[:, ::-1])


class ReturnsHistory(Device):
    def recommend_all(self, histories):
        scores = self.scores(histories[HISTORY])
        ids = np.argsort(-scores, axis=1, kind="stable")[:, : K * 5].astype(np.int32)
        return RankedItems(ids, np.take_along_axis(scores, ids, axis=1))


class ReturnsNaN(Device):
    def recommend_all(self, histories):
        ids, scores = super().recommend_all(histories)
        scores[0, 0] = np.nan
        return RankedItems(ids, scores)


class IgnoresItemsBeforePadding(Device):
    """An LSTM that resets its state at padding does this."""

    def contexts(self, histories):
        histories = histories.copy()
        for row in histories:
            invalid = np.flatnonzero((row <= PAD) | (row > SIZE))
            row[: invalid[-1] + 1 if len(invalid) else 0] = PAD
        return super().contexts(histories)


class ClampsIds(Device):
    """A plain gather does this with ids out of range."""

    def contexts(self, histories):
        return super().contexts(np.clip(histories, PAD, SIZE))


class ClampsCandidates(Device):
    def call_all(self, signature, inputs):
        clipped = np.clip(inputs.get(CANDIDATES, np.zeros((1, M))), PAD, SIZE)
        return super().call_all(signature, {**inputs, CANDIDATES: clipped.astype(np.int32)})


class ReturnsVectorsOfUnknownItems(Device):
    """A model whose PAD row is not zeroed does this."""

    def vectors_all(self, items):
        vectors, biases = super().vectors_all(items)
        return ItemEmbeddings(np.where(biases[:, None] < -1e8, 0.1, vectors), biases)


class ReturnsOtherVectors(Device):
    """A second table that differs from the one of the scores does this."""

    def vectors_all(self, items):
        vectors, biases = super().vectors_all(items)
        return ItemEmbeddings(1.01 * vectors, biases)


class ReturnsOtherBiases(Device):
    def vectors_all(self, items):
        vectors, biases = super().vectors_all(items)
        return ItemEmbeddings(vectors, biases + np.float32(0.01))


class KeepsState(Device):
    last = 0.0

    def recommend_all(self, histories):
        ids, scores = super().recommend_all(histories)
        for row, history in zip(scores, histories[HISTORY], strict=True):
            row += np.float32(self.last)
            self.last = 1e-6 * float(history[-1] % 7)
        return RankedItems(ids, scores)


def check(device: Device, keep_seen: bool = False) -> None:
    lists = device.recommend_all(TRIALS.inputs)
    guards.check_guards(device, lists, TRIALS, SIZE, keep_seen=keep_seen)


def test_a_correct_device_passes():
    check(Device())


@pytest.mark.parametrize(
    ("device", "complaint"),
    [
        (ReturnsPadding(), r"returned an invalid id after history 4 \("),
        (ReturnsInvalidItems(), r"returned an invalid id after history 0 \(held out\)"),
        (ReturnsDuplicates(), r"returned an item twice after history 1 \(held out\)"),
        (ReturnsWorstFirst(), "returned a worse item before a better one"),
        (ReturnsNaN(), "returned a worse item before a better one after history 0"),
        (ReturnsHistory(), "returned an item of the history"),
        (
            IgnoresItemsBeforePadding(),
            r"did not ignore an unknown value after history \d+ \(padded on the right\)",
        ),
        (ClampsIds(), "did not ignore an unknown value|of the history"),
        (ClampsCandidates(), "scored an unknown candidate as a known one"),
        (KeepsState(), "kept state of another history"),
        (ReturnsVectorsOfUnknownItems(), "returned a vector for an unknown item$"),
        (
            ReturnsOtherVectors(),
            r"returned scores that differ from those of its vectors after history \d+ \(",
        ),
        (
            ReturnsOtherBiases(),
            r"returned scores that differ from those of its vectors after history 0 \(",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Device) else "",
)
def test_a_defect_is_reported_with_the_history(device, complaint):
    with pytest.raises(FailedCheckError, match=complaint):
        check(device)


def test_seen_items_may_be_recommended_with_keep_seen():
    check(ReturnsHistory(), keep_seen=True)


def test_compiled_model_must_agree(monkeypatch):
    differs = lambda _, device, histories: device.recommend_all(histories)[0][::-1]  # noqa: E731
    monkeypatch.setattr(guards, "_in_compiled_model", differs)
    device = Device()
    lists = device.recommend_all(TRIALS.inputs)
    with pytest.raises(FailedCheckError, match="returned another list in CompiledModel"):
        guards.check_compiled_model(b"", device, lists, TRIALS)
