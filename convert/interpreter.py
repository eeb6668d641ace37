"""LiteRT's interpreter, with the three signatures of our files as functions of arrays."""

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from jaxtyping import Float32, Int32


class Lists(NamedTuple):
    """What was recommended for some histories, best first.

    Attributes:
        ids: [n, k].
        scores: [n, k].
    """

    ids: Int32[np.ndarray, "n k"]
    scores: Float32[np.ndarray, "n k"]


class DeviceModel:
    """A flatbuffer ready to run, on one thread. Callers in several threads take turns.

    Attributes:
        batch_size: B.
        history_length: N.
        top_k: k.
        candidates: M.
    """

    def __init__(self, graph: bytes):
        self.interpreter = Interpreter(model_content=graph, num_threads=1)
        self.interpreter.allocate_tensors()
        # An interpreter has one set of tensors: a call must read its outputs before the next one
        # writes its inputs. The lock costs 0.1 µs a call.
        self._turn = Lock()
        self._recommend = self.interpreter.get_signature_runner("recommend")
        self._encode = self.interpreter.get_signature_runner("encode")
        self._score = self.interpreter.get_signature_runner("score")
        inputs = self._score.get_input_details()
        self.batch_size, self.history_length = (int(n) for n in inputs["history"]["shape"])
        self.candidates = int(inputs["candidates"]["shape"][1])
        self.top_k = int(self._recommend.get_output_details()["ids"]["shape"][1])

    def recommend(self, history: Int32[np.ndarray, "B N"]) -> Lists:
        """Give the best items of each history."""
        found = self._run(self._recommend, history=history)
        return Lists(found["ids"], found["scores"])

    def encode(self, history: Int32[np.ndarray, "B N"]) -> Float32[np.ndarray, "B D"]:
        """Give the context of each history."""
        return self._run(self._encode, history=history)["context"]

    def score(
        self, history: Int32[np.ndarray, "B N"], candidates: Int32[np.ndarray, "B M"]
    ) -> Float32[np.ndarray, "B M"]:
        """Give the scores of each history's candidates."""
        return self._run(self._score, history=history, candidates=candidates)["scores"]

    def _run(
        self, signature: Callable[..., dict[str, np.ndarray]], **inputs: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Call a signature when it is this thread's turn; the outputs are copies."""
        with self._turn:
            return signature(**inputs)

    def recommend_all(self, histories: Int32[np.ndarray, "n N"]) -> Lists:
        """Recommend for any number of histories, a batch at a time."""
        found = [self.recommend(batch) for batch in self.batches(histories)]
        ids, scores = (np.concatenate(part) for part in zip(*found, strict=True))
        return Lists(ids[: len(histories)], scores[: len(histories)])

    def encode_all(self, histories: Int32[np.ndarray, "n N"]) -> Float32[np.ndarray, "n D"]:
        """Encode any number of histories, a batch at a time."""
        contexts = [self.encode(batch) for batch in self.batches(histories)]
        return np.concatenate(contexts)[: len(histories)]

    def score_all(
        self, histories: Int32[np.ndarray, "n N"], candidates: Int32[np.ndarray, "n m"]
    ) -> Float32[np.ndarray, "n m"]:
        """Score any number of histories and candidates, a batch at a time."""
        width = -(-candidates.shape[1] // self.candidates) * self.candidates
        padded = np.zeros((len(candidates), width), np.int32)
        padded[:, : candidates.shape[1]] = candidates
        columns = [
            np.concatenate(
                [
                    self.score(history, chosen)
                    for history, chosen in zip(
                        self.batches(histories),
                        self.batches(padded[:, start : start + self.candidates]),
                        strict=True,
                    )
                ]
            )
            for start in range(0, width, self.candidates)
        ]
        return np.concatenate(columns, axis=1)[: len(histories), : candidates.shape[1]]

    def batches(self, rows: Int32[np.ndarray, "n m"]) -> list[Int32[np.ndarray, "B m"]]:
        """Cut rows into batches of B, the last filled up with zeros."""
        missing = -len(rows) % self.batch_size
        padded = np.concatenate([rows, np.zeros((missing, rows.shape[1]), np.int32)])
        return list(padded.reshape(-1, self.batch_size, rows.shape[1]))
