"""The FastAPI example: answers, refusals, and the replacement of its model under load."""

import json
import shutil
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra server")

from fastapi.testclient import TestClient

from clients.golden.write_cases import GOLDEN
from examples.fastapi.app import WatchedModel, create_app
from jaxrec import Recommender, UserError

HISTORY = ["A03", "A04"]


@pytest.fixture
def model(tmp_path) -> Path:
    return Path(shutil.copy(GOLDEN / "plain.tflite", tmp_path / "model.tflite"))


def replace(model: Path, source: Path) -> None:
    """Rename a copy of a file over the model, as a server is updated."""
    copy = model.with_suffix(".new")
    shutil.copy(source, copy)
    copy.replace(model)


def test_answers_are_those_of_the_recommender(model):
    recommender = Recommender.load(model)
    version = recommender.model["graph"]["sha256"][:12]
    with TestClient(create_app(str(model))) as client:
        assert client.get("/model").json() == {"model": version, "items": 36}
        requests: list[dict[str, Any]] = [
            {"k": 3},
            {"exclude": ["A06"]},
            {"candidates": ["A08", "A20"], "k": 1},
        ]
        for arguments in requests:
            answer = client.post("/recommend", json={"history": HISTORY, **arguments})
            expected = [each.to_dict() for each in recommender.recommend(HISTORY, **arguments)]
            assert (answer.status_code, answer.json()["model"]) == (200, version)
            assert answer.json()["items"] == json.loads(json.dumps(expected))
        popular = [each.item for each in recommender.recommend([], k=10)]
        for body in ({}, {"history": ["no such item"]}):
            items = client.post("/recommend", json=body).json()["items"]
            assert [each["item"] for each in items] == popular
        # A list has at most all other items.
        assert len(client.post("/recommend", json={"k": 1000}).json()["items"]) == 36


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"history": HISTORY, "candidates": ["Z"]}, 400, "all candidates are unknown, such as"),
        ({"features": {"price": [1]}}, 400, "the model has no feature 'price'; it has none"),
        ({"history": "A03"}, 422, "body.history: Input should be a valid list"),
        ({"history": [None]}, 422, "body.history.0.int: Input should be a valid integer"),
        ({"k": 0}, 422, "body.k: Input should be greater than or equal to 1"),
        ({"top": 3}, 422, "body.top: Extra inputs are not permitted"),
        ([], 422, "body: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(model, body, status, message):
    with TestClient(create_app(str(model))) as client:
        answer = client.post("/recommend", json=body)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith(message)
    assert "\n" not in answer.json()["error"]


def test_the_model_is_replaced_under_load(model):
    """All requests are answered, each by one of the two models."""
    files = [GOLDEN / "plain.tflite", model.with_name("other.tflite")]
    shutil.copy(GOLDEN / "keep_seen.tflite", files[1])
    history = [*HISTORY, "R3"]  # each model knows some
    expected = {}
    for file in files:
        recommender = Recommender.load(file)
        items = [each.to_dict() for each in recommender.recommend(history)]
        expected[recommender.model["graph"]["sha256"][:12]] = json.loads(json.dumps(items))

    is_done = threading.Event()
    with TestClient(create_app(str(model), seconds=0.005)) as client:

        def ask(_: int) -> list[tuple[int, Any]]:
            answers = []
            while not is_done.is_set():
                answer = client.post("/recommend", json={"history": history})
                answers.append((answer.status_code, answer.json()))
            return answers

        def version() -> str:
            return client.get("/model").json()["model"]

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask, number) for number in range(4)]
            try:
                for number in range(20):
                    before = version()
                    replace(model, files[(number + 1) % 2])
                    wait_until(lambda before=before: version() != before)
            finally:
                is_done.set()
            answers = [answer for each in asking for answer in each.result()]
    counts = Counter(answer["model"] for status, answer in answers if status == 200)
    assert counts.total() == len(answers) > 40
    assert counts.keys() == expected.keys()
    assert all(answer["items"] == expected[answer["model"]] for _, answer in answers)


def test_a_damaged_or_missing_file_leaves_the_model(model, tmp_path, caplog):
    watched = WatchedModel(model)
    before = watched.recommender.model
    (tmp_path / "damaged").write_bytes(model.read_bytes()[:-1])
    replace(model, tmp_path / "damaged")
    for _ in range(2):  # it is read and logged once
        watched.refresh()
    assert watched.recommender.model is before
    (message,) = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert "model.tflite is not a jaxrec model, or is truncated" in message
    model.unlink()
    watched.refresh()
    assert watched.recommender.model is before
    replace(model, GOLDEN / "adapter.tflite")
    watched.refresh()
    assert watched.recommender.knows(101)


def test_a_model_that_is_not_signed_with_the_key_is_refused(model, tmp_path, monkeypatch, caplog):
    golden = json.loads((GOLDEN / "signed.json").read_text())
    (tmp_path / "release.public.pem").write_text(golden["public_key"])
    monkeypatch.setenv("JAXREC_PUBLIC_KEY", str(tmp_path / "release.public.pem"))
    with pytest.raises(UserError, match="whose files cannot be signed"):
        create_app(str(model))
    replace(model, GOLDEN / "signed.tflite")
    with TestClient(create_app(str(model), seconds=0.005)) as client:
        replace(model, GOLDEN / "plain.tflite")
        wait_until(lambda: any("the model stays as it is" in each for each in caplog.messages))
        assert client.get("/model").json()["items"] == 20


def wait_until(is_reached, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not is_reached():
        assert time.monotonic() < end
        time.sleep(0.001)
