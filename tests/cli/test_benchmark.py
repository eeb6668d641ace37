"""The benchmark command: its table, its peers and its errors."""

import re

import numpy as np
import pytest

from jaxrec.cli import benchmark
from jaxrec.conversion.inputs import as_inputs
from jaxrec.conversion.measure.latency import (
    TimedModel,
    load_interpreter,
    load_timed_model,
    measure_latency,
    percentiles,
)
from jaxrec.conversion.measure.peer import peer_histories, peer_recall, read_peer
from jaxrec.conversion.measure.recall import compute_recall
from jaxrec.conversion.suppress_output import suppress_output
from jaxrec.runs.heldout import load_heldout
from jaxrec.runtime.bundle import read_bundle
from jaxrec.runtime.interpreter import HISTORY, DeviceModel
from tests.exports import call, run_script


@pytest.fixture(scope="module")
def peer(models, tmp_path_factory):
    """Write a bare flatbuffer: the graph of a jaxrec model has the signature of a peer too."""
    path = tmp_path_factory.mktemp("peer") / "their.tflite"
    path.write_bytes(read_bundle(models["cnn"]).graph)
    return path


def test_the_table_has_a_row_per_file_and_a_column_per_peer(models, peer, tmp_path):
    files = [str(models[encoder]) for encoder in ("bow", "rnn")]
    process = run_script(
        "convert/benchmark.py", *files, f"--against={peer}", "--rounds=2", cwd=tmp_path
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    machine, _, head, *rows = process.stdout.splitlines()
    assert "one thread" in machine
    assert head.split()[-4:] == ["p99", "/", "their", "recall@10"]
    assert [row.split()[0] for row in rows] == [*files, "their"]
    assert all(re.search(r"\d+\.\d{3}  +0\.\d{4}$", row) for row in rows)
    assert " 1.000 " in rows[-1]


def test_recall_is_left_out_without_the_run(models, tmp_path):
    single = tmp_path / "model.tflite"
    single.write_bytes(models["bow"].read_bytes())
    process = call(benchmark.main, str(single), "--rounds=1", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert not re.search(r"0\.\d{4}$", process.stdout.splitlines()[-1].rstrip())


def test_a_peer_with_the_same_ids_has_the_same_recall(runs, models):
    """With raw items 1 to V the peer's ids equal jaxrec's; hits differ only by excluded items."""
    bundle, heldout = read_bundle(models["cnn"]), load_heldout(runs["cnn"] / "heldout.npz")
    items = list(range(1, len(bundle.items) + 1))
    interpreter = load_interpreter(bundle.graph)
    timed_model = TimedModel(interpreter, [peer_histories(interpreter, heldout, items)])
    # The model ignores padding on either side.
    device = DeviceModel(bundle.graph)
    lists = device.recommend_all(as_inputs(heldout.history))
    card = compute_recall(device, lists, heldout, len(items), keep_seen=False)
    assert peer_recall(timed_model, heldout, items) == pytest.approx(card, abs=0.01)


def test_latency_has_one_time_per_counted_call(models):
    graph = read_bundle(models["bow"]).graph
    timed_model = load_timed_model(graph, {HISTORY: np.ones((3, 10), np.int32)})
    first, second = measure_latency([timed_model, timed_model], rounds=2)
    assert len(first) == len(second) == 2 * 45
    (short,) = measure_latency([timed_model], rounds=2, seconds=0)
    assert len(short) == 45
    figures = percentiles(first)
    assert 0 < figures["p50"] <= figures["p90"] <= figures["p99"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"not a flatbuffer",
            "scores out): ValueError: The model is not a valid Flatbuffer buffer",
        ),
        (None, "peer.tflite is not a file; give --against=FILE"),
    ],
)
def test_an_invalid_peer_is_refused_in_one_line(models, tmp_path, content, message):
    path = tmp_path / "peer.tflite"
    if content is not None:
        path.write_bytes(content)
    process = call(benchmark.main, str(models["bow"]), f"--against={path}", cwd=tmp_path)
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert message in line


def test_a_valid_peer_is_checked_on_an_initialized_input(tmp_path, monkeypatch):
    """An unguarded gather fails on uninitialized memory; MALLOC_PERTURB_ fills it with nonzeros."""
    tf = pytest.importorskip("tensorflow", reason="needs the extra convert")
    table = tf.constant(np.arange(50, dtype=np.int32))

    def recommend(history):
        ids = tf.gather(table, history)
        return {"ids": ids, "scores": tf.cast(ids, tf.float32)}

    # Too large for the pages that the interpreter happens to get zeroed.
    spec = tf.TensorSpec((10_000,), tf.int32, "history")
    concrete = tf.function(recommend, input_signature=[spec]).get_concrete_function()
    path = tmp_path / "peer.tflite"
    with suppress_output():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        path.write_bytes(converter.convert())
    monkeypatch.setenv("MALLOC_PERTURB_", "90")
    assert read_peer(path) == path.read_bytes()


def test_a_foreign_file_is_refused_as_a_model(peer, tmp_path):
    process = call(benchmark.main, str(peer), cwd=tmp_path)
    assert process.returncode == 2
    assert "is not a jaxrec model" in process.stderr
