"""Export and quantization in this process, for shapes that the runs of conftest.py lack."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flax import nnx

from jaxrec.conversion.flatbuffer import finalize_graph, read_facts
from jaxrec.conversion.graph.quantize import quantize
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.conversion.recipes import RECIPES
from jaxrec.conversion.verify.distance import compare, compute_reference
from jaxrec.conversion.verify.proof import (
    MIN_OVERLAP,
    check_limits,
    verify_graph,
)
from jaxrec.conversion.verify.trials import build_trials
from jaxrec.data.gaps import GAP_EDGES
from jaxrec.errors import FailedCheckError
from jaxrec.models.encoders import ENCODERS
from jaxrec.models.encoders.convolution import ConvolutionConfig
from jaxrec.models.encoders.recurrent import RecurrentConfig
from jaxrec.models.encoders.transformer import TransformerConfig
from jaxrec.models.lstm import MAX_UNROLLED_STEPS
from jaxrec.models.model import RecommenderModel
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.heldout import Heldout
from jaxrec.runtime.interpreter import HISTORY, DeviceModel
from jaxrec.schema import AGE, ITEM, PAD, Feature, Schema
from tests.small_models import COUNTS, SIZE, STARS, make_heldout, make_model, random_histories

pytest.importorskip("tensorflow", reason="needs the extra convert")


@dataclass(frozen=True)
class Variant:
    """A model and the shapes of its export."""

    encoder: str
    length: int = 5
    batch: int = 1
    keep_seen: bool = False
    options: dict[str, Any] = field(default_factory=dict)


VARIANTS = {
    **{f"{encoder}, N = 1": Variant(encoder, length=1) for encoder in ENCODERS},
    **{f"{encoder}, a long batch": Variant(encoder, 23, batch=3) for encoder in ENCODERS},
    "two LSTMs, written out": Variant("rnn", options={"rnn": RecurrentConfig(layers=2)}),
    "two LSTMs, looped": Variant("rnn", length=22, options={"rnn": RecurrentConfig(layers=2)}),
    "ratings": Variant("rnn", batch=2, options={"heads": (STARS,)}),
    "ratings, untied": Variant("bow", options={"heads": (STARS,), "tie_embeddings": False}),
    "three blocks, longest": Variant(
        "transformer", 200, keep_seen=True, options={"transformer": TransformerConfig(blocks=3)}
    ),
    "no dense layer": Variant(
        "cnn", 23, options={"dense_layers": 0, "cnn": ConvolutionConfig(layers=1)}
    ),
}


# At least one of each encoder and one with a head; .ci/run has the others.
QUICK_VARIANTS = (
    *("bow, N = 1", "cnn, N = 1", "rnn, a long batch", "transformer, a long batch"),
    "ratings",
)


def with_slow(names: Iterable[str], quick: Sequence[str]) -> list[Any]:
    """Return the names as parameters, those that are not among the quick ones marked as slow."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture(scope="module")
def export():
    from jaxrec.conversion.graph.export import export
    from jaxrec.conversion.graph.placeholder_tables import build_placeholders
    from jaxrec.conversion.graph.signatures import build_signatures

    def export_model(model: RecommenderModel, shapes: Shapes, without: str | None = None) -> bytes:
        placeholders = build_placeholders(model)
        kept = [each for each in build_signatures(placeholders, shapes) if each.name != without]
        return export(kept, placeholders)

    return export_model


@pytest.mark.parametrize("name", with_slow(VARIANTS, QUICK_VARIANTS))
def test_every_shape_matches_the_model_in_every_recipe(export, name):
    variant = VARIANTS[name]
    model = make_model(variant.encoder, hidden_units=12, **variant.options)
    shapes = Shapes(variant.batch, variant.length, 6, 4, variant.keep_seen)
    exported = export(model, shapes)
    heldout = make_heldout(random_histories(variant.length))
    reference = compute_reference(model, heldout, top_k=6, keep_seen=variant.keep_seen)
    for recipe in RECIPES:
        graph = finalize_graph(quantize(exported, recipe), first="recommend")
        # These weights are drawn, not trained, so that rounding moves more.
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(MIN_OVERLAP, "float16", 0.9)
            device, _, _, parity = verify_graph(graph, reference, recipe)
        assert (device.batch_size, device.history_length) == (variant.batch, variant.length)
        assert parity.histories == len(build_trials(heldout, SIZE))


@pytest.mark.parametrize("length", [5, 23], ids=["written out", "looped"])
def test_int8_computes_large_products_in_8_bits_and_no_scores(export, monkeypatch, length):
    """Large means 100 weights here. The item table has more, but scores stay in float32."""
    monkeypatch.setattr("jaxrec.conversion.graph.quantize.MIN_INT8_PRODUCT", 100)
    exported = export(make_model("rnn", hidden_units=12), Shapes(1, length, 6, 4, False))
    # Weights of float32 operations are dequantized first.
    float16, int8 = (
        read_facts(quantize(exported, recipe)).operators["DEQUANTIZE"]
        for recipe in ("float16", "int8")
    )
    assert int8 < float16
    device = DeviceModel(finalize_graph(quantize(exported, "int8"), first="recommend"))
    histories = {HISTORY: np.array(random_histories(length), np.int32)}
    every = np.tile(np.arange(1, SIZE + 1, dtype=np.int32), (30, 1))
    vectors, biases = device.vectors_all(every[0])
    np.testing.assert_allclose(
        device.score_all(histories, every),
        device.encode_all(histories) @ vectors.T + biases,
        atol=1e-4,
    )


RATING = Feature("rating", "activity", "id", 5, (1, 2, 3, 4, 5))
PRICE = Feature("price", "activity", "number", 3, (0.5, 20.0))
AGES = Feature(AGE, "activity", "age", len(GAP_EDGES))
COUNTRY = Feature("user_country", "user", "id", 3, ("at", "ch", "de"))
INCOME = Feature("user_income", "user", "number", 2, (1e4,))
HOUR = Feature("hour", "moment", "id", 24, tuple(range(24)))
FEATURES = {
    **{f"{encoder}, everything": (encoder, RATING, PRICE, AGES, COUNTRY, INCOME, HOUR)
       for encoder in ENCODERS},
    "time alone": ("bow", AGES),
    "a user alone": ("rnn", COUNTRY),
    # Names that TensorFlow itself gives to arguments and outputs.
    "any name": ("bow", replace(RATING, name="args"), replace(PRICE, name="output_0")),
}  # fmt: skip


def with_values(heldout: Heldout, features: Sequence[Feature]) -> Heldout:
    """Return held-out users with random values of the features, some of them unknown."""
    rng, items = np.random.default_rng(0), heldout.history[ITEM]
    values = {}
    for feature in features:
        shape = items.shape if feature.of == "activity" else len(items)
        if feature.kind == "age":
            steps = np.exp2(rng.uniform(-1, 24, shape)).astype(np.int64)
            ages = steps[:, ::-1].cumsum(axis=1)[:, ::-1]
            given = np.where((items > PAD) & (rng.random(shape) < 0.9), ages, -1).astype(np.int32)
        elif feature.kind == "number":
            numbers = np.where(rng.random(shape) < 0.9, rng.lognormal(2, 4, shape), np.nan)
            given = numbers.astype(np.float32)
        else:
            given = rng.integers(0, feature.size + 1, shape).astype(np.int32)
        values[feature.name] = given
    return replace(heldout, history=heldout.history | values)


@pytest.mark.parametrize("name", with_slow(FEATURES, ("rnn, everything",)))
def test_every_kind_of_feature_matches_the_model_in_every_recipe(export, name):
    encoder, *features = FEATURES[name]
    model = make_model(encoder, hidden_units=12, features=tuple(features))
    exported = export(model, Shapes(1, 5, 6, 4, False))
    heldout = with_values(make_heldout(random_histories(5)), features)
    reference = compute_reference(model, heldout, top_k=6, keep_seen=False)
    for recipe in RECIPES:
        graph = finalize_graph(quantize(exported, recipe), first="recommend")
        # These weights are drawn, not trained, so that rounding moves more.
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(MIN_OVERLAP, "float16", 0.9)
            device, _, _, parity = verify_graph(graph, reference, recipe)
        inputs = device.signatures["encode"].inputs
        assert inputs.keys() == {HISTORY, *(each.name for each in features)}
        assert parity.histories == len(build_trials(heldout, SIZE, features))


@pytest.mark.slow
def test_long_histories_use_a_loop_and_short_ones_are_unrolled(export):
    def operators(length: int) -> dict[str, int]:
        return read_facts(export(make_model("rnn"), Shapes(1, length, 6, 4, False))).operators

    max_steps = MAX_UNROLLED_STEPS
    assert "WHILE" not in operators(max_steps)
    assert operators(max_steps + 1)["WHILE"] == 3


@pytest.mark.parametrize("is_tied", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_vectors_signature_adds_no_second_table(export, is_tied):
    """It reads the constants of the scores and adds only a few numbers for shapes."""
    model, shapes = make_model("rnn", tie_embeddings=is_tied), Shapes(1, 5, 6, 4, False)
    exported = export(model, shapes)
    graph_without_vectors = export(model, shapes, without="vectors")
    for recipe in RECIPES:
        complete, reduced = (
            read_facts(quantize(graph, recipe)) for graph in (exported, graph_without_vectors)
        )
        assert complete.lookups == {**reduced.lookups, "vectors": 1}
        assert complete.weight_bytes - reduced.weight_bytes < SIZE


def test_tensorflow_sees_placeholder_tables_and_a_graph_without_them_is_refused():
    from jaxrec.conversion.graph.placeholder_tables import build_placeholders

    placeholders = build_placeholders(make_model("bow", tie_embeddings=False))
    model = placeholders.placeholder_model()
    for table in (model.activities.tables[ITEM][...], model.item_table):
        assert len(np.unique(table)) == 1
    assert len(placeholders.tables) == 2
    with pytest.raises(FailedCheckError, match="no placeholder for a table"):
        placeholders.restore_tables(pack_empty_graph())


def pack_empty_graph() -> bytes:
    """Encode a graph that has no constants."""
    model = schema.ModelT()
    model.subgraphs = []
    model.buffers = []
    builder = flatbuffers.Builder(64)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_graph_of_another_model_is_refused(export):
    device = DeviceModel(export(make_model("rnn", seed=0), Shapes(1, 5, 6, 4, False)))
    heldout = make_heldout(random_histories(5))
    reference = compute_reference(make_model("rnn", seed=1), heldout, top_k=6, keep_seen=False)
    parity = compare(device, device.recommend_all(reference.trials.inputs), reference)
    for recipe in RECIPES:
        with pytest.raises(FailedCheckError, match=r"worst after history \d+ \("):
            check_limits(parity, recipe)


@pytest.mark.slow
def test_weights_behind_a_flatbuffer_are_moved_into_it(export):
    """Beyond 256 KB the quantizer appends them to the flatbuffer, where only some runtimes look."""
    config = ModelConfig(encoder="rnn", embedding_dim=64, hidden_units=256)
    model = RecommenderModel(Schema(SIZE, 64), config, COUNTS, rngs=nnx.Rngs(0))
    graph = quantize(export(model, Shapes(1, 3, 6, 4, False)), "float16")
    assert len(graph) > 256 * 1024
    ordered = finalize_graph(graph, first="recommend")
    assert read_facts(ordered).weight_bytes == read_facts(graph).weight_bytes > 256 * 1024
    histories = {HISTORY: np.array([[0, 0, 0], [0, 3, 9], [7, 8, 30]], np.int32)}
    for given, expected in zip(
        DeviceModel(ordered).recommend_all(histories),
        DeviceModel(graph).recommend_all(histories),
        strict=True,
    ):
        np.testing.assert_array_equal(given, expected)
