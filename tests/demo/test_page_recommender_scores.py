"""Vectors, scores and ratings of the JavaScript recommender are those of the Python runtime."""

import numpy as np
import pytest

from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.runtime import bundle
from jaxrec.runtime.recommender import Recommender
from jaxrec.schema import HeadSpec
from tests.bundles import make_bundle, save_bundle
from tests.demo import recommender_page
from tests.demo.recommender_page import LOAD, UNKNOWN, call, items_of
from tests.exports import ENCODERS
from tests.small_models import make_model

histories, page, server = recommender_page.histories, recommender_page.page, recommender_page.server


@pytest.mark.parametrize("encoder", ENCODERS)
def test_vectors_and_similar_items_match_the_python_runtime(page, models, histories, encoder):
    recommender = Recommender.load(models[encoder])
    vectors, biases, query, scores = page.evaluate(
        f"""async ([url, history]) => {{ {LOAD}
          const recommender = await load(url);
          const {{ vectors, biases }} = await recommender.vectors();
          const query = await recommender.encode(history);
          const scores = await recommender.score(history, recommender.items);
          return [Array.from(vectors), Array.from(biases), Array.from(query), scores];
        }}""",
        [f"{encoder}.tflite", histories[0]],
    )
    expected_vectors, expected_biases = recommender.vectors()
    vectors = np.reshape(vectors, expected_vectors.shape)
    np.testing.assert_allclose(vectors, expected_vectors, rtol=0, atol=1e-6)
    np.testing.assert_allclose(biases, expected_biases, rtol=0, atol=1e-6)
    np.testing.assert_allclose(vectors @ np.array(query) + biases, scores, rtol=0, atol=1e-4)

    size = len(recommender.items)
    items = recommender.items[:5]
    lists = call(page, f"{encoder}.tflite", *(("similar", item, size) for item in items))
    unit = expected_vectors / np.linalg.norm(expected_vectors, axis=1, keepdims=True)
    for index, (item, found) in enumerate(zip(items, lists, strict=True)):
        cosines = dict(zip(recommender.items, (unit @ unit[index]).tolist(), strict=True))
        expected = recommender.similar(item, size)
        assert {*items_of(found)} == {*recommender.items} - {item}
        for each, recommendation in zip(found, expected, strict=True):
            assert each["score"] == pytest.approx(recommendation.score, abs=1e-6)
            assert each["score"] == pytest.approx(cosines[each["item"]], abs=1e-6)


def test_a_model_without_vectors_raises_an_error_with_the_remedy(page, histories):
    messages = page.evaluate(
        """async ([url, item]) => {
          const { readBundle } = await import('./jaxrec/bundle.js');
          const { DeviceModel } = await import('./jaxrec/interpreter.js');
          const { LoadedModel } = await import('./jaxrec/loaded_model.js');
          const { Recommender } = await import('./jaxrec/recommender.js');
          const { UpdatableModel } = await import('./jaxrec/updatable_model.js');
          const { CompiledGraph } = await import('./jaxrec/compiled_graph.js');
          const { startRuntime } = await import('./jaxrec/litert.js');
          const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
          (await Recommender.load(bytes, { runtime: 'runtime' })).close(); // starts the runtime
          const bundle = await readBundle(bytes);
          const { signatures } = await CompiledGraph.compile(await startRuntime(), bundle.graph);
          const { recommend, score } = signatures;
          const device = new DeviceModel(new CompiledGraph({ recommend, score }, () => {}));
          const model = new UpdatableModel(new LoadedModel(device, bundle));
          const older = new Recommender(model);
          const toText = (error) => `${error.name}: ${error.message}`;
          return [await older.vectors().catch(toText), await older.similar(item).catch(toText)];
        }""",
        ["bow.tflite", histories[0][0]],
    )
    assert (
        messages == ["BundleError: The file has no signature `vectors`; export its run again."] * 2
    )


@pytest.mark.parametrize("encoder", ENCODERS)
def test_encode_and_score_match_the_python_runtime(page, models, histories, encoder):
    recommender = Recommender.load(models[encoder])
    # More candidates than one call takes, among them an unknown item.
    candidates = [*bundle.read_bundle(models[encoder]).items, UNKNOWN]
    queries, scores = page.evaluate(
        f"""async ([url, histories, candidates]) => {{ {LOAD}
          const recommender = await load(url);
          const queries = [], scores = [];
          for (const history of histories) {{
            queries.push(Array.from(await recommender.encode(history)));
            scores.push(await recommender.score(history, candidates));
          }}
          return [queries, scores];
        }}""",
        [f"{encoder}.tflite", histories[-20:], candidates],
    )
    for history, query, row in zip(histories[-20:], queries, scores, strict=True):
        np.testing.assert_allclose(query, recommender.encode(history), atol=1e-5)
        np.testing.assert_allclose(row, recommender.score(history, candidates), atol=1e-5)


@pytest.fixture(scope="module")
def rating_recommender(server) -> Recommender:
    """Return a model that predicts ratings, with fewer candidates per call than the test has."""
    head = HeadSpec("rating", 1.0, (0.5, 1.0, 4.0))
    model = make_bundle(
        make_model("rnn", heads=(head,)), Shapes(1, 5, 6, 4, False), list(range(100, 130))
    )
    return Recommender.load(save_bundle(model, server.folder / "rating.tflite"))


def test_rate_matches_the_python_runtime(page, rating_recommender):
    histories = [[], [103, 107], list(range(100, 120))]
    candidates = [104, UNKNOWN, 101, 100, 129, 128]
    results = page.evaluate(
        f"""async ([histories, candidates]) => {{ {LOAD}
          const recommender = await load('rating.tflite');
          const results = [];
          for (const history of histories) {{
            const ratings = await recommender.rate(history, candidates);
            results.push(ratings.map((each) => each && {{ ...each, atLeast: [...each.atLeast] }}));
          }}
          return results;
        }}""",
        [histories, candidates],
    )
    for history, ratings in zip(histories, results, strict=True):
        expected_ratings = rating_recommender.rate(history, candidates)
        for found, expected in zip(ratings, expected_ratings, strict=True):
            if expected is None:
                assert found is None
                continue
            assert found["item"] == expected.item
            assert found["expected"] == pytest.approx(expected.expected, abs=1e-5)
            values, probabilities = zip(*found["atLeast"], strict=True)
            assert values == tuple(expected.at_least)
            assert probabilities == pytest.approx(list(expected.at_least.values()), abs=1e-5)


def test_invalid_rate_calls_raise_errors_with_the_remedy(page, rating_recommender):
    results = call(
        page,
        "rating.tflite",
        ("rate", [], []),
        ("rate", ["x"], [100]),
        ("rate", [100], 101),
        ("rate", [100], [101], {"adapter": {}}),
    )
    assert results == [
        [],
        'RangeError: all items are unknown, such as "x" (string); the model has 30 items, such '
        "as 100 (number)",
        "TypeError: the candidates are 101 (number), not a list; give [101]",
        'TypeError: there is no option "adapter"; the options are features',
    ]
    (error,) = call(page, "bow.tflite", ("rate", [], []))
    assert (
        error == "BundleError: The model predicts no ratings; train a run with --predict-ratings."
    )
