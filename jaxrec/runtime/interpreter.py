"""LiteRT's interpreter, with the signatures of our files as functions of arrays.

Arrays that go in and come out have their examples in the first axis. `Inputs` are named as in the
file: `history`, the item ids of some histories, [n, N], one array of that shape for each other
feature of an activity, and one for each of the user, [n]; `candidates` or `items`, other ids,
[n, M]; `adapter`, what was learned of a user, [n, D], which is zeros where none is given.
"""

from collections.abc import Mapping
from threading import Lock
from typing import NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from jaxrec.errors import UserError

HISTORY, CANDIDATES, ITEMS = "history", "candidates", "items"
ADAPTER, ACTIVITIES, WEIGHTS = "adapter", "activities", "weights"

Inputs = Mapping[str, np.ndarray]


class Port(NamedTuple):
    """One input or output of a signature.

    Attributes:
        dtype: NumPy's name of it.
        shape: B, the examples of a call, comes first.
    """

    dtype: str
    shape: tuple[int, ...]


class Ports(NamedTuple):
    """What a signature takes and gives, by name."""

    inputs: dict[str, Port]
    outputs: dict[str, Port]


class Lists(NamedTuple):
    """What was recommended for some histories, best first.

    Attributes:
        ids: int32 [n, k].
        scores: float32 [n, k].
    """

    ids: NDArray[np.int32]
    scores: NDArray[np.float32]


class ItemVectors(NamedTuple):
    """By what items are scored: the product of a context with a vector, and the bias.

    Attributes:
        vectors: float32 [n, D].
        biases: float32 [n].
    """

    vectors: NDArray[np.float32]
    biases: NDArray[np.float32]


class Learned(NamedTuple):
    """What `adapt` learned of a user.

    Attributes:
        adapter: float32 [D], zeros if it was dropped.
        before: the mean cross entropy of what was held back, without the adapter ...
        after: ... and with what was learned; NaN if nothing was held back.
    """

    adapter: NDArray[np.float32]
    before: float
    after: float


class DeviceModel:
    """A flatbuffer ready to run, on one thread. Callers in several threads take turns.

    Attributes:
        signatures: what each takes and gives.
        batch_size: B.
        history_length: N.
        top_k: k.
        candidates: M.
    """

    def __init__(self, graph: bytes):
        interpreter = Interpreter(model_content=graph, num_threads=1)
        interpreter.allocate_tensors()
        names = interpreter.get_signature_list()
        self._runners = {name: interpreter.get_signature_runner(name) for name in names}
        # An interpreter has one set of tensors: a call must read its outputs before the next one
        # writes its inputs. The lock costs 0.1 µs a call.
        self._turn = Lock()
        self.signatures = {
            name: Ports(_ports(runner.get_input_details()), _ports(runner.get_output_details()))
            for name, runner in self._runners.items()
        }
        # Without an adapter, the model as it was shipped.
        self._shipped = {
            name: {
                port: np.zeros(each.shape, each.dtype)
                for port, each in ports.inputs.items()
                if port == ADAPTER
            }
            for name, ports in self.signatures.items()
        }
        score, recommend = self.signatures["score"], self.signatures["recommend"]
        self.batch_size, self.history_length = score.inputs[HISTORY].shape
        self.candidates = score.inputs[CANDIDATES].shape[1]
        self.top_k = recommend.outputs["ids"].shape[1]

    def call(self, signature: str, inputs: Inputs) -> dict[str, np.ndarray]:
        """Run a signature on B examples, when it is this thread's turn; the outputs are copies."""
        with self._turn:
            return self._runners[signature](**{**self._shipped[signature], **inputs})

    def call_all(self, signature: str, inputs: Inputs) -> dict[str, np.ndarray]:
        """Run a signature on any number of examples, a batch at a time."""
        count = len(next(iter(inputs.values())))
        found = [self.call(signature, batch) for batch in self.batches(inputs)]
        return {name: np.concatenate([each[name] for each in found])[:count] for name in found[0]}

    def recommend_all(self, histories: Inputs) -> Lists:
        """Give the best items of each history."""
        found = self.call_all("recommend", histories)
        return Lists(found["ids"], found["scores"])

    def encode_all(self, histories: Inputs) -> NDArray[np.float32]:
        """Give the context of each history, [n, D]."""
        return self.call_all("encode", histories)["context"]

    def score_all(self, histories: Inputs, candidates: NDArray[np.int32]) -> NDArray[np.float32]:
        """Give the scores of any number of candidates of each history, [n, m]."""
        return self.predict_all("score", histories, candidates)["scores"]

    def adapt(self, activities: NDArray[np.int32], weights: NDArray[np.float32]) -> Learned:
        """Learn of one user.

        Args:
            activities: known ids at the right end, [M].
            weights: how much each counts, [M].

        Raises:
            UserError: the file cannot learn.
        """
        if "adapt" not in self.signatures:
            raise UserError("the model cannot learn of a user; convert its run with --adapt")
        found = self.call("adapt", {ACTIVITIES: activities[None], WEIGHTS: weights[None]})
        return Learned(found["adapter"][0], float(found["before"][0]), float(found["after"][0]))

    def predict_all(
        self, signature: str, histories: Inputs, candidates: NDArray[np.int32]
    ) -> dict[str, np.ndarray]:
        """Return the outputs of a signature for any number of candidates, each [n, m, ...]."""
        count = candidates.shape[1]
        width = -(-max(1, count) // self.candidates) * self.candidates
        padded = np.zeros((len(candidates), width), np.int32)
        padded[:, :count] = candidates
        parts = [
            self.call_all(signature, {**histories, CANDIDATES: part})
            for part in np.split(padded, width // self.candidates, axis=1)
        ]
        return {
            name: np.concatenate([part[name] for part in parts], axis=1)[:, :count]
            for name in parts[0]
        }

    def vectors_all(self, items: NDArray[np.int32]) -> ItemVectors:
        """Give the vectors of any number of items, [n].

        Raises:
            UserError: the file is of before it had them.
        """
        if "vectors" not in self.signatures:
            raise UserError("the file has no signature `vectors`; convert its run again")
        width = self.candidates
        padded = np.pad(items, (0, -len(items) % width)).reshape(-1, width)
        found = self.call_all("vectors", {ITEMS: padded})
        vectors, biases = found["vectors"], found["biases"]
        size = len(items)
        return ItemVectors(vectors.reshape(-1, vectors.shape[2])[:size], biases.reshape(-1)[:size])

    def batches(self, inputs: Inputs) -> list[dict[str, np.ndarray]]:
        """Cut examples into batches of B, the last filled up with zeros, which no result is of."""
        count = len(next(iter(inputs.values())))
        missing = -count % self.batch_size
        if missing:
            inputs = {
                name: np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)])
                for name, rows in inputs.items()
            }
        return [
            {name: rows[start : start + self.batch_size] for name, rows in inputs.items()}
            for start in range(0, count, self.batch_size)
        ]


def _ports(details: Mapping[str, Mapping]) -> dict[str, Port]:
    return {
        name: Port(np.dtype(each["dtype"]).name, tuple(each["shape"].tolist()))
        for name, each in details.items()
    }
