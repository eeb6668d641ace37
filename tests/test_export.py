"""Export and quantization in this process, for shapes that the runs of conftest.py lack."""

import warnings
from collections.abc import Sequence
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
from jaxrec.conversion.verify.distance import Parity, compare, compute_reference
from jaxrec.conversion.verify.proof import (
    MIN_OVERLAP,
    ORDER_TOLERANCE,
    SCORE_TOLERANCE,
    check_limits,
    verify_graph,
)
from jaxrec.conversion.verify.trials import build_trials
from jaxrec.data.gaps import GAP_EDGES
from jaxrec.errors import FailedCheckError
from jaxrec.models.encoders.convolution import ConvolutionConfig
from jaxrec.models.encoders.recurrent import RecurrentConfig
from jaxrec.models.encoders.transformer import TransformerConfig
from jaxrec.models.lstm import MAX_UNROLLED_STEPS
from jaxrec.models.model import RecommenderModel
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.heldout import Heldout
from jaxrec.runtime.interpreter import HISTORY, DeviceModel
from jaxrec.schema import AGE, ITEM, PAD, Feature, Schema
from tests.test_models import COUNTS, ENCODERS, SIZE, make
from tests.test_rating import STARS
from tests.test_trials import heldout_of

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


@pytest.fixture(scope="module")
def export():
    # Importing TensorFlow emits warnings.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from jaxrec.conversion.graph.export import export
        from jaxrec.conversion.graph.placeholder_tables import build_placeholders
        from jaxrec.conversion.graph.signatures import build_signatures

    def of(model: RecommenderModel, shapes: Shapes, but: str | None = None) -> bytes:
        placeholders = build_placeholders(model)
        kept = [each for each in build_signatures(placeholders, shapes) if each.name != but]
        return export(kept, placeholders)

    return of


def histories_of(length: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [
        [0] * (length - kept) + rng.integers(1, SIZE + 1, kept).tolist()
        for kept in rng.integers(0, length + 1, 30)
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", VARIANTS)
def test_every_shape_matches_the_model_in_every_recipe(export, name):
    variant = VARIANTS[name]
    model = make(variant.encoder, hidden_units=12, **variant.options)
    shapes = Shapes(variant.batch, variant.length, 6, 4, variant.keep_seen)
    exported = export(model, shapes)
    heldout = heldout_of(histories_of(variant.length))
    reference = compute_reference(model, heldout, top_k=6, keep_seen=variant.keep_seen)
    for recipe in RECIPES:
        graph = finalize_graph(quantize(exported, recipe), first="recommend")
        # These weights are drawn, not trained, so that rounding moves more.
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(MIN_OVERLAP, "float16", 0.9)
            device, _, _, parity = verify_graph(graph, reference, recipe)
        assert (device.batch_size, device.history_length) == (variant.batch, variant.length)
        assert parity.histories == len(build_trials(heldout, SIZE))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("length", [5, 23], ids=["written out", "looped"])
def test_int8_computes_large_products_in_8_bits_and_no_scores(export, monkeypatch, length):
    """Large means 100 weights here. The item table has more, but scores stay in float32."""
    monkeypatch.setattr("jaxrec.conversion.graph.quantize.MIN_INT8_PRODUCT", 100)
    exported = export(make("rnn", hidden_units=12), Shapes(1, length, 6, 4, False))
    # Weights of float32 operations are dequantized first.
    float16, int8 = (
        read_facts(quantize(exported, recipe)).operators["DEQUANTIZE"]
        for recipe in ("float16", "int8")
    )
    assert int8 < float16
    device = DeviceModel(finalize_graph(quantize(exported, "int8"), first="recommend"))
    histories = {HISTORY: np.array(histories_of(length), np.int32)}
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
TOLD = {
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


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TOLD)
def test_every_kind_of_feature_matches_the_model_in_every_recipe(export, name):
    encoder, *features = TOLD[name]
    model = make(encoder, hidden_units=12, features=tuple(features))
    exported = export(model, Shapes(1, 5, 6, 4, False))
    heldout = with_values(heldout_of(histories_of(5)), features)
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


@pytest.mark.filterwarnings("ignore")
def test_long_histories_use_a_loop_and_short_ones_are_unrolled(export):
    def operators(length: int) -> dict[str, int]:
        return read_facts(export(make("rnn"), Shapes(1, length, 6, 4, False))).operators

    most = MAX_UNROLLED_STEPS
    assert "WHILE" not in operators(most)
    assert operators(most + 1)["WHILE"] == 3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_tied", [True, False])
def test_the_vectors_signature_adds_no_second_table(export, is_tied):
    """It reads the constants of the scores and adds only a few numbers for shapes."""
    model, shapes = make("rnn", tie_embeddings=is_tied), Shapes(1, 5, 6, 4, False)
    exported = export(model, shapes)
    without = export(model, shapes, but="vectors")
    for recipe in RECIPES:
        more, less = (read_facts(quantize(graph, recipe)) for graph in (exported, without))
        assert more.lookups == {**less.lookups, "vectors": 1}
        assert more.weight_bytes - less.weight_bytes < SIZE


def test_tensorflow_sees_placeholder_tables_and_a_graph_without_them_is_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from jaxrec.conversion.graph.placeholder_tables import build_placeholders
    placeholders = build_placeholders(make("bow", tie_embeddings=False))
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


@pytest.mark.filterwarnings("ignore")
def test_a_graph_of_another_model_is_refused(export):
    device = DeviceModel(export(make("rnn", seed=0), Shapes(1, 5, 6, 4, False)))
    heldout = heldout_of(histories_of(5))
    reference = compute_reference(make("rnn", seed=1), heldout, top_k=6, keep_seen=False)
    parity = compare(device, device.recommend_all(reference.trials.inputs), reference)
    for recipe in RECIPES:
        with pytest.raises(FailedCheckError, match=r"worst after history \d+ \("):
            check_limits(parity, recipe)


@pytest.mark.filterwarnings("ignore")
def test_weights_behind_a_flatbuffer_are_moved_into_it(export):
    """Beyond 256 KB the quantizer appends them to the flatbuffer, where only some runtimes look."""
    config = ModelConfig(encoder="rnn", embedding_dim=64, hidden_units=256)
    model = RecommenderModel(Schema(SIZE, 64), config, COUNTS, rngs=nnx.Rngs(0))
    graph = quantize(export(model, Shapes(1, 3, 6, 4, False)), "float16")
    assert len(graph) > 256 * 1024
    ordered = finalize_graph(graph, first="recommend")
    assert read_facts(ordered).weight_bytes == read_facts(graph).weight_bytes > 256 * 1024
    histories = {HISTORY: np.array([[0, 0, 0], [0, 3, 9], [7, 8, 30]], np.int32)}
    for given, wanted in zip(
        DeviceModel(ordered).recommend_all(histories),
        DeviceModel(graph).recommend_all(histories),
        strict=True,
    ):
        np.testing.assert_array_equal(given, wanted)


EQUAL = Parity(10, 0.0, 0.0, 0.0, 0.0, 1.0, "history 3 (empty): [0]")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"score_error": 1.1 * SCORE_TOLERANCE}, "in its scores"),
        ({"score_error": float("nan")}, "in its scores"),
        ({"context_error": 1.1 * SCORE_TOLERANCE}, "in its queries"),
        ({"order_error": 1.1 * ORDER_TOLERANCE}, "in its order of the items"),
        ({"head_errors": {"rating": 1.1e-5}}, "in its outputs of the rating head"),
        ({"head_errors": {"rating": float("nan")}}, "in its outputs of the rating head"),
        ({"overlap": MIN_OVERLAP["float32"] - 0.01}, "in its top ten"),
        ({"adapting_error": 1.1e-3}, "in its adapters"),
        ({"adapting_error": float("nan")}, "in its adapters"),
    ],
    ids=str,
)
def test_float32_is_checked_against_every_limit(change, complaint):
    check_limits(EQUAL, "float32")
    parity = Parity(**{**vars(EQUAL), **change})
    said = f"the float32 file differs from its model {complaint}: .*history 3 .empty"
    with pytest.raises(FailedCheckError, match=said):
        check_limits(parity, "float32")


def test_quantized_files_are_checked_by_the_overlap_of_lists():
    check_limits(Parity(10, 0.5, 0.5, 0.5, 0.0, 0.9, "", head_errors={"rating": 0.1}), "int8")
    with pytest.raises(FailedCheckError, match="in its outputs of the rating head"):
        check_limits(Parity(10, 0.0, 0.0, 0.0, 0.0, 0.9, "", head_errors={"rating": 0.3}), "int8")
    with pytest.raises(
        FailedCheckError, match="the int8 file differs from its model in its top ten"
    ):
        check_limits(Parity(10, 0.0, 0.0, 0.0, 0.0, 0.5, ""), "int8")
    with pytest.raises(
        FailedCheckError, match="the float16 file differs from its model in its top ten"
    ):
        check_limits(Parity(10, 0.0, 0.0, 0.0, 0.0, 0.9, ""), "float16")


# int8 has a step of the largest entry divided by 127; float16 has steps of 2^-10 in [1, 2).
@pytest.mark.parametrize(
    ("recipe", "most"), [("float32", 0.0), ("float16", 0.5 * 2**-10), ("int8", 0.5 / 127)]
)
def test_vectors_may_differ_by_half_a_rounding_step(recipe, most):
    check_limits(replace(EQUAL, vector_error=most), recipe)
    for error in (1.01 * most + 1e-9, float("nan")):
        with pytest.raises(
            FailedCheckError, match=f"the {recipe} file differs from its model in its item vectors"
        ):
            check_limits(replace(EQUAL, vector_error=error), recipe)
