"""The command `export`: files written, parity with the model, errors that change no file."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from jaxrec.cli import export, verify
from jaxrec.config.toml_file import FORMAT
from jaxrec.conversion import package, product
from jaxrec.conversion.flatbuffer import read_facts, with_top_k
from jaxrec.conversion.inputs import as_inputs
from jaxrec.conversion.measure.latency import load_interpreter
from jaxrec.conversion.measure.recall import compute_recall
from jaxrec.data.vocabulary import load_vocabulary
from jaxrec.runs.heldout import load_heldout
from jaxrec.runtime import Recommender
from jaxrec.runtime.bundle import read_bundle
from jaxrec.runtime.interpreter import HISTORY, DeviceModel
from jaxrec.schema import ITEM
from tests import ROOT
from tests.exports import ENCODERS, call, run_script

each_encoder = pytest.mark.parametrize("encoder", ENCODERS)


@each_encoder
def test_the_export_is_a_bundle_and_two_json_files(runs, models, encoder):
    folder = models[encoder].parent
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.tflite", "model.json", "catalogue.json"}
    with zipfile.ZipFile(models[encoder]) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    saved = (runs[encoder] / "catalogue.json").read_bytes()
    assert (folder / "catalogue.json").read_bytes() == saved
    columns = json.loads(saved)
    assert Recommender.load(models[encoder]).catalogue[:] == [
        {"id": number, **dict(zip(columns, values, strict=True))}
        for number, values in enumerate(zip(*columns.values(), strict=True), start=1)
    ]
    vocabulary = json.loads((runs[encoder] / "vocabulary.json").read_text())
    assert json.loads(inside["vocabulary.json"])["values"] == vocabulary["values"]
    assert json.loads(inside["vocabulary.json"])["digest"] == vocabulary["digest"]
    assert b"## Rules" in inside["MODEL_CARD.md"]


@each_encoder
def test_model_json_describes_the_file(runs, models, encoder):
    beside = json.loads((models[encoder].parent / "model.json").read_text())
    bundle = read_bundle(models[encoder])
    assert beside.items() >= bundle.model.items()
    assert beside["file"]["bytes"] == models[encoder].stat().st_size
    assert beside["graph"]["bytes"] == len(bundle.graph)
    assert (beside["encoder"], beside["history_length"], beside["top_k"]) == (encoder, 10, 100)
    shapes = {
        name: {end["shape"][1] for side in each.values() for end in side.values()}
        for name, each in beside["signatures"].items()
    }
    wanted = {"recommend": {10, 100}, "encode": {10, 16}, "score": {10, 100}, "vectors": {100}}
    assert shapes == wanted
    assert beside["signatures"]["vectors"]["outputs"]["vectors"]["shape"] == [1, 100, 16]
    summary = json.loads((runs[encoder] / "summary.json").read_text())
    summary["protocol"]["intake"]["notes"] = []
    assert beside["evaluation"]["protocol"] == summary["protocol"]
    assert beside["recipes"].keys() == {"float32", "float16", "int8"}
    assert beside["versions"].keys() >= {"jax", "tensorflow", "ai-edge-litert"}
    assert beside["latency"]["recipes"]["int8"]["p50"] > 0
    assert str(ROOT) not in json.dumps(beside)


@each_encoder
def test_the_float32_file_has_the_recall_of_the_model(runs, models, encoder):
    """Check that recall@10 equals that of the evaluation in JAX exactly."""
    recipes = json.loads((models[encoder].parent / "model.json").read_text())["recipes"]
    summary = json.loads((runs[encoder] / "summary.json").read_text())
    assert recipes["float32"]["recall@10"] == summary["test"]["means"]["recall@10"]
    assert recipes["float32"]["score_error"] < 1e-5
    assert recipes["float16"]["overlap"] > 0.98
    assert recipes["int8"]["overlap"] > 0.8
    sizes = [recipes[name]["weight_bytes"] for name in ("float32", "float16", "int8")]
    assert sizes[0] > 1.5 * sizes[1] > 1.5 * 1.4 * sizes[2]


@each_encoder
def test_the_default_recipe_is_the_smallest_within_one_percent_of_recall(models, encoder):
    card = json.loads((models[encoder].parent / "model.json").read_text())
    recipes = card["recipes"]
    good = [
        name
        for name, each in recipes.items()
        if each["recall@10"] >= 0.99 * recipes["float32"]["recall@10"]
    ]
    assert card["recipe"] == min(good, key=lambda name: recipes[name]["bytes"])


@each_encoder
def test_ids_within_the_safe_integer_range_cause_no_browser_warning(conversions, encoder):
    assert "browser" not in conversions[encoder].stdout


@each_encoder
def test_the_output_compares_the_recipes(conversions, encoder):
    output = conversions[encoder].stdout
    for word in ("float32", "float16", "int8", "top-10 overlap", "recall@10", "p50", " *", "µs"):
        assert word in output
    assert conversions[encoder].stderr == ""


@each_encoder
def test_the_output_has_the_latency_of_shorter_lists(conversions, encoder):
    said = re.sub(r"\d+\.\d", "TIME", conversions[encoder].stdout)
    shorter = "TIME with --top-k=10, TIME with --top-k=20\n"
    assert f"median latency TIME µs with the 100 items of its list; {shorter}" in said


@each_encoder
def test_with_top_k_only_truncates_the_lists(models, runs, encoder):
    graph = read_bundle(models[encoder]).graph
    histories = as_inputs(load_heldout(runs[encoder] / "heldout.npz").history)
    device, shorter = DeviceModel(graph), DeviceModel(with_top_k(graph, 7))
    assert shorter.top_k == 7
    for short, long in zip(
        shorter.recommend_all(histories), device.recommend_all(histories), strict=True
    ):
        np.testing.assert_array_equal(short, long[:, :7])
    np.testing.assert_array_equal(shorter.encode_all(histories), device.encode_all(histories))


@each_encoder
def test_the_graph_uses_only_portable_operators(models, encoder):
    facts = read_facts(read_bundle(models[encoder]).graph)
    assert facts.lookups == {"recommend": 1, "encode": 1, "score": 1, "vectors": 1}
    assert facts.tables == 1
    assert not facts.has_state
    assert not [name for name in facts.operators if "CUSTOM" in name or "SEQUENCE" in name]
    assert facts.operators["TOPK_V2"] == 1


@each_encoder
def test_an_interpreter_without_signatures_runs_recommend(models, encoder):
    """Load the whole bundle, including the archive, and run it without naming a signature."""
    whole = models[encoder].read_bytes()
    plain, device = load_interpreter(whole), DeviceModel(whole)
    assert list(plain.get_signature_list()) == ["recommend", "encode", "score", "vectors"]
    (given,) = plain.get_input_details()
    assert given["name"] == "history"
    history = np.array([[0, 0, 0, 0, 0, 0, 0, 5, 6, 7]], np.int32)
    plain.set_tensor(given["index"], history)
    plain.invoke()
    ids, scores = (plain.get_tensor(each["index"]) for each in plain.get_output_details())
    assert [each["name"] for each in plain.get_output_details()] == ["ids", "scores"]
    for got, wanted in zip((ids, scores), device.recommend_all({HISTORY: history}), strict=True):
        np.testing.assert_array_equal(got, wanted)


@each_encoder
def test_verify_succeeds_on_the_exported_file(models, encoder):
    # For one encoder, run the script in a subprocess, as users do.
    start = (
        partial(run_script, "convert/parity.py") if encoder == "rnn" else partial(call, verify.main)
    )
    process = start(f"--model={models[encoder]}", cwd=models[encoder].parent)
    assert process.returncode == 0, process.stderr
    assert "equal on 840 histories" in process.stdout
    assert process.stderr == ""


def test_verify_fails_for_another_run(runs, models, tmp_path):
    """Compare a file with a run on the same data but with other parameters."""
    flags = [f"--model={models['bow']}", f"--run-dir={runs['cnn']}"]
    process = call(verify.main, *flags, cwd=tmp_path)
    assert process.returncode == 1
    (line,) = process.stderr.splitlines()
    assert "differs from its model in its top ten" in line
    assert "worst after history" in line


@pytest.fixture
def copy(runs, models, tmp_path) -> Path:
    """Return a copy of a run and its export that a test may modify."""
    return Path(shutil.copytree(runs["rnn"], tmp_path / "runs" / "rnn"))


def content_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def without_checkpoint(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")


def damaged_checkpoint(run: Path) -> None:
    for path in (run / "checkpoints").rglob("*"):
        if path.is_file() and "params" in path.parts and path.stat().st_size > 500:
            path.write_bytes(b"x" * path.stat().st_size)


def other_vocabulary(run: Path) -> None:
    saved = json.loads((run / "vocabulary.json").read_text())
    saved["values"][0], saved["values"][1] = saved["values"][1], saved["values"][0]
    (run / "vocabulary.json").write_text(json.dumps(saved))


def other_catalogue(run: Path) -> None:
    columns = json.loads((run / "catalogue.json").read_text())
    reversed_ = {name: values[::-1] for name, values in columns.items()}
    (run / "catalogue.json").write_text(json.dumps(reversed_))


def older_format(run: Path) -> None:
    path = run / "config.toml"
    path.write_text(path.read_text().replace(f"format = {FORMAT}", "format = 1"))


MISTAKES = {
    "unfinished": (lambda run: (run / "summary.json").unlink(), [], "is not finished"),
    "another version": (older_format, [], f"has run format 1, this version reads {FORMAT}"),
    "no checkpoint": (without_checkpoint, [], "checkpoints is missing"),
    "damaged checkpoint": (damaged_checkpoint, [], "is damaged"),
    "other vocabulary": (other_vocabulary, [], "does not match its own digest"),
    "other catalogue": (other_catalogue, [], "has other items"),
    "cut histories": (lambda run: truncate(run / "heldout.npz"), [], "heldout.npz is damaged"),
    "cut summary": (lambda run: truncate(run / "summary.json"), [], "summary.json is damaged"),
    "empty summary": (
        lambda run: (run / "summary.json").write_text("{}"),
        [],
        "summary.json is damaged ('protocol')",
    ),
    "large k": (lambda run: None, ["--top-k=100000"], "--top-k=100000 is out of range"),
    "unknown recipe": (lambda run: None, ["--recipe=int3"], "int3"),
    "no folder": (lambda run: None, ["--export-dir=/proc/export"], "/proc/export"),
    "a file for a folder": (lambda run: None, ["--export-dir=note.txt"], "note.txt"),
    "no run": (lambda run: None, ["--run-dir=nowhere"], "nowhere is not a run directory"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_in_one_line_and_changes_no_file(copy, mistake):
    spoil, flags, said = MISTAKES[mistake]
    (copy.parent / "note.txt").write_text("mine")
    spoil(copy)
    before = content_of(copy.parent)
    process = call(export.main, f"--run-dir={copy}", *flags, cwd=copy.parent)
    assert process.returncode == 2, process.stderr
    (line,) = process.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert content_of(copy.parent) == before


def test_without_a_run_the_error_names_the_remedy(tmp_path):
    process = run_script("convert/to_tflite.py", cwd=tmp_path)
    assert process.returncode == 2
    assert "no finished run under runs/; train one with" in process.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore")
def test_a_file_that_fails_verification_is_not_written(copy, models, monkeypatch):
    """Use a quantizer that returns the graph of another model: exit code 1, old export kept."""
    before = content_of(copy)
    wrong = read_bundle(models["cnn"]).graph
    monkeypatch.setattr(product, "quantize", lambda graph, recipe: wrong)
    process = call(export.main, f"--run-dir={copy}", cwd=copy.parent)
    assert process.returncode == 1, process.stderr
    (line,) = process.stderr.splitlines()
    assert "the float32 file" in line
    assert "worst after history" in line
    assert content_of(copy) == before


@pytest.mark.filterwarnings("ignore")
def test_the_newest_run_is_exported_for_a_server_with_keep_seen(copy):
    """Combine all flags of the command."""
    flags = ["--recipe=float16", "--batch-size=4", "--top-k=7", "--candidates=3", "--keep-seen"]
    process = call(export.main, *flags, cwd=copy.parents[1])
    assert process.returncode == 0, process.stderr
    assert "--top-k" not in process.stdout  # no shorter list to report
    folder = copy / "export"
    assert (folder / "model-batch4.tflite").exists()
    single, server = (read_bundle(folder / f"{name}.tflite") for name in ("model", "model-batch4"))
    assert (single.model["batch_size"], server.model["batch_size"]) == (1, 4)
    assert single.model["recipe"] == server.model["recipe"] == "float16"
    alone, together = DeviceModel(single.graph), DeviceModel(server.graph)
    assert (together.batch_size, together.top_k, together.candidates) == (4, 7, 3)
    heldout = load_heldout(copy / "heldout.npz")
    histories = {HISTORY: heldout.history[ITEM][:10]}
    ids, scores = alone.recommend_all(histories)
    np.testing.assert_array_equal(together.recommend_all(histories)[0], ids)
    np.testing.assert_allclose(together.recommend_all(histories)[1], scores, rtol=1e-5)
    # Seen items may be recommended.
    popular = alone.recommend_all({HISTORY: np.zeros((1, 10), np.int32)}).ids
    repeated = alone.recommend_all({HISTORY: np.tile(popular[:, :1], (1, 10))}).ids
    assert popular[0, 0] in np.concatenate([ids.ravel(), repeated.ravel()])
    lists = alone.recommend_all(as_inputs(heldout.history))
    size = single.model["vocabulary"]["size"]
    recall = compute_recall(alone, lists, heldout, size, keep_seen=False)
    assert recall == single.model["evaluation"]["recall@10 through the file"]


@pytest.mark.filterwarnings("ignore")
def test_ids_only_removes_all_metadata_of_items(copy, models):
    """Check that notes about the log, which may contain user ids, are removed too."""
    summary = json.loads((copy / "summary.json").read_text())
    summary["protocol"]["intake"]["notes"] = ["user 'Ada Lovelace' in 40 rows"]
    (copy / "summary.json").write_text(json.dumps(summary))
    flags = ["--ids-only", "--recipe=float16"]
    process = call(export.main, *flags, f"--run-dir={copy}", cwd=copy.parent)
    assert process.returncode == 0, process.stderr
    model = copy / "export" / "model.tflite"
    with zipfile.ZipFile(model) as archive:
        inside = {name: archive.read(name).decode() for name in archive.namelist()}
    before = json.loads((copy / "catalogue.json").read_text())
    nothing = [None] * len(before["item"])
    for columns in (
        pl.DataFrame(Recommender.load(model).catalogue[:]).drop("id").to_dict(as_series=False),
        json.loads((copy / "export" / "catalogue.json").read_text()),
    ):
        assert columns == before | {"title": nothing, "genres": nothing, "year": nothing}
    titles = [*before["title"], "Ada Lovelace"]
    assert not [title for title in titles if any(title in text for text in inside.values())]
    assert json.loads(inside["model.json"])["described_items"] == 0
    assert "Items with a title, genres or year: none." in inside["MODEL_CARD.md"]
    assert Recommender.load(model).recommend([])[0].title is None
    # By default the metadata is included.
    with zipfile.ZipFile(models["rnn"]) as archive:
        assert f"genres or year: {len(nothing)}." in archive.read("MODEL_CARD.md").decode()


@pytest.mark.filterwarnings("ignore")
def test_ids_beyond_the_safe_integer_range_cause_a_browser_warning(copy):
    """Check that the file is written nonetheless: other runtimes can use it."""
    vocabulary = load_vocabulary(copy / "vocabulary.json")
    items = vocabulary.values.to_list()
    items[3], items[5], items[7] = 2**53 - 1, -(2**53), 2**53
    replace(vocabulary, values=pl.Series(items)).save(copy / "vocabulary.json")
    columns = json.loads((copy / "catalogue.json").read_text())
    (copy / "catalogue.json").write_text(json.dumps({**columns, "item": items}))
    process = call(export.main, "--recipe=float32", f"--run-dir={copy}", cwd=copy.parent)
    assert process.returncode == 0, process.stderr
    assert (
        "\n2 ids are beyond 2^53 - 1, such as -9007199254740992: browsers reject the file; "
        "for the demo page, write ids as text in the log\n"
    ) in process.stdout
    found = Recommender.load(copy / "export" / "model.tflite")
    assert found.recommend([-(2**53)])[0].item in items


def test_an_export_removes_older_batch_models(tmp_path):
    for name in ("model-batch4.tflite", "model.tflite", "notes.txt"):
        (tmp_path / name).write_bytes(b"old")
    package.write_package(tmp_path, {"model.tflite": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "model.tflite": b"new",
        "notes.txt": b"old",
    }


def test_missing_packages_are_reported_with_the_install_command(tmp_path):
    """Simulate the first command of the README, which installs only the packages of training."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('tensorflow', 'ai_edge_quantizer'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    script = [sys.executable, str(ROOT / "convert" / "to_tflite.py")]
    process = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert "pip install -c constraints.txt -e '.[convert]'" in line


def test_a_run_trained_on_two_devices_is_restored_on_one(runs):
    code = "import sys, jax; from pathlib import Path; "
    code += "from jaxrec.conversion.restore import restore_run; "
    code += "restore_run(Path(sys.argv[1])); print(len(jax.devices()))"
    done = subprocess.run(
        [sys.executable, "-c", code, runs["bow"]],
        env={**os.environ, "XLA_FLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "1\n", done.stderr
