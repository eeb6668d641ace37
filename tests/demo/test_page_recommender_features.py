"""The JavaScript recommender encodes raw features as the Python runtime does."""

import math

import numpy as np
import pytest

from jaxrec.schema import AGE
from tests.demo import features_page
from tests.demo.features_page import FEATURES, RAW

pytest.importorskip("tensorflow", reason="needs the extra convert")

recommender, server = features_page.recommender, features_page.server

NAMES = ", ".join(each.name for each in FEATURES)

CALLS = """async (calls) => {
  const { Recommender } = await import('./jaxrec/recommender.js');
  const recommender = await Recommender.load('features.tflite', { runtime: 'runtime' });
  const results = [];
  for (const [method, ...values] of calls) {
    const toText = (error) => `${error.name}: ${error.message}`;
    const result = await recommender[method](...values).catch(toText);
    results.push(result instanceof Float32Array ? Array.from(result) : result);
  }
  return [results, recommender.features];
}"""


@pytest.fixture(scope="module")
def call(browser, server):
    """Yield a function that calls recommender methods in the browser; errors return as text."""
    page = browser.new_page()
    page.goto(f"{server.url}models.json")
    yield lambda *calls: page.evaluate(CALLS, calls)[0]
    page.close()


# Raw values of each feature, valid and invalid.
CHOICES = {
    "rating": [1, 5, 0, 99, 2.5, "5", "", None, math.nan],
    "device": ["web", "phone", "Web", 1, None],
    "price": [0, -2.5, 7.99, 8, 1e39, -1e300, None, math.nan],
    AGE: [0, 59.9, 3600, 2**31, 2**40, -0.5, -1, 1e300, None, math.nan],
    "user_home_country": ["fr", 33, "33", None],
    "user_income": [0, 1e3, 5e6, None, math.nan],
    "hour": [0, 23, 24, None],
    "weekday": [0, 1, 7, 8, None],
}


def draw_history(rng: np.random.Generator) -> tuple[list, dict]:
    """Draw a history, in which items may be unknown, and values of some features."""
    items = rng.choice([*RAW, "unknown item"], rng.integers(1, 12)).tolist()
    features = {}
    for feature in FEATURES:
        choices = CHOICES[feature.name]
        if rng.random() < 0.3:
            continue
        values = [choices[position] for position in rng.integers(len(choices), size=len(items))]
        features[feature.name] = values if feature.of == "activity" else values[0]
    return [RAW[0], *items], {
        name: [None, *values] if isinstance(values, list) else values
        for name, values in features.items()
    }


def test_raw_values_are_encoded_in_the_browser_as_in_python(call, recommender):
    rng = np.random.default_rng(0)
    requests = [draw_history(rng) for _ in range(60)]
    queries = call(*(("encode", items, {"features": features}) for items, features in requests))
    for (items, features), query in zip(requests, queries, strict=True):
        expected = recommender.encode(items, features=features)
        np.testing.assert_allclose(query, expected, rtol=0, atol=1e-5)
    items, features = zip(*requests[:9], strict=True)
    (lists,) = call(("recommendMany", items, 7, {"features": features}))
    for number, found in enumerate(lists):
        expected = recommender.recommend(items[number], 7, features=features[number])
        scores = [each["score"] for each in found]
        np.testing.assert_allclose(scores, [each.score for each in expected], rtol=0, atol=1e-5)


def test_missing_features_equal_unknown_values(call, recommender):
    items = [RAW[4], RAW[11], RAW[2]]
    options_of_unknown = [
        {},
        {"features": {}},
        {"features": {"rating": [None] * 3, "price": [math.nan] * 3, "user_home_country": None}},
        {
            "features": {
                "rating": [99, "5", 2.5],
                AGE: [-1, 2**40, math.nan],
                "user_income": math.nan,
            }
        },
    ]
    queries = call(*(("encode", items, options) for options in options_of_unknown))
    assert queries[1:] == queries[:1] * 3
    np.testing.assert_allclose(queries[0], recommender.encode(items), rtol=0, atol=1e-5)
    scores = call(*(("score", items, RAW, options) for options in options_of_unknown))
    assert scores[1:] == scores[:1] * 3


def test_an_error_in_a_feature_names_the_remedy(call):
    items = RAW[:2]
    mistakes = {
        "country": (
            ["fr"],
            f'RangeError: the model has no feature "country"; it has {NAMES}',
        ),
        "history": (
            [1, 2],
            f'RangeError: the model has no feature "history"; it has {NAMES}',
        ),
        "rating": ([1], 'RangeError: 1 values of "rating" for 2 items; give one for each'),
        "device": ("web", 'TypeError: the values of "device" are "web" (string), not a list; '),
        "price": (
            [2, "cheap"],
            'TypeError: the value "cheap" (string) of "price" is not a number; give a number, or ',
        ),
        AGE: (
            ["yesterday", None],
            'TypeError: the value "yesterday" (string) of "age" is not a number; give a number of ',
        ),
        "user_home_country": (
            ["fr"],
            'TypeError: "user_home_country", a feature of the user, is fr (object); give one value',
        ),
    }
    errors = call(
        *(("encode", items, {"features": {name: value}}) for name, (value, _) in mistakes.items())
    )
    for error, (_, message) in zip(errors, mistakes.values(), strict=True):
        assert error.startswith(message)
    (error,) = call(("recommendMany", [[], items], 5, {"features": [{}, {"rating": [1]}]}))
    assert error == (
        'RangeError: 1 values of "rating" for 2 items of histories[1]; give one for each'
    )


def test_the_recommender_lists_its_features(browser, server, recommender):
    page = browser.new_page()
    page.goto(f"{server.url}models.json")
    _, features = page.evaluate(CALLS, [])
    page.close()
    found = [(each["name"], each["of"], each["kind"], tuple(each["values"])) for each in features]
    assert found == [(each.name, each.of, each.kind, each.values) for each in recommender.features]
