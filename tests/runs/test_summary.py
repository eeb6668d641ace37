"""The summary of a run: saving, loading, and rejection of damaged files."""

import json

import pytest

from jaxrec.errors import UserError
from jaxrec.runs.summary import load_summary
from tests.runs.small_summaries import make_sliced_summary, make_summary


def test_a_summary_with_slices_is_read_back_equal(tmp_path):
    summary = make_sliced_summary(time_gaps=True)
    summary.save(tmp_path / "summary.json")
    assert load_summary(tmp_path / "summary.json") == summary


def test_a_summary_is_read_back_equal(tmp_path):
    summary = make_summary(seen_targets=3)
    summary.save(tmp_path / "summary.json")
    assert load_summary(tmp_path / "summary.json") == summary


def test_an_older_summary_is_read_with_defaults(tmp_path):
    path = tmp_path / "summary.json"
    make_summary().save(path)
    content = json.loads(path.read_text())
    for name in (
        "target_events",
        "target_weight",
        "effective_targets",
        "knows_target_time",
        "slices",
    ):
        del content["protocol"][name]
    del content["without_target_time"]
    path.write_text(json.dumps(content))
    assert load_summary(path) == make_summary()


def without_split(content):
    del content["protocol"]["split"]


def with_a_newer_field(content):
    content["test"]["novelty"] = 0.5


def with_a_word_for_a_number(content):
    content["test"]["means"]["recall@10"] = "high"


def with_half_an_interval(content):
    content["test"]["intervals"]["mrr"].pop()


def with_a_list_for_figures(content):
    content["baselines"]["popularity"] = []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_split, r"summary.json is damaged \(.*'split'\); train the run again"),
        (with_a_newer_field, r"is damaged \(.*'novelty'\)"),
        (with_a_word_for_a_number, r"is damaged \(.*float: 'high'\)"),
        (with_half_an_interval, "is damaged"),
        (with_a_list_for_figures, "is damaged"),
        (lambda content: content.clear(), r"is damaged \('protocol'\)"),
    ],
)
def test_a_damaged_summary_is_one_line(tmp_path, change, message):
    path = tmp_path / "summary.json"
    make_summary().save(path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message) as error:
        load_summary(path)
    assert "\n" not in str(error.value)
    path.unlink()
    with pytest.raises(UserError, match=r"summary.json is missing"):
        load_summary(path)
