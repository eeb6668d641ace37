"""The place of a file in the order of its versions, and the hashes that an export contains."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clients.golden.signed_model import pack, read_parts
from clients.golden.write_cases import GOLDEN
from jaxrec.cli import export
from jaxrec.conversion.export_folder import describe_files
from jaxrec.conversion.previous_file import PreviousFile
from jaxrec.conversion.release import Release, next_release
from jaxrec.errors import UserError
from jaxrec.runtime import Recommender
from jaxrec.runtime.bundle import parse_bundle, read_bundle, read_members, sha256
from tests.exports import call

SECONDS = 1_796_126_400
MOMENT = "2026-12-01T12:00:00Z"
SIGNED = GOLDEN / "signed.tflite"


@pytest.fixture
def epoch(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(SECONDS))


def previous_of(path: Path) -> PreviousFile:
    return PreviousFile(path, sha256(path.read_bytes()), read_bundle(path))


def test_the_first_file_has_the_number_1(epoch):
    assert next_release(None) == Release(MOMENT, 1, None)


def test_a_file_has_one_more_than_its_parent(epoch):
    digest = sha256(SIGNED.read_bytes())
    assert next_release(previous_of(SIGNED)) == Release(MOMENT, 4, digest)
    plain = GOLDEN / "plain.tflite"  # of an older version
    assert next_release(previous_of(plain)) == Release(MOMENT, 1, sha256(plain.read_bytes()))


def test_a_file_is_created_now(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    before = datetime.now(UTC).replace(microsecond=0)
    created = next_release(None).created
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert before <= datetime.fromisoformat(created) <= datetime.now(UTC)


@pytest.mark.parametrize("given", ["", "-1", "1.5", "today", "253402300800"])
def test_an_invalid_source_date_epoch_is_refused(monkeypatch, given):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", given)
    with pytest.raises(UserError, match=r"^SOURCE_DATE_EPOCH=.* is not a time in seconds"):
        next_release(None)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("sequence", "3", "its field sequence is .3."), ("created", 3, "its field created is 3")],
)
def test_a_place_of_another_type_is_damage(field, value, message):
    parts = read_parts(GOLDEN / "keep_seen.tflite")
    content = pack(replace(parts, model={**parts.model, field: value}))
    with pytest.raises(UserError, match=f"is damaged .{message}"):
        parse_bundle(content, "model.tflite")


def test_an_export_has_the_hashes_of_its_files_and_members(models):
    folder = models["rnn"].parent
    beside = json.loads((folder / "model.json").read_text())
    files = {name: (folder / name).read_bytes() for name in ("model.tflite", "catalogue.json")}
    assert beside["files"] == describe_files(files)
    assert beside["file"] == beside["files"]["model.tflite"]
    model = read_bundle(models["rnn"]).model
    members = read_members(files["model.tflite"])
    del members["model.json"]
    assert model["members"] == {name: sha256(content) for name, content in members.items()}
    assert members.keys() == {"vocabulary.json", "catalogue.jsonl", "MODEL_CARD.md"}
    assert (model["sequence"], model["parent"]) == (1, None)
    assert model["versions"]["jaxrec"] and model["min_runtime"]
    until = model["evaluation"]["protocol"]["log_summary"]["until"]
    assert model["log_until"] == until is not None
    assert datetime.fromisoformat(until) < datetime.fromisoformat(model["created"])
    card = members["MODEL_CARD.md"].decode()
    assert f"Number 1 of its sequence, created {model['created']}, from a log until {until}" in card


@pytest.mark.slow
def test_the_next_export_updates_the_one_before(runs, tmp_path, epoch):
    """Export a run three times: equal files at an equal time, then one that follows them."""
    folders = [tmp_path / name for name in ("one", "other", "next")]
    first = folders[0] / "model.tflite"
    flags = [f"--run-dir={runs['rnn']}", "--recipe=float32", "--batch-size=4"]
    for folder in folders:
        previous = [f"--previous={first}"] if folder.name == "next" else []
        process = call(export.main, *flags, *previous, f"--export-dir={folder}", cwd=tmp_path)
        assert process.returncode == 0, process.stderr
    for name in ("model.tflite", "model-batch4.tflite", "catalogue.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    digest = sha256(first.read_bytes())
    beside = json.loads((folders[2] / "model.json").read_text())
    assert beside["files"].keys() == {"model.tflite", "model-batch4.tflite", "catalogue.json"}
    for name in ("model.tflite", "model-batch4.tflite"):
        model = read_bundle(folders[2] / name).model
        assert (model["sequence"], model["parent"], model["created"]) == (2, digest, MOMENT)
        assert beside["files"][name]["sha256"] == sha256((folders[2] / name).read_bytes())
    recommender = Recommender.load(first)
    assert not recommender.update(folders[1] / "model.tflite")
    assert recommender.update(folders[2] / "model.tflite")
    with pytest.raises(UserError, match="older than the model in use: sequence 1"):
        recommender.update(folders[1] / "model.tflite")
