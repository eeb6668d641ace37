"""Measure the command `recommend` in a process of its own, and print one line of JSON.

The arguments are a model, a log and the length of the lists. `users`, `seconds`, `cpu` (processor
seconds) and `memory` (peak bytes) are those of the command. `encode`, `product`, `selection` and
`rest` divide the processor seconds: the file's encoder, the products of queries and items, the
other work of the lists, and reading and writing. The first three are measured in this process, on
one thread.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# As in the command, before the first import of NumPy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import polars as pl

from jaxrec.cli.command_line import capture
from jaxrec.runtime.block_ranking import HISTORIES, ExcludedPairs, rank_block, read_item_matrix
from jaxrec.runtime.bundle import read_bundle
from jaxrec.runtime.interpreter import HISTORY, DeviceModel
from jaxrec.runtime.item_scorer import ItemScorer

_BLOCKS = 40


def measure(model: str, log: str, k: str) -> dict[str, float]:
    """Measure the command, and the parts of its work."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=Path(log).parent) as folder:
        flags = f"--model={model}", f"--log={log}", f"--k={k}", f"--out={folder}/lists.parquet"
        capture([sys.executable, "-m", "jaxrec", "recommend", *flags], "recommend")
    seconds, usage = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = usage.ru_utime + usage.ru_stime
    users = pl.scan_parquet(log).select(pl.col("user").n_unique()).collect().item()
    encode, product, lists = (users * each for each in _cost_of_a_list(Path(model), int(k)))
    return {
        "users": users,
        "seconds": seconds,
        "cpu": cpu,
        "memory": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "encode": encode,
        "product": product,
        "selection": lists - encode - product,
        "rest": cpu - lists,
    }


def _cost_of_a_list(model: Path, k: int) -> tuple[float, float, float]:
    """Return the processor seconds of encoding, of the product and of all, for one history."""
    bundle = read_bundle(model)
    scorer = ItemScorer(DeviceModel(bundle.graph), len(bundle.items))
    rng = np.random.default_rng(0)
    shape = HISTORIES, scorer.device.history_length
    histories = {HISTORY: rng.integers(1, scorer.size + 1, shape).astype(np.int32)}
    matrix = read_item_matrix(scorer, histories)
    assert matrix is not None, "NumPy rounds otherwise than the file here"
    rows = np.repeat(np.arange(shape[0]), shape[1])
    excluded = ExcludedPairs(rows, histories[HISTORY].reshape(-1))
    queries = np.insert(scorer.device.encode_all(histories), 0, 1, axis=1)
    places = range(0, scorer.size, 1 << 14)
    return (
        _processor_time(lambda: scorer.device.encode_all(histories)),
        _processor_time(lambda: [queries @ matrix[:, at : at + (1 << 14)] for at in places]),
        _processor_time(lambda: rank_block(scorer, matrix, histories, excluded, k)),
    )


def _processor_time(function: Callable[[], object]) -> float:
    """Return the mean processor seconds of a function of a block, for one history."""
    function()
    started = time.process_time()
    for _ in range(_BLOCKS):
        function()
    return (time.process_time() - started) / _BLOCKS / HISTORIES


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
