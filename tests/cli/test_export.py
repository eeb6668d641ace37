"""The command `export`: files written, parity with the model, errors that change no file."""

import json
import re
import zipfile
from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest

from jaxrec.cli import export, verify
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
    saved_catalogue = (runs[encoder] / "catalogue.json").read_bytes()
    assert (folder / "catalogue.json").read_bytes() == saved_catalogue
    columns = json.loads(saved_catalogue)
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
    expected = {"recommend": {10, 100}, "encode": {10, 16}, "score": {10, 100}, "vectors": {100}}
    assert shapes == expected
    assert beside["signatures"]["vectors"]["outputs"]["vectors"]["shape"] == [1, 100, 16]
    summary = json.loads((runs[encoder] / "summary.json").read_text())
    summary["protocol"]["log_summary"]["notes"] = []
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
    accurate_enough = [
        name
        for name, each in recipes.items()
        if each["recall@10"] >= 0.99 * recipes["float32"]["recall@10"]
    ]
    assert card["recipe"] == min(accurate_enough, key=lambda name: recipes[name]["bytes"])


@each_encoder
def test_ids_within_the_safe_integer_range_cause_no_browser_warning(conversions, encoder):
    assert "browser" not in conversions[encoder].stdout


@each_encoder
def test_the_output_compares_the_recipes(conversions, encoder):
    output = conversions[encoder].stdout
    for word in ("float32", "float16", "int8", "top-10 overlap", "recall@10", "p50", " *", "µs"):
        assert word in output
    lines = conversions[encoder].stderr.splitlines()
    progress = re.compile(r"((float32|float16|int8|latency): )?\d+ of \d+ (step|round)s, .* left")
    assert [line for line in lines if not progress.fullmatch(line)] == []


@each_encoder
def test_the_output_has_the_latency_of_shorter_lists(conversions, encoder):
    message = re.sub(r"\d+\.\d", "TIME", conversions[encoder].stdout)
    shorter = "TIME with --top-k=10, TIME with --top-k=20\n"
    assert f"median latency TIME µs with the 100 items of its list; {shorter}" in message


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
    content = models[encoder].read_bytes()
    plain, device = load_interpreter(content), DeviceModel(content)
    assert list(plain.get_signature_list()) == ["recommend", "encode", "score", "vectors"]
    (given,) = plain.get_input_details()
    assert given["name"] == "history"
    history = np.array([[0, 0, 0, 0, 0, 0, 0, 5, 6, 7]], np.int32)
    plain.set_tensor(given["index"], history)
    plain.invoke()
    ids, scores = (plain.get_tensor(each["index"]) for each in plain.get_output_details())
    assert [each["name"] for each in plain.get_output_details()] == ["ids", "scores"]
    for result, expected in zip(
        (ids, scores), device.recommend_all({HISTORY: history}), strict=True
    ):
        np.testing.assert_array_equal(result, expected)


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


@pytest.mark.slow
def test_the_newest_run_is_exported_for_a_server_with_keep_seen(copied_run):
    """Combine all flags of the command."""
    flags = ["--recipe=float16", "--batch-size=4", "--top-k=7", "--candidates=3", "--keep-seen"]
    process = call(export.main, *flags, cwd=copied_run.parents[1])
    assert process.returncode == 0, process.stderr
    assert "--top-k" not in process.stdout  # no shorter list to report
    folder = copied_run / "export"
    assert (folder / "model-batch4.tflite").exists()
    single, server = (read_bundle(folder / f"{name}.tflite") for name in ("model", "model-batch4"))
    assert (single.model["batch_size"], server.model["batch_size"]) == (1, 4)
    assert single.model["recipe"] == server.model["recipe"] == "float16"
    single_device, server_device = DeviceModel(single.graph), DeviceModel(server.graph)
    assert (server_device.batch_size, server_device.top_k, server_device.candidates) == (4, 7, 3)
    heldout = load_heldout(copied_run / "heldout.npz")
    histories = {HISTORY: heldout.history[ITEM][:10]}
    ids, scores = single_device.recommend_all(histories)
    np.testing.assert_array_equal(server_device.recommend_all(histories)[0], ids)
    np.testing.assert_allclose(server_device.recommend_all(histories)[1], scores, rtol=1e-5)
    # Seen items may be recommended.
    popular = single_device.recommend_all({HISTORY: np.zeros((1, 10), np.int32)}).ids
    repeated = single_device.recommend_all({HISTORY: np.tile(popular[:, :1], (1, 10))}).ids
    assert popular[0, 0] in np.concatenate([ids.ravel(), repeated.ravel()])
    lists = single_device.recommend_all(as_inputs(heldout.history))
    size = single.model["vocabulary"]["size"]
    recall = compute_recall(single_device, lists, heldout, size, keep_seen=False)
    assert recall == single.model["evaluation"]["recall@10 through the file"]


def test_ids_only_removes_all_metadata_of_items(copied_run, models):
    """Check that notes about the log, which may contain user ids, are removed too."""
    summary = json.loads((copied_run / "summary.json").read_text())
    summary["protocol"]["log_summary"]["notes"] = ["user 'Ada Lovelace' in 40 rows"]
    (copied_run / "summary.json").write_text(json.dumps(summary))
    flags = ["--ids-only", "--recipe=float16"]
    process = call(export.main, *flags, f"--run-dir={copied_run}", cwd=copied_run.parent)
    assert process.returncode == 0, process.stderr
    model = copied_run / "export" / "model.tflite"
    with zipfile.ZipFile(model) as archive:
        inside = {name: archive.read(name).decode() for name in archive.namelist()}
    before = json.loads((copied_run / "catalogue.json").read_text())
    no_values = [None] * len(before["item"])
    for columns in (
        pl.DataFrame(Recommender.load(model).catalogue[:]).drop("id").to_dict(as_series=False),
        json.loads((copied_run / "export" / "catalogue.json").read_text()),
    ):
        assert columns == before | {"title": no_values, "genres": no_values, "year": no_values}
    titles = [*before["title"], "Ada Lovelace"]
    assert not [title for title in titles if any(title in text for text in inside.values())]
    assert json.loads(inside["model.json"])["described_items"] == 0
    assert "Items with a title, genres or year: none." in inside["MODEL_CARD.md"]
    assert Recommender.load(model).recommend([])[0].title is None
    # By default the metadata is included.
    with zipfile.ZipFile(models["rnn"]) as archive:
        assert f"genres or year: {len(no_values)}." in archive.read("MODEL_CARD.md").decode()


@pytest.mark.slow
def test_ids_beyond_the_safe_integer_range_cause_a_browser_warning(copied_run):
    """Check that the file is written nonetheless: other runtimes can use it."""
    vocabulary = load_vocabulary(copied_run / "vocabulary.json")
    items = vocabulary.values.to_list()
    items[3], items[5], items[7] = 2**53 - 1, -(2**53), 2**53
    replace(vocabulary, values=pl.Series(items)).save(copied_run / "vocabulary.json")
    columns = json.loads((copied_run / "catalogue.json").read_text())
    (copied_run / "catalogue.json").write_text(json.dumps({**columns, "item": items}))
    process = call(
        export.main, "--recipe=float32", f"--run-dir={copied_run}", cwd=copied_run.parent
    )
    assert process.returncode == 0, process.stderr
    assert (
        "\n2 ids are beyond 2^53 - 1, such as -9007199254740992: browsers reject the file; "
        "for the demo page, write ids as text in the log\n"
    ) in process.stdout
    found = Recommender.load(copied_run / "export" / "model.tflite")
    assert found.recommend([-(2**53)])[0].item in items
