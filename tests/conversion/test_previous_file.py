"""Exports that replace a previous file: the churn between real files, and errors in one line."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import jaxrec
from jaxrec.cli import export
from jaxrec.files import as_json
from jaxrec.runs.directory import RunDirectory
from jaxrec.runtime.bundle import pack_bundle, read_bundle, sha256
from jaxrec.training.run_lists import churn_of_pairs
from tests.bundles import with_older_names
from tests.exports import call, convert, train_without

# It trains several runs.
pytestmark = pytest.mark.slow

pytest.importorskip("tensorflow", reason="needs the extra convert")

TIME_GAPS = ("--log.time-unit=seconds", "--time-gaps")
NAMES = ("overlap@10", "same_first", "changed_items@10", "changed@10")
GONE, NEW = ["A3", "B7", "A5"], ["A1", "A2"]


@pytest.fixture(scope="module")
def weeks(tmp_path_factory) -> tuple[Path, Path]:
    """Train on two weeks of a log; the second has new items, lacks others, and numbers all anew."""
    folder = tmp_path_factory.mktemp("weeks")
    return (
        train_without(NEW, folder / "first", "--encoder=bow", "--history-length=6", *TIME_GAPS),
        train_without(GONE, folder / "second", "--encoder=cnn", "--history-length=4"),
    )


@pytest.fixture(scope="module")
def plain(weeks, tmp_path_factory) -> Path:
    """Export the first week with default settings."""
    return jaxrec.export(weeks[0], export_dir=tmp_path_factory.mktemp("plain"), recipe="float32")


@pytest.fixture(scope="module")
def previous(weeks) -> Path:
    """Export the first week, with settings that the second one does not have."""
    first, _ = weeks
    process = convert(
        *(f"--run-dir={first}", "--top-k=3", "--batch-size=4", "--keep-seen"), cwd=first.parent
    )
    assert process.returncode == 0, process.stderr
    return first / "export" / "model-batch4.tflite"


@pytest.fixture(scope="module")
def replaced(weeks, previous):
    """Export the second week in the place of the first."""
    _, second = weeks
    process = convert(f"--run-dir={second}", f"--previous={previous}", cwd=second.parent)
    assert process.returncode == 0, process.stderr
    return process


def churn_of(model: Path) -> dict:
    """Return the churn in a file, after checking that model.json beside it has the same."""
    inside = read_bundle(model).model["churn"]
    assert json.loads((model.parent / "model.json").read_text())["churn"] == inside
    return inside


def churn_in_an_app(run_dir: Path, before: Path, after: Path) -> dict[str, float]:
    """Compute the churn from the raw lists that an app gets for the test users of a run."""
    run = RunDirectory(run_dir)
    items, seen = run.vocabulary().values.to_list(), run.heldout().seen
    histories = [
        [items[number - 1] for number in seen.gather(np.array([row])).ids]
        for row in range(len(seen))
    ]
    pairs = list(
        zip(
            *(
                [[each.item for each in one] for one in recommender.recommend_many(histories)]
                for recommender in map(jaxrec.Recommender.load, (before, after))
            ),
            strict=True,
        )
    )
    overlaps = [len({*a} & {*b}) / max(len(a), len(b)) for a, b in pairs]
    return {
        "overlap@10": float(np.mean(overlaps)),
        "same_first": float(np.mean([a[0] == b[0] for a, b in pairs])),
        "changed_items@10": float(np.mean([{*a} != {*b} for a, b in pairs])),
        "changed@10": float(np.mean([a != b for a, b in pairs])),
    }


def test_the_churn_is_that_of_the_lists_in_an_app(weeks, previous, replaced):
    """Compare files with other items, lengths, features and seen items by their raw lists."""
    _, second = weeks
    model = second / "export" / "model.tflite"
    churn = churn_of(model)
    expected = churn_in_an_app(second, previous, model)
    assert {name: churn[name] for name in NAMES} == pytest.approx(expected)
    assert 0 < churn["overlap@10"] < 1
    for name in NAMES:
        low, high = churn[f"{name}_interval"]
        assert low <= churn[name] <= high
    assert churn["users"] == 60
    assert churn["previous"] == sha256(previous.read_bytes())


def test_items_that_only_one_file_knows_are_counted(weeks, replaced):
    churn = churn_of(weeks[1] / "export" / "model.tflite")
    assert churn["common_items"] == 20 - len(GONE) - len(NEW)
    assert (churn["added_items"], churn["removed_items"]) == (len(NEW), len(GONE))
    assert (
        "15 items are in both files, 2 only in the new one, 3 only in the previous one"
    ) in replaced.stdout


def test_output_and_card_have_the_churn(weeks, replaced):
    model = weeks[1] / "export" / "model.tflite"
    churn = churn_of(model)
    assert "changed though the history did not" in replaced.stdout
    for name in NAMES:
        assert f"{churn[name]:.4f} ±" in replaced.stdout
    with zipfile.ZipFile(model) as archive:
        card = archive.read("MODEL_CARD.md").decode()
    assert f"lists share {churn['overlap@10']:.1%} of their top ten" in card
    assert "2 items are new, and 3 are gone" in card


def test_a_file_may_replace_itself_and_has_no_churn_then(weeks, plain, tmp_path):
    assert churn_of(plain) is None
    with zipfile.ZipFile(plain) as archive:
        assert "previous file" not in archive.read("MODEL_CARD.md").decode()
    model, content = tmp_path / "model.tflite", plain.read_bytes()
    model.write_bytes(content)
    assert jaxrec.export(weeks[0], export_dir=tmp_path, recipe="float32", previous=model) == model
    churn = churn_of(model)
    assert churn["previous"] == sha256(content) != sha256(model.read_bytes())
    assert [churn[name] for name in NAMES] == [1, 1, 0, 0]
    assert [churn[f"{name}_interval"] for name in NAMES] == [[1, 1], [1, 1], [0, 0], [0, 0]]


def test_the_churn_of_files_is_that_of_their_runs(weeks, plain, tmp_path):
    first, second = weeks
    model = jaxrec.export(second, export_dir=tmp_path, recipe="float32", previous=plain)
    of_files = churn_of(model)
    of_runs = churn_of_pairs([RunDirectory(second), RunDirectory(first)])[str(second), str(first)]
    assert of_runs.means == pytest.approx({name: of_files[name] for name in NAMES})
    assert of_runs.users == of_files["users"]


def write_in_format_1(model: Path, path: Path, items: list) -> None:
    """Write a model file in format 1, whose catalogue is a list of entries, with other items."""
    old = read_bundle(model)
    members = {
        "vocabulary.json": as_json({"values": items}),
        "catalogue.json": as_json(old.catalogue[:]),
        "model.json": as_json(with_older_names(old.model) | {"format": 1}),
    }
    path.write_bytes(pack_bundle(old.graph, members))


def test_a_previous_file_may_have_an_older_format(weeks, previous, replaced, tmp_path):
    old, second = tmp_path / "old.tflite", weeks[1]
    write_in_format_1(previous, old, read_bundle(previous).items)
    model = jaxrec.export(second, export_dir=tmp_path, recipe="float32", previous=old)
    expected = churn_of(second / "export" / "model.tflite")
    assert churn_of(model) == expected | {"previous": sha256(old.read_bytes())}


def of_another_shop(previous: Path, path: Path) -> None:
    write_in_format_1(previous, path, [f"shoe{number}" for number in range(18)])


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda *_: None, "cannot be read (No such file or directory)"),
        (lambda _, path: path.mkdir(), "cannot be read (Is a directory)"),
        (
            lambda previous, path: path.write_bytes(previous.read_bytes()[:-20]),
            "is not a jaxrec model, or is truncated",
        ),
        (
            of_another_shop,
            "has none of the items of the run: it has 18, such as 'shoe0', and",
        ),
    ],
)
def test_a_previous_file_that_cannot_be_compared_is_refused_in_one_line(
    weeks, previous, tmp_path, write, words
):
    write(previous, tmp_path / "old.tflite")
    before = sorted(tmp_path.rglob("*"))
    process = call(
        export.main,
        f"--run-dir={weeks[1]}",
        f"--export-dir={tmp_path / 'export'}",
        f"--previous={tmp_path / 'old.tflite'}",
        cwd=tmp_path,
    )
    assert process.returncode == 2, process.stderr
    (line,) = process.stderr.splitlines()
    assert line.startswith(f"error: --previous={tmp_path / 'old.tflite'} ") and words in line
    assert sorted(tmp_path.rglob("*")) == before
