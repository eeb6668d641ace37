"""Features at the runtime API: raw values are encoded, and missing ones are unknown."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.data.gaps import GAP_EDGES
from jaxrec.errors import UserError
from jaxrec.runtime import InputFeature, Recommender
from jaxrec.runtime.bundle import Bundle
from jaxrec.runtime.interpreter import HISTORY, DeviceModel
from jaxrec.schema import AGE, Feature
from tests.bundles import make_bundle, recommender_of
from tests.small_models import SIZE, make_model

FEATURES = (
    Feature("rating", "activity", "id", 3, (1, 2.5, "great")),
    Feature("price", "activity", "number", 4, (-2.5, 0.0, 8.0)),
    Feature(AGE, "activity", "age", len(GAP_EDGES)),
    Feature("user_country", "user", "id", 2, ("fr", 33)),
    Feature("user_income", "user", "number", 3, (1e3, 2e6)),
)
NAMES = "rating, price, age, user_country, user_income"
N = 5
RAW = [f"item {number}" for number in range(SIZE, 0, -1)]


@pytest.fixture(scope="module")
def bundles() -> dict[int, Bundle]:
    """Export files with a batch size of one and of three."""
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    model = make_model("rnn", features=FEATURES)
    return {size: make_bundle(model, Shapes(size, N, 6, 4, False), RAW) for size in (1, 3)}


@pytest.fixture(scope="module", params=[1, 3])
def loaded(request, bundles) -> Recommender:
    return recommender_of(bundles[request.param])


@pytest.fixture(scope="module")
def device(bundles) -> DeviceModel:
    return DeviceModel(bundles[1].graph)


# Pairs of a raw value and the number that the file takes for it.
CHOICES = {
    "rating": [
        (1, 1),
        (1.0, 1),
        (2.5, 2),
        ("great", 3),
        ("1", 0),
        (None, 0),
        (math.nan, 0),
    ],
    "price": [(7, 7), (-2.5, -2.5), (np.float32(1.5), 1.5), (None, math.nan), (1e39, math.nan)],
    AGE: [(0, 0), (59.9, 59), (2**40, 2**31 - 1), (None, -1), (-0.5, -1), (math.inf, -1)],
    "user_country": [("fr", 1), (33, 2), ("33", 0), (None, 0)],
    "user_income": [(2e6, 2e6), (0, 0), (math.nan, math.nan), (-math.inf, math.nan)],
}
UNKNOWN = {"rating": 0, "price": math.nan, AGE: -1, "user_country": 0, "user_income": math.nan}


@st.composite
def drawn_requests(draw):
    """Draw items and raw features, with the model inputs that encode them."""
    items = draw(st.lists(st.sampled_from([*RAW, "unheard of"]), max_size=2 * N))
    if not set(items) & set(RAW):
        items = []
    known = [position for position, item in enumerate(items) if item in RAW][-N:]
    ids = [RAW.index(items[position]) + 1 for position in known]
    inputs: dict[str, np.ndarray] = {HISTORY: np.array([[0] * (N - len(known)) + ids], np.int32)}
    features = {}
    for feature in FEATURES:
        name, unknown = feature.name, UNKNOWN[feature.name]
        count = len(items) if feature.of == "activity" else 1
        pairs = draw(st.lists(st.sampled_from(CHOICES[name]), min_size=count, max_size=count))
        if draw(st.booleans()):
            raw = [value for value, _ in pairs]
            features[name] = raw if feature.of == "activity" else raw[0]
        else:
            pairs = [(None, unknown)] * count
        numbers = [number for _, number in pairs]
        if feature.of == "activity":
            row = [unknown] * (N - len(known)) + [numbers[position] for position in known]
            numbers = [row]
        kind = np.float32 if feature.kind == "number" else np.int32
        inputs[name] = np.array(numbers, kind)
    return items, features, inputs


@given(st.lists(drawn_requests(), min_size=1, max_size=4))
def test_raw_values_are_encoded_as_the_file_expects(loaded, device, many):
    """Single and batched requests agree; the padding of a partial batch changes nothing."""
    lists = loaded.recommend_many(
        [items for items, _, _ in many], k=6, features=[features for _, features, _ in many]
    )
    for (items, features, inputs), found in zip(many, lists, strict=True):
        context = loaded.encode(items, features=features)
        np.testing.assert_allclose(context, device.encode_all(inputs)[0], rtol=1e-5, atol=1e-6)
        recommended = loaded.recommend(items, k=6, features=features)
        scores = loaded.score(items, [each.item for each in recommended], features=features)
        np.testing.assert_allclose(
            [each.score for each in recommended], scores, rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose([each.score for each in found], scores, rtol=1e-5, atol=1e-5)


UNKNOWN_FEATURES = [
    {},
    {"rating": [None] * 3, "user_country": None},
    {name: [math.nan] * 3 for name in ("rating", "price", AGE)},
    {"rating": [99, "great ", True + 8], "price": [math.inf] * 3, AGE: [-1, -(2**40), 2**40]},
    {"user_country": "nowhere", "user_income": math.nan},
]


@pytest.mark.parametrize("features", UNKNOWN_FEATURES)
def test_a_history_alone_is_one_of_which_all_else_is_unknown(loaded, features):
    items = [RAW[4], RAW[11], RAW[2]]
    assert loaded.recommend(items, features=features) == loaded.recommend(items)
    assert loaded.score(items, RAW, features=features) == loaded.score(items, RAW)
    np.testing.assert_array_equal(loaded.encode(items, features=features), loaded.encode(items))
    assert loaded.recommend_many([items], features=[features]) == loaded.recommend_many([items])


@pytest.mark.parametrize(
    "features",
    [
        {"rating": [None, None, "great"]},
        {"price": [0, None, None]},
        {AGE: [0, 0, 0]},
        {"user_country": 33},
        {"user_income": 0},
    ],
)
def test_known_features_change_the_query(loaded, features):
    items = [RAW[4], RAW[11], RAW[2]]
    assert not np.allclose(loaded.encode(items, features=features), loaded.encode(items), atol=1e-3)


def test_it_says_what_it_takes(loaded):
    found = [(each.name, each.of, each.kind, each.values) for each in loaded.features]
    assert found == [(each.name, each.of, each.kind, each.values) for each in FEATURES]


MISTAKES = {
    "another name": ({"country": "fr"}, f"has no feature 'country'; it has {NAMES}"),
    "the items": ({HISTORY: [1, 2]}, f"has no feature 'history'; it has {NAMES}"),
    "too few": ({"rating": [1]}, "1 values of 'rating' for 2 items; give one for each"),
    "one value": (
        {"rating": 2.5},
        "the values of 'rating' are 2.5 (float), not a list; give [2.5]",
    ),
    "a text": ({"rating": "great"}, "the values of 'rating' are 'great' (str), not a list"),
    "several": (
        {"user_country": ["fr"]},
        "'user_country', a feature of the user, is ['fr'] (list); give",
    ),
    "no number": (
        {"price": [2, "cheap"]},
        "the value 'cheap' (str) of 'price' is not a number; give a number, or None if it is",
    ),
    "a number as text": (
        {"user_income": "7"},
        "the value '7' (str) of 'user_income' is not a number",
    ),
    "a time as text": (
        {AGE: ["yesterday", None]},
        "the value 'yesterday' (str) of 'age' is not a number; give a number of seconds, or None",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_invalid_feature_is_reported_with_the_remedy(loaded, mistake):
    features, message = MISTAKES[mistake]
    for call in (loaded.recommend, loaded.encode, partial(loaded.score, candidates=RAW)):
        with pytest.raises(UserError) as raised:
            call(RAW[:2], features=features)
        assert message in str(raised.value)


def test_an_invalid_feature_in_a_batch_is_reported_with_its_index(loaded):
    with pytest.raises(
        UserError, match=r"1 values of 'rating' for 0 items of histories\[1\]; give"
    ):
        loaded.recommend_many([[], []], features=[{}, {"rating": [1]}])


def test_a_file_without_a_features_entry_takes_none():
    """Files of versions before features lack the entry."""
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    bundle = make_bundle(make_model("bow"), Shapes(1, N, 6, 4, False), RAW)
    del bundle.model["features"]
    recommender = recommender_of(bundle)
    assert recommender.features == ()
    assert recommender.recommend(RAW[:2]) == recommender.recommend(RAW[:2], features={})
    with pytest.raises(UserError, match="has no feature 'rating'; it has none"):
        recommender.recommend(RAW[:2], features={"rating": [1, 2]})


def test_a_collection_is_no_value():
    feature = InputFeature("device", "activity", "id", ("tv", "web"))
    assert [feature.encode_value(value) for value in ("web", None, 7)] == [2, 0, 0]
    with pytest.raises(
        UserError, match=r"^the value \['tv'\] \(list\) of 'device' is a collection"
    ):
        feature.encode_value(["tv"])
