"""The LiteRT interpreter, with the signatures of a model file as functions of arrays.

The first axis of all inputs and outputs is the batch. `Inputs` are named as in the file: `history`,
the item ids of some histories, [n, N]; one array of that shape for each feature of activities, and
one, [n], for each feature of the user or the moment; `candidates` or `items`, other ids, [n, M];
`adapter`, the learned vector of a user, [n, D], zeros by default.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from jaxrec.errors import UserError
from jaxrec.runtime.fork_lock import ForkLock

HISTORY, CANDIDATES, ITEMS = "history", "candidates", "items"
ADAPTER, ACTIVITIES, WEIGHTS = "adapter", "activities", "weights"

Inputs = Mapping[str, np.ndarray]

# Interpreters of a parent process that forked during a call. They are never freed: a thread that
# does not exist here was in the middle of changing their memory.
_ABANDONED: list[Any] = []


class Port(NamedTuple):
    """One input or output of a signature.

    Attributes:
        dtype: its NumPy name.
        shape: the first axis is B, the examples of a call.
    """

    dtype: str
    shape: tuple[int, ...]


class Ports(NamedTuple):
    """The inputs and outputs of a signature, by name."""

    inputs: dict[str, Port]
    outputs: dict[str, Port]


class RankedItems(NamedTuple):
    """Recommended items of some histories, best first.

    Attributes:
        ids: int32 [n, k].
        scores: float32 [n, k].
    """

    ids: NDArray[np.int32]
    scores: NDArray[np.float32]


class ItemEmbeddings(NamedTuple):
    """The embeddings of items; a score is the product of a query and an embedding, plus the bias.

    Attributes:
        vectors: float32 [n, D].
        biases: float32 [n].
    """

    vectors: NDArray[np.float32]
    biases: NDArray[np.float32]


class AdaptResult(NamedTuple):
    """The result of the signature `adapt` for one user.

    Attributes:
        adapter: float32 [D], zeros if it was rejected.
        before: the mean cross entropy of the held-out activities without an adapter.
        after: the same with the learned adapter. Both are NaN if nothing was held out.
    """

    adapter: NDArray[np.float32]
    before: float
    after: float


class DeviceModel:
    """A flatbuffer that is ready to run, on one thread; concurrent calls wait for each other.

    A process may fork at any time, also while a thread calls: calls of the child work.

    Attributes:
        signatures: the inputs and outputs of each.
        batch_size: B.
        history_length: N.
        top_k: k.
        candidates: M.
    """

    def __init__(self, graph: bytes):
        self._graph: bytes | None = graph
        # An interpreter has one set of tensors: a call must read its outputs before the next one
        # writes its inputs.
        self._lock = ForkLock()
        self._runners = _open_runners(graph)
        self.signatures = {
            name: Ports(_ports(runner.get_input_details()), _ports(runner.get_output_details()))
            for name, runner in self._runners.items()
        }
        # An adapter of zeros leaves the model as it was shipped.
        self._zero_adapter = {
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
        """Run a signature on B examples, after any running call; the outputs are copies.

        Raises:
            UserError: if the model is closed.
        """
        with self._lock:
            runner = self._require_runners()[signature]
            return runner(**{**self._zero_adapter[signature], **inputs})

    def call_all(self, signature: str, inputs: Inputs) -> dict[str, np.ndarray]:
        """Run a signature on any number of examples, in batches of B."""
        count = len(next(iter(inputs.values())))
        found = [self.call(signature, batch) for batch in self.batches(inputs)]
        return {name: np.concatenate([each[name] for each in found])[:count] for name in found[0]}

    def recommend_all(self, histories: Inputs) -> RankedItems:
        """Return the top k items of each history."""
        found = self.call_all("recommend", histories)
        return RankedItems(found["ids"], found["scores"])

    def encode_all(self, histories: Inputs) -> NDArray[np.float32]:
        """Return the query of each history, [n, D]."""
        return self.call_all("encode", histories)["context"]

    def score_all(self, histories: Inputs, candidates: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the scores of any number of candidates of each history, [n, m]."""
        return self.predict_all("score", histories, candidates)["scores"]

    def adapt(self, activities: NDArray[np.int32], weights: NDArray[np.float32]) -> AdaptResult:
        """Learn the adapter of one user.

        Args:
            activities: known ids, right-aligned, [M].
            weights: the weight of each activity, [M].

        Raises:
            UserError: if the file was exported without `adapt`.
        """
        if "adapt" not in self.signatures:
            raise UserError("the file has no signature `adapt`; export its run with --adapt")
        found = self.call("adapt", {ACTIVITIES: activities[None], WEIGHTS: weights[None]})
        return AdaptResult(found["adapter"][0], float(found["before"][0]), float(found["after"][0]))

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

    def vectors_all(self, items: NDArray[np.int32]) -> ItemEmbeddings:
        """Return the embeddings and biases of any number of items, [n].

        Raises:
            UserError: if the file is older than the signature `vectors`.
        """
        if "vectors" not in self.signatures:
            raise UserError("the file has no signature `vectors`; export its run again")
        width = self.candidates
        padded = np.pad(items, (0, -len(items) % width)).reshape(-1, width)
        found = self.call_all("vectors", {ITEMS: padded})
        vectors, biases = found["vectors"], found["biases"]
        size = len(items)
        return ItemEmbeddings(
            vectors.reshape(-1, vectors.shape[2])[:size], biases.reshape(-1)[:size]
        )

    def close(self) -> None:
        """Free the memory, after any running call."""
        with self._lock:
            self._graph, self._runners = None, {}

    def batches(self, inputs: Inputs) -> list[dict[str, np.ndarray]]:
        """Split examples into batches of B; the last is padded with zeros that callers cut off."""
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

    def _require_runners(self) -> Mapping[str, Any]:
        """Return the function of each signature, of an interpreter that no other process left."""
        if self._graph is None:
            raise UserError("the model is closed; load its file again")
        if self._lock.was_held:
            _ABANDONED.append(self._runners)
            self._runners = _open_runners(self._graph)
            self._lock.was_held = False
        return self._runners


def _open_runners(graph: bytes) -> Mapping[str, Any]:
    interpreter = Interpreter(model_content=graph, num_threads=1)
    interpreter.allocate_tensors()
    names = interpreter.get_signature_list()
    return {name: interpreter.get_signature_runner(name) for name in names}


def _ports(details: Mapping[str, Mapping]) -> dict[str, Port]:
    return {
        name: Port(np.dtype(each["dtype"]).name, tuple(each["shape"].tolist()))
        for name, each in details.items()
    }
