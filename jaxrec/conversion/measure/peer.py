"""Peers: other recommenders, in the format of the 2020 system, measured on the same users.

A peer takes the raw item ids of a history, oldest first and padded with zeros at the end, and
returns the raw ids of the best items and their scores, best first.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from jaxtyping import Int32

from jaxrec.conversion.measure.latency import TimedModel
from jaxrec.conversion.measure.recall import compute_hits
from jaxrec.errors import UserError
from jaxrec.runs.heldout import Heldout
from jaxrec.schema import ITEM, PAD

# A damaged flatbuffer can crash its whole process, so it is first run in a subprocess.
_TRIAL = """
import sys, numpy
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
given = interpreter.get_input_details()
found = sorted(each["dtype"].__name__ for each in interpreter.get_output_details())
if [each["dtype"].__name__ for each in given] != ["int32"] or found != ["float32", "int32"]:
    sys.exit(f"it has {len(given)} inputs, and the outputs {', '.join(found)}")
# An input that nobody set holds whatever the memory held: ids out of any range.
interpreter.set_tensor(given[0]["index"], numpy.zeros(given[0]["shape"], numpy.int32))
interpreter.invoke()
"""


def read_peer(path: Path) -> bytes:
    """Read the file of a peer, after a trial run in a subprocess.

    Raises:
        UserError: if it does not run, or is no recommender.
        OSError: if it cannot be read.
    """
    graph = path.read_bytes()
    command = [sys.executable, "-c", _TRIAL, str(path)]
    trial = subprocess.run(command, capture_output=True, text=True, check=False)
    if trial.returncode:
        messages = trial.stderr.strip().splitlines() or [f"exit code {trial.returncode}"]
        raise UserError(
            f"{path} does not run, or is not a recommender (int32 history in, int32 ids and "
            f"float32 scores out): {messages[-1].strip()}; give another file"
        )
    return graph


def peer_histories(
    interpreter: Interpreter, heldout: Heldout, items: Sequence[int]
) -> Int32[np.ndarray, "n N"]:
    """Convert the held-out histories to the input format of a peer.

    Args:
        items: the raw item of each id; id i is entry i - 1.
    """
    length = int(np.prod(interpreter.get_input_details()[0]["shape"]))
    ids = heldout.history[ITEM][:, -length:]
    ids = np.take_along_axis(ids, np.argsort(ids == PAD, axis=1, kind="stable"), axis=1)
    histories = np.zeros((len(ids), length), np.int32)
    histories[:, : ids.shape[1]] = np.array([PAD, *items], np.int32)[ids]
    return histories


def peer_recall(peer: TimedModel, heldout: Heldout, items: Sequence[int]) -> float:
    """Compute recall@10 on the held-out users, with seen items removed from the lists.

    Items outside our catalogue keep their positions in a list, as users would see them. A target
    that is not in the list counts as missed, even if fewer than ten items are left in it.
    """
    interpreter = peer.interpreter
    detail = interpreter.get_input_details()[0]
    ports = {each["dtype"]: each["index"] for each in interpreter.get_output_details()}
    (histories,) = peer.inputs
    lists, scores = [], []
    for history in histories:
        interpreter.reset_all_variables()
        interpreter.set_tensor(detail["index"], history.reshape(detail["shape"]))
        interpreter.invoke()
        lists.append(interpreter.get_tensor(ports[np.int32]).reshape(-1))
        scores.append(interpreter.get_tensor(ports[np.float32]).reshape(-1))
    found = np.array(lists)
    raw, order = np.sort(np.array(items)), np.argsort(np.array(items))
    slots = np.minimum(np.searchsorted(raw, found), len(raw) - 1)
    # Items outside our catalogue keep their positions, as an id that no user has seen.
    ids = np.where(raw[slots] == found, order[slots] + 1, len(raw) + 1).astype(np.int32)
    hit, _ = compute_hits(heldout, np.arange(len(ids)), ids, np.array(scores), keep_seen=False)
    return float(hit.mean())
