"""Model files in memory: loading, pickling, closing, threads and processes."""

import json
import multiprocessing
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy

import numpy as np
import pytest

from clients.golden.write_cases import GOLDEN
from jaxrec.errors import UserError
from jaxrec.runtime import Recommender
from tests import ROOT

FILE = GOLDEN / "plain.tflite"
HISTORY = ["A03", "A04"]


@pytest.fixture
def recommender() -> Recommender:
    return Recommender.load(FILE)


def test_a_file_is_loaded_from_its_path_or_content(recommender):
    expected = recommender.recommend(HISTORY)
    for source in (str(FILE), FILE.read_bytes()):
        assert Recommender.load(source).recommend(HISTORY) == expected
    with pytest.raises(UserError, match=r"^the model is not a jaxrec model, or is truncated"):
        Recommender.load(FILE.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"test_loaded_model\.py is not a jaxrec model"):
        Recommender.load(__file__)


def test_a_pickle_has_the_content_of_the_file(recommender):
    recommender.recommend(HISTORY, k=36)  # reads the embeddings, which are not part of it
    pickled = pickle.dumps(recommender)
    assert FILE.read_bytes() in pickled
    assert len(pickled) < FILE.stat().st_size + 200
    for copy in (pickle.loads(pickled), deepcopy(recommender)):
        assert copy.recommend(HISTORY, k=36) == recommender.recommend(HISTORY, k=36)
        assert copy.model == recommender.model


def test_other_processes_recommend_with_a_pickled_recommender(recommender):
    histories = [[item] for item in recommender.items[:6]]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context) as pool:
        found = list(pool.map(recommender.recommend, histories, timeout=60))
    assert found == [recommender.recommend(history) for history in histories]


@pytest.mark.skipif(sys.platform == "win32", reason="has no fork")
def test_children_of_a_process_that_forks_during_calls_answer():
    """A child inherits the lock of a call whose thread it does not have."""
    script = ROOT / "tests" / "runtime" / "fork_under_load.py"
    command = [sys.executable, str(script), str(FILE)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout) == [0] * 20


def test_a_closed_recommender_refuses_calls(recommender):
    recommender.similar("A03")
    recommender.close()
    for call in (
        lambda: recommender.recommend(HISTORY),
        lambda: recommender.recommend(HISTORY, k=36),
        lambda: recommender.recommend_many([HISTORY]),
        lambda: recommender.similar("A03"),
        lambda: recommender.score(HISTORY, ["A05"]),
        lambda: recommender.encode(HISTORY),
        recommender.vectors,
        lambda: pickle.dumps(recommender),
    ):
        with pytest.raises(UserError, match=r"^the model is closed; load its file again$"):
            call()
    recommender.close()
    assert recommender.knows("A03")


def test_a_block_closes_its_recommender():
    with Recommender.load(FILE) as recommender:
        assert recommender.recommend(HISTORY)
    with pytest.raises(UserError, match="is closed"):
        recommender.recommend(HISTORY)


def test_closing_waits_for_running_calls(recommender):
    """Calls of other threads end with their result, or with the error for a closed model."""
    expected, results = recommender.recommend(HISTORY, k=36), []
    is_running = threading.Event()

    def call() -> None:
        try:
            while True:
                results.append(recommender.recommend(HISTORY, k=36) == expected)
                is_running.set()
        except UserError as error:
            results.append(str(error) == "the model is closed; load its file again")

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    is_running.wait(10)
    recommender.close()
    for thread in threads:
        thread.join(10)
    assert len(results) > 4 and all(results)


def test_recommendations_and_ratings_are_json(recommender):
    (found,) = recommender.recommend(HISTORY, k=1)
    entry = json.loads(json.dumps(found.to_dict()))
    described = recommender.describe(found.item)
    assert described is not None
    assert entry == {
        "item": found.item,
        "score": found.score,
        **{name: described[name] for name in ("title", "genres", "year")},
    }
    (rating, unknown) = Recommender.load(GOLDEN / "features.tflite").rate([], ["F01", "Z1"])
    assert rating is not None and unknown is None
    entry = json.loads(json.dumps(rating.to_dict()))
    assert entry["item"] == "F01" and entry["expected"] == rating.expected
    assert list(entry["at_least"]) == ["1.5", "2", "2.5", "3", "3.5"]
    np.testing.assert_array_equal(list(entry["at_least"].values()), list(rating.at_least.values()))
