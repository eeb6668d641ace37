"""The golden cases, which every runtime replays: calls with their results, or their refusal."""

import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from clients.golden.replay import CALLS, replay
from clients.golden.write_cases import ADAPT_TOLERANCE, GOLDEN, MAX_BYTES
from jaxrec.errors import UserError
from jaxrec.runtime import Recommender, item_scorer

FILES = sorted(GOLDEN.glob("*.json"))
CASES = [(path, case) for path in FILES for case in json.loads(path.read_text("utf-8"))["cases"]]


@cache
def recommender_of(path: Path) -> Recommender:
    return Recommender.load(path.with_suffix(".tflite"))


def is_ranking(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(e, dict) and "score" in e for e in value)


def assert_close(found: Any, expected: Any, tolerance: float) -> None:
    """Compare two results as write_cases.py describes it."""
    if is_ranking(expected):
        assert_close([e["score"] for e in found], [e["score"] for e in expected], tolerance)
        assert swap_ties(found, expected, tolerance) == [e["item"] for e in expected]
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            assert_close(*pair, tolerance)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_close(found[name], value, tolerance)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=0, abs=tolerance)
    else:
        assert (found, type(found)) == (expected, type(expected))


def swap_ties(found: list, expected: list, tolerance: float) -> list:
    """Return the items found, with neighbors swapped where this and their scores permit it."""
    items = [each["item"] for each in found]
    for number, (one, other) in enumerate(pairwise(expected)):
        is_tie = abs(one["score"] - other["score"]) < tolerance
        if is_tie and items[number : number + 2] == [other["item"], one["item"]]:
            items[number : number + 2] = [one["item"], other["item"]]
    return items


@pytest.mark.parametrize(
    ("path", "case"),
    CASES,
    ids=[f"{path.stem}-{case['call']}-{case['name']}" for path, case in CASES],
)
def test_a_case_has_its_result(path, case):
    recommender = recommender_of(path)
    if case.get("error"):
        with pytest.raises(UserError) as error:
            replay(recommender, case["call"], case["arguments"])
        assert "\n" not in str(error.value)
        return
    tolerance = ADAPT_TOLERANCE if case["call"] == "adapt" else 1e-4
    assert_close(replay(recommender, case["call"], case["arguments"]), case["result"], tolerance)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_lists_are_the_same_without_item_embeddings(path, monkeypatch):
    """The signature `score` scores all items if no share of the catalogue is large enough."""
    monkeypatch.setattr(item_scorer, "_MIN_SHARE", 2.0)
    recommender = Recommender.load(path.with_suffix(".tflite"))
    cases = [case for other, case in CASES if other == path and "result" in case]
    lists = [case for case in cases if case["call"].startswith("recommend")]
    assert lists
    for case in lists:
        found = replay(recommender, case["call"], case["arguments"])
        assert_close(found, case["result"], 1e-4)


def test_the_files_are_small_and_complete():
    assert [path.stem for path in FILES] == ["adapter", "features", "keep_seen", "plain", "signed"]
    for path in FILES:
        content = json.loads(path.read_text("utf-8"))
        assert (content["model"], content["tolerance"]) == (f"{path.stem}.tflite", 1e-4)
        assert path.with_suffix(".tflite").stat().st_size <= MAX_BYTES
        names = [(case["call"], case["name"]) for case in content["cases"]]
        assert len(names) == len(set(names))
        assert all(("result" in case) != ("error" in case) for case in content["cases"])


def test_every_call_is_answered_and_refused():
    """Describing an item and knowing it are never refused: None and false are answers."""
    calls = {(case["call"], "error" in case) for _, case in CASES}
    expected = {(call, refused) for call in CALLS for refused in (False, True)}
    assert calls == expected - {("describe", True), ("knows", True)}


@pytest.mark.parametrize(
    ("found", "is_equal"),
    [
        ([("b", 2.0), ("a", 1.0)], False),
        ([("a", 2.0), ("b", 1.0)], True),
        ([("a", 2.00005), ("b", 1.0)], True),
        ([("a", 2.001), ("b", 1.0)], False),
        ([("a", 2.0)], False),
    ],
)
def test_comparison_of_lists(found, is_equal):
    def ranking(pairs):
        return [{"item": item, "score": score} for item, score in pairs]

    expected = ranking([("a", 2.0), ("b", 1.0)])
    if is_equal:
        assert_close(ranking(found), expected, 1e-4)
    else:
        with pytest.raises(AssertionError):
            assert_close(ranking(found), expected, 1e-4)


def test_neighbors_with_equal_scores_may_be_swapped():
    expected = [{"item": item, "score": score} for item, score in (("a", 2.0), ("b", 1.99995))]
    found = [{"item": item, "score": 2.0} for item in ("b", "a")]
    assert_close(found, expected, 1e-4)
