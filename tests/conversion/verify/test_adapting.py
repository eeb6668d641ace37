"""On-device adaptation: the `adapt` signature, both runtimes and the commands."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.compiled_model import CompiledModel
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.conversion.flatbuffer import finalize_graph, read_facts
from jaxrec.conversion.graph.quantize import quantize
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.conversion.recipes import RECIPES
from jaxrec.conversion.verify.adapting import compute_adapting_error
from jaxrec.conversion.verify.distance import compute_reference
from jaxrec.conversion.verify.proof import MIN_OVERLAP, verify_graph
from jaxrec.errors import UserError
from jaxrec.models.adapter import AdaptConfig, recency_weights
from jaxrec.runtime import Adapter, Recommender
from jaxrec.runtime.interpreter import DeviceModel
from jaxrec.runtime.user_adapter import adapt_inputs
from tests.exports import call, convert
from tests.small_models import make_heldout, make_model, random_histories

pytest.importorskip("tensorflow", reason="needs the extra convert")

N, M = 5, 20
SHAPES = Shapes(1, N, 6, 4, keep_seen=False)
CONFIG = AdaptConfig(activities=M, held_out=4, l2_penalty=0.5)


def export_graph(model, adapt: AdaptConfig | None) -> bytes:
    from jaxrec.conversion.graph.export import export_model

    return export_model(model, SHAPES, adapt)


@pytest.mark.parametrize(
    "name",
    [
        "rnn",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("bow, untied", "cnn", "transformer")
        ),
    ],
)
def test_the_adapter_matches_the_model_and_zeros_reproduce_the_shipped_model(name):
    encoder, *untied = name.split(", ")
    model = make_model(encoder, hidden_units=12, tie_embeddings=not untied)
    reference = compute_reference(
        model, make_heldout(random_histories(N)), top_k=6, keep_seen=False, adapt=CONFIG
    )
    adaptive, without = export_graph(model, CONFIG), export_graph(model, None)
    for recipe in RECIPES:
        graph = finalize_graph(quantize(adaptive, recipe), first="recommend")
        plain = quantize(without, recipe)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(MIN_OVERLAP, "float16", 0.9)
            device, _, facts, parity = verify_graph(graph, reference, recipe)
        assert parity.adapting_error > 0
        shipped, given = DeviceModel(plain), reference.trials.inputs
        candidates = np.tile(np.arange(4, dtype=np.int32), (len(reference.trials), 1))
        for signature in ("recommend", "encode", "score"):
            inputs = {**given, "candidates": candidates} if signature == "score" else given
            found, expected = (each.call_all(signature, inputs) for each in (device, shipped))
            for output, values in expected.items():
                np.testing.assert_array_equal(found[output], values)
        assert "adapt" not in shipped.signatures
        # Adaptation adds no copy of an item table.
        assert facts.tables == read_facts(plain).tables


def test_an_adapter_is_added_to_every_query():
    model = make_model("bow", hidden_units=12)
    device = DeviceModel(export_graph(model, CONFIG))
    histories = np.array(random_histories(N), np.int32)
    adapter = np.linspace(-1, 1, 6, dtype=np.float32)
    given = {"history": histories, "adapter": np.tile(adapter, (len(histories), 1))}
    shipped = device.encode_all({"history": histories})
    np.testing.assert_array_equal(device.encode_all(given), shipped + adapter)
    items = np.tile(np.arange(1, 9, dtype=np.int32), (len(histories), 1))
    moved = device.score_all(given, items) - device.score_all({"history": histories}, items)
    expected = np.asarray(model.item_table)[1:9] @ adapter
    np.testing.assert_allclose(moved, np.tile(expected, (len(histories), 1)), atol=1e-5)


def test_compiled_model_learns_the_same_adapter():
    """LiteRT.js is built on CompiledModel."""
    graph = export_graph(make_model("rnn", hidden_units=12), CONFIG)
    activities = np.tile(np.array([3, 4], np.int32), M // 2)
    learned = DeviceModel(graph).adapt(activities, recency_weights(M, 5))
    model = CompiledModel.from_buffer(graph)
    index = model.get_signature_index("adapt")
    names = model.get_signature_by_index(index)
    inputs = dict(zip(names["inputs"], model.create_input_buffers(index), strict=True))
    outputs = dict(zip(names["outputs"], model.create_output_buffers(index), strict=True))
    inputs["activities"].write(activities)
    inputs["weights"].write(recency_weights(M, 5))
    model.run_by_index(index, list(inputs.values()), list(outputs.values()))
    found = outputs["adapter"].read(6, np.float32)
    np.testing.assert_allclose(found, learned.adapter, atol=1e-5)
    assert found.any() and learned.after < learned.before


@pytest.mark.slow
def test_the_adapting_error_detects_another_model_or_step_count():
    one, other = (
        make_model("bow", seed=1, hidden_units=12),
        make_model("bow", seed=2, hidden_units=12),
    )
    device = DeviceModel(export_graph(one, CONFIG))
    histories = np.array(random_histories(N), np.int32)
    assert compute_adapting_error(device, one, histories, CONFIG) < 1e-3
    assert compute_adapting_error(device, other, histories, CONFIG) > 0.1
    # Another number of gradient steps gives another adapter.
    always = replace(CONFIG, held_out=0)
    device = DeviceModel(export_graph(one, always))
    assert compute_adapting_error(device, one, histories, replace(always, steps=9)) > 0.05


@pytest.fixture(scope="module")
def adaptive(runs, tmp_path_factory) -> Recommender:
    folder = tmp_path_factory.mktemp("learning")
    flags = ["--adapt", "--activities=30", "--held-out=5", "--l2-penalty=1"]
    process = convert(f"--run-dir={runs['bow']}", f"--export-dir={folder}", *flags, cwd=folder)
    assert process.returncode == 0, process.stderr
    return Recommender.load(folder / "model.tflite")


def test_an_adapter_is_serialized_and_moves_recommendations(adaptive):
    history = list(adaptive.items[60:100:2])
    adapter = adaptive.adapt([*history, "never seen"])
    assert adapter.after < adapter.before or not adapter.is_kept
    again = Adapter.from_json(adapter.to_json())
    np.testing.assert_array_equal(again.vector, adapter.vector)
    assert replace(again, vector=adapter.vector) == adapter
    context = adaptive.encode(history)
    np.testing.assert_array_equal(adaptive.encode(history, adapter=again), context + again.vector)
    best = adaptive.recommend(history, adapter=again)
    by_score = adaptive.score(history, [each.item for each in best], adapter=again)
    np.testing.assert_allclose([each.score for each in best], by_score, rtol=1e-5)
    # A zero adapter gives the shipped model.
    zeros = replace(adapter, vector=np.zeros_like(adapter.vector))
    assert not zeros.is_kept
    assert adaptive.recommend(history, adapter=zeros) == adaptive.recommend(history)
    # An adapter along an item's embedding raises the item's rank.
    pull = replace(adapter, vector=adaptive.vectors().vectors[120] * 5)
    item, scores = adaptive.items[120], []
    for each in (None, pull):
        listed = [one.item for one in adaptive.recommend(history, 120, adapter=each)]
        scores.append(listed.index(item) if item in listed else 120)
    assert scores[1] < scores[0]


def test_weights_select_the_activities_to_learn_from(adaptive):
    history = list(adaptive.items[:12])
    same = [0.5 ** (age / 50) for age in range(11, -1, -1)]
    one, other = adaptive.adapt(history), adaptive.adapt(history, weights=same)
    np.testing.assert_allclose(one.after, other.after, rtol=1e-6)
    nothing = adaptive.adapt(history, weights=[0] * 12)
    assert not nothing.is_kept and nothing.after == nothing.before


@given(
    ids=st.lists(st.integers(0, 9), min_size=1, max_size=30),
    held_out=st.integers(0, 5),
    activities=st.integers(6, 12),
)
def test_known_activities_are_aligned_to_the_right(ids, held_out, activities):
    config = {"held_out": held_out, "activities": activities, "half_life": 3.0}
    known = [each for each in ids if each]
    if len(known) < held_out + 2:
        with pytest.raises(UserError, match=f"needs {held_out + 2} or more"):
            adapt_inputs(ids, None, config)
        return
    numbers, weights = adapt_inputs(ids, None, config)
    assert numbers.shape == weights.shape == (activities,)
    kept = known[-activities:]
    assert numbers.tolist() == [0] * (activities - len(kept)) + kept
    np.testing.assert_allclose(
        weights[-len(kept) :], recency_weights(activities, 3.0)[-len(kept) :]
    )
    assert not weights[: activities - len(kept)].any()
    given = [float(number) for number in range(len(ids))]
    _, weights = adapt_inputs(ids, given, config)
    assert weights[-len(kept) :].tolist() == [p for p in given if ids[int(p)]][-activities:]


def test_an_invalid_adapter_is_refused_in_one_line(adaptive, models):
    history = list(adaptive.items[:20])
    adapter = adaptive.adapt(history)
    plain = Recommender.load(models["bow"])
    nan = np.full_like(adapter.vector, np.nan)
    cases = [
        (lambda: adaptive.adapt(history[:6]), "items has 6 .* needs 7 or more"),
        (lambda: adaptive.adapt(history, weights=[1.0]), "weights has 1 entries for 20 items"),
        (lambda: adaptive.adapt(history, weights=[-1.0] * 20), "negative or not finite"),
        (lambda: adaptive.adapt(history, weights=[math.nan] * 20), "negative or not finite"),
        (lambda: plain.adapt(history), "has no signature `adapt`; export its run with --adapt"),
        (lambda: plain.recommend(history, adapter=adapter), "the adapter belongs to the model"),
        (lambda: adaptive.recommend(history, adapter=replace(adapter, vector=nan)), "not finite"),
        (
            lambda: adaptive.encode(history, adapter=replace(adapter, vector=nan[:3])),
            r"the shape \[3\], the model takes \[16\]",
        ),
        (lambda: Adapter.from_json("[]"), "this is not an adapter"),
        (lambda: Adapter.from_json("{"), "this is not an adapter"),
        (lambda: Adapter.from_json('{"format": 2}'), "has format 2, this version reads 1"),
        (
            lambda: Adapter.from_json(json.dumps({**json.loads(adapter.to_json()), "vector": "x"})),
            "this is not an adapter",
        ),
    ]
    for ask, words in cases:
        with pytest.raises(UserError, match=words) as caught:
            ask()
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_verify_repeats_the_proof_of_adaptation(adaptive, runs, tmp_path):
    from jaxrec.cli import verify

    convert(f"--run-dir={runs['bow']}", "--adapt", f"--export-dir={tmp_path}", cwd=tmp_path)
    flags = [f"--model={tmp_path / 'model.tflite'}", f"--run-dir={runs['bow']}"]
    process = call(verify.main, *flags, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    (error,) = re.findall(r"adapter error (\S+),", process.stdout)
    assert 0 < float(error) < 1e-3


@pytest.mark.slow
def test_an_adapter_of_another_graph_is_refused(adaptive, runs, tmp_path):
    """An update is another graph, even if it is exported from the same run."""
    convert(f"--run-dir={runs['bow']}", "--adapt", f"--export-dir={tmp_path}", cwd=tmp_path)
    update, history = Recommender.load(tmp_path / "model.tflite"), list(adaptive.items[:40])
    with pytest.raises(UserError, match="learn it again from the history"):
        update.recommend(history, adapter=adaptive.adapt(history))
    update.recommend(history, adapter=update.adapt(history))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--l2-penalty=2"], "--l2-penalty=2.0 needs --adapt"),
        (["--adapt", "--activities=10", "--held-out=2"], "not more than the 10 items"),
        (["--adapt", "--held-out=100"], "--held-out=100 is out of range"),
        (
            ["--adapt", "--held-out=0"],
            "--held-out=0 leaves no activity to evaluate the adapter on",
        ),
    ],
)
def test_a_mistake_is_one_line(runs, tmp_path, flags, words):
    from jaxrec.cli import export

    flags = [f"--run-dir={runs['bow']}", f"--export-dir={tmp_path / 'out'}", *flags]
    process = call(export.main, *flags, cwd=tmp_path)
    assert process.returncode == 2
    (line,) = process.stderr.strip().splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()
