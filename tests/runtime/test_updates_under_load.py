"""Updates while threads call: each call is answered by one of the two models alone."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from clients.golden.signed_model import PUBLIC_KEY, pack, read_parts
from clients.golden.write_cases import GOLDEN
from jaxrec.errors import UserError
from jaxrec.runtime import Recommender

FILES = [pack(read_parts(GOLDEN / f"{name}.tflite")) for name in ("keep_seen", "plain")]
SWAPS = 20
HISTORY = ["A03", "A04", "R3"]  # each model knows some


def as_bytes(embeddings) -> list[bytes]:
    return [np.asarray(each).tobytes() for each in embeddings]


# k of 15 is beyond the lists of the files, so that all items are scored by their embeddings.
CALLS: list[Callable[[Recommender], Any]] = [
    lambda recommender: recommender.recommend(HISTORY),
    lambda recommender: recommender.recommend(HISTORY, k=15),
    lambda recommender: recommender.recommend_many([HISTORY, [], HISTORY[2:]], unknown="popular"),
    lambda recommender: as_bytes(recommender.vectors()),
    lambda recommender: recommender.score(HISTORY, ["A05", "R5"]),
    lambda recommender: recommender.encode(HISTORY).tolist(),
]


def test_every_call_during_updates_has_the_answer_of_one_model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(FILES[0])
    expected = [[call(Recommender.load(file)) for file in FILES] for call in CALLS]
    assert all(one != other for one, other in expected)
    recommender = Recommender.load(path, PUBLIC_KEY)
    is_done = threading.Event()
    answered = threading.Semaphore(0)

    def ask(call: Callable[[Recommender], Any]) -> list[Any]:
        answers = []
        while not is_done.is_set():
            answers.append(call(recommender))
            answered.release()
        return answers

    with ThreadPoolExecutor(len(CALLS)) as pool:
        asking = [pool.submit(ask, call) for call in CALLS]
        try:
            for number in range(1, SWAPS + 1):
                for _ in CALLS:
                    answered.acquire(timeout=30)
                assert recommender.update(FILES[number % 2], rollback=True)
        finally:
            is_done.set()
        answers = [each.result() for each in asking]
    for (one, other), found in zip(expected, answers, strict=True):
        assert found.count(one) + found.count(other) == len(found) > 0
    found = [answer for each in answers for answer in each]
    assert len(found) >= SWAPS * len(CALLS)
    assert path.read_bytes() == FILES[SWAPS % 2]


def test_two_threads_that_update_at_once_replace_the_model_one_after_the_other(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(FILES[0])
    recommender = Recommender.load(path)
    with ThreadPoolExecutor(4) as pool:
        files = [FILES[number % 2] for number in range(12)]
        list(pool.map(lambda file: recommender.update(file, rollback=True), files))
    assert recommender.knows("A03") == (path.read_bytes() == FILES[1])


def test_closing_waits_for_a_running_update():
    recommender = Recommender.load(FILES[0])
    refused = []

    def update() -> None:
        try:
            while True:
                recommender.update(FILES[1], rollback=True)
                recommender.update(FILES[0], rollback=True)
        except UserError as error:
            refused.append(str(error))

    thread = threading.Thread(target=update)
    thread.start()
    recommender.close()
    thread.join(30)
    assert refused == ["the model is closed; load its file again"]
