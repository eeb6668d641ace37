"""The JavaScript recommender gives the results of the Python runtime, in a real browser."""

import struct
from dataclasses import asdict

import numpy as np
import pytest

from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.runs.directory import HELDOUT
from jaxrec.runs.heldout import load_heldout
from jaxrec.runtime import bundle
from jaxrec.runtime.recommender import Recommender
from jaxrec.schema import ITEM, HeadSpec
from tests.browser import site
from tests.bundles import make_bundle, rewrite_bundle, save_bundle, save_in_format_1
from tests.exports import ENCODERS, run_script
from tests.small_models import make_model

HISTORIES = 300
UNKNOWN = 10**9

LOAD = """
  const { Recommender } = await import('./recommender.js');
  const load = async (url) =>
    Recommender.load(new Uint8Array(await (await fetch(url)).arrayBuffer()));
"""


CALL = f"""async ([url, calls]) => {{ {LOAD}
  const recommender = await load(url);
  const results = [];
  for (const [method, ...values] of calls) {{
    const result = recommender[method](...values);
    results.push(await result.catch((error) => `${{error.name}}: ${{error.message}}`));
  }}
  recommender.close();
  return results;
}}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("page") / "site"
    with site(folder, *(models[encoder] for encoder in ENCODERS)) as server:
        for encoder, path in models.items():
            (folder / f"{encoder}.tflite").write_bytes(path.read_bytes())
        yield server


@pytest.fixture(scope="module")
def page(browser, server):
    page = browser.new_page()
    page.goto(f"{server.url}models.json")
    return page


@pytest.fixture(scope="module")
def histories(runs) -> list[list[int]]:
    """Return histories of raw items: held-out ones and edge cases."""
    items = bundle.read_bundle(runs["rnn"] / "export" / "model.tflite").items
    rows = load_heldout(runs["rnn"] / HELDOUT).history[ITEM]
    held_out = [[items[number - 1] for number in row if number] for row in rows]
    edge_cases = [
        [],
        items[:1],
        items[:3] * 4,
        items[:40],
        [-5, UNKNOWN, items[7], 0],
        items[::-1],
        items[7:],
    ]
    return [*held_out[: HISTORIES - len(edge_cases)], *edge_cases]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_recommend_matches_the_python_runtime(page, models, histories, encoder):
    items, scores, first = page.evaluate(
        f"""async ([url, histories]) => {{ {LOAD}
          const recommender = await load(url);
          const lists = [];
          for (const history of histories) {{
            lists.push(await recommender.recommend(history, recommender.topK));
          }}
          recommender.close();
          const all = (name) => lists.map((list) => list.map((each) => each[name]));
          return [all('item'), all('score'), lists[0][0]];
        }}""",
        [f"{encoder}.tflite", histories],
    )
    recommender = Recommender.load(models[encoder])
    expected = [recommender.recommend(history, recommender.top_k) for history in histories]
    assert len(items) == HISTORIES
    for history, *lists in zip(histories, items, scores, expected, strict=True):
        assert_same_lists(recommender, history, *lists)
    assert first == {**asdict(expected[0][0]), "score": scores[0][0]}


def assert_same_lists(recommender, history, items, scores, expected) -> None:
    """Check that each rank has the same item, or one whose score ties within rounding."""
    expected_scores = [each.score for each in expected]
    np.testing.assert_allclose(scores, expected_scores, rtol=0, atol=1e-5)
    rescored = recommender.score(history, items)
    np.testing.assert_allclose(rescored, expected_scores, rtol=1e-6, atol=1e-6)
    assert len(set(items)) == len(items)


def call(page, url: str, *calls: tuple) -> list:
    """Call methods of a recommender in the browser; return errors as their name and message."""
    return page.evaluate(CALL, [url, calls])


def items_of(recommendations: list[dict]) -> list:
    return [each["item"] for each in recommendations]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_exclude_and_candidates_match_the_python_runtime(page, models, histories, encoder):
    """Check long excludes, candidates, and k beyond the top_k of the model, on many histories."""
    recommender = Recommender.load(models[encoder])
    rng = np.random.default_rng(1)
    requests = []
    for history in [*histories[:20], *histories[-7:]]:
        shuffled = rng.permutation(recommender.items).tolist()
        exclude = [UNKNOWN, *shuffled[: rng.integers(len(shuffled))]]
        candidates = rng.choice([*recommender.items, UNKNOWN], 30).tolist()
        k = int(rng.integers(1, len(shuffled) + 1))
        requests += [
            (history, k, {}),
            (history, 10, {"exclude": exclude}),
            (history, k, {"candidates": candidates}),
            (history, k, {"candidates": candidates, "exclude": exclude}),
        ]
    lists = call(page, f"{encoder}.tflite", *(("recommend", *each) for each in requests))
    for (history, k, options), found in zip(requests, lists, strict=True):
        expected = recommender.recommend(history, k, **options)
        scores = [each["score"] for each in found]
        assert_same_lists(recommender, history, items_of(found), scores, expected)
        allowed = set(options.get("candidates", recommender.items)) & set(recommender.items)
        allowed -= {*history, *options.get("exclude", [])}
        assert len(found) == min(k, len(allowed))
        assert set(items_of(found)) <= allowed


def test_the_order_of_candidates_does_not_matter(page, models):
    items = list(Recommender.load(models["rnn"]).items)
    # Items with equal scores are in the order of `items`.
    scores, forward, backward = call(
        page,
        "rnn.tflite",
        ("score", [], items),
        ("recommend", [], len(items), {"candidates": items}),
        ("recommend", [], len(items), {"candidates": items[::-1] * 2}),
    )
    order = sorted(range(len(items)), key=lambda index: (-scores[index], index))
    assert items_of(forward) == items_of(backward) == [items[index] for index in order]


def test_recommend_many_equals_separate_calls(page, models, histories):
    many = [*histories[:5], *histories[-7:]]
    exclude = [history[::2] for history in histories[20:32]]
    together, defaults, *separate = call(
        page,
        "cnn.tflite",
        ("recommendMany", many, 7, {"exclude": exclude}),
        ("recommendMany", many),
        *(
            ("recommend", history, 7, {"exclude": each})
            for history, each in zip(many, exclude, strict=True)
        ),
    )
    assert together == separate
    assert [len(found) for found in defaults[:5]] == [10] * 5


@pytest.fixture(scope="module")
def keep_seen_model(runs, server):
    """Export a run with --keep-seen, so that seen items are recommended too."""
    folder = server.folder.parent / "keeping"
    flags = ("--keep-seen", "--recipe=float32", f"--export-dir={folder}")
    done = run_script("convert/to_tflite.py", f"--run-dir={runs['bow']}", *flags, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    (server.folder / "keeping.tflite").write_bytes((folder / "model.tflite").read_bytes())
    return folder / "model.tflite"


def test_a_model_exported_with_keep_seen(page, keep_seen_model):
    recommender = Recommender.load(keep_seen_model)
    items = list(recommender.items)
    history = items[:20]
    all_items, excluding, candidates = call(
        page,
        "keeping.tflite",
        ("recommend", history, len(items)),
        ("recommend", history, len(items), {"exclude": items[5:9]}),
        ("recommend", history, 9, {"candidates": items[:3]}),
    )
    assert set(items_of(all_items)) == set(items)
    assert set(items_of(excluding)) == set(items) - set(items[5:9])
    assert set(items_of(candidates)) == set(items[:3])
    expected = recommender.recommend(history, len(items))
    scores = [each["score"] for each in all_items]
    assert_same_lists(recommender, history, items_of(all_items), scores, expected)


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
          const { readBundle } = await import('./bundle.js');
          const { DeviceModel } = await import('./interpreter.js');
          const { Recommender } = await import('./recommender.js');
          const { loadAndCompile } = await import('./runtime/litert.js');
          const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
          (await Recommender.load(bytes)).close(); // starts the runtime
          const bundle = await readBundle(bytes);
          const compiled = await loadAndCompile(bundle.graph, { accelerator: 'wasm' });
          const { recommend, score } = compiled.signatures;
          const device = new DeviceModel({ signatures: { recommend, score } });
          const older = new Recommender(device, bundle);
          const toText = (error) => `${error.name}: ${error.message}`;
          return [await older.vectors().catch(toText), await older.similar(item).catch(toText)];
        }""",
        ["bow.tflite", histories[0][0]],
    )
    assert (
        messages == ["BundleError: The file has no signature `vectors`: export its run again."] * 2
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
    assert error == "BundleError: The model predicts no ratings: train one with --predict-ratings."


def test_concurrent_calls_do_not_interfere(page, histories):
    assert page.evaluate(
        f"""async (histories) => {{ {LOAD}
          const recommender = await load('rnn.tflite');
          const once = [];
          for (const history of histories) once.push(await recommender.recommend(history));
          const together = await Promise.all(histories.map((each) => recommender.recommend(each)));
          return JSON.stringify(once) === JSON.stringify(together);
        }}""",
        histories,
    )


def test_memory_is_constant_over_20_000_recommendations(page, histories):
    client = page.context.new_cdp_session(page)

    def memory_use() -> tuple[int, float]:
        client.send("HeapProfiler.collectGarbage")
        wasm = page.evaluate(
            """async () => {
              const { getGlobalLiteRt } = await import('./runtime/litert.js');
              return getGlobalLiteRt().liteRtWasm.HEAPU8.length;
            }"""
        )
        return wasm, client.send("Runtime.getHeapUsage")["usedSize"]

    page.evaluate(f"async () => {{ {LOAD} globalThis.flat = await load('bow.tflite'); }}")
    recommend = """async ([histories, calls]) => {
      for (let call = 0; call < calls; call += 1) {
        await flat.recommend(histories[call % histories.length]);
      }
    }"""
    page.evaluate(recommend, [histories, 2000])
    wasm, script = memory_use()
    page.evaluate(recommend, [histories, 20_000])
    wasm_after, script_after = memory_use()
    assert wasm_after == wasm
    # A leak of 100 bytes per call would be 2 MB.
    assert script_after - script < 500_000


def test_invalid_arguments_raise_errors_with_the_remedy(page, models):
    items = bundle.read_bundle(models["bow"]).items
    item, text, size = items[4], str(items[4]), len(items)
    count = f"out of range; give 1 to {size}"
    unknown = f'"{item}" (string); the model has {size} items, such as {items[0]} (number)'
    no_list = f"are {item} (number), not a list; give [{item}]"
    mistakes = [
        (("recommend", [], 0), f"RangeError: k=0 is {count}"),
        (("recommend", [], 1.5), f"RangeError: k=1.5 is {count}"),
        (("recommendMany", [], -1), f"RangeError: k=-1 is {count}"),
        (("similar", item, size + 1), f"RangeError: k={size + 1} is {count}"),
        (("recommend", [text, "x"]), f"RangeError: all items are unknown, such as {unknown}"),
        (("score", [text], []), f"RangeError: all items are unknown, such as {unknown}"),
        (("encode", [text]), f"RangeError: all items are unknown, such as {unknown}"),
        (
            ("recommend", [], 5, {"candidates": [text]}),
            f"RangeError: all candidates are unknown, such as {unknown}",
        ),
        (
            ("recommendMany", [[item], [text]]),
            f"RangeError: all items of histories[1] are unknown, such as {unknown}",
        ),
        (
            ("similar", text),
            f"RangeError: unknown item {unknown}",
        ),
        (
            ("recommend", "abc"),
            'TypeError: the items are "abc" (string), not a list; give ["abc"]',
        ),
        (("recommend", None), "TypeError: the items are null (null), not a list; give [null]"),
        (("recommend", item), f"TypeError: the items {no_list}"),
        (("score", [item], item), f"TypeError: the candidates {no_list}"),
        (("recommend", [], 5, {"exclude": item}), f"TypeError: the items to exclude {no_list}"),
        (("recommendMany", [[], item]), f"TypeError: the items of histories[1] {no_list}"),
        (
            ("recommendMany", [[], []], 5, {"exclude": [[]]}),
            "RangeError: exclude has 1 entries for 2 histories; give one each",
        ),
        (
            ("recommend", [], 5, {"rating": [1]}),
            'TypeError: there is no option "rating"; the options are exclude, candidates, '
            "features, adapter",
        ),
        (
            ("recommendMany", [[]], 5, {"candidates": [item]}),
            'TypeError: there is no option "candidates"; the options are exclude, features',
        ),
        (
            ("recommend", [item], 5, {"features": {"rating": [1]}}),
            'RangeError: the model has no feature "rating"; it has none',
        ),
    ]
    errors = call(page, "bow.tflite", *(arguments for arguments, _ in mistakes))
    assert errors == [message for _, message in mistakes]


def test_no_candidates_give_empty_results(page):
    ranked, scored = call(
        page, "bow.tflite", ("recommend", [], 5, {"candidates": []}), ("score", [], [])
    )
    assert ranked == scored == []


def test_items_catalogue_and_sizes_are_those_of_the_bundle(page, models):
    expected = bundle.read_bundle(models["cnn"])
    items, catalogue, sizes, knows = page.evaluate(
        f"""async (known) => {{ {LOAD}
          const recommender = await load('cnn.tflite');
          const {{ items, catalogue, historyLength, topK }} = recommender;
          const knows = [known, `${{known}}`, -1].map((item) => recommender.knows(item));
          return [items, [...catalogue], [historyLength, topK], knows];
        }}""",
        expected.items[3],
    )
    assert items == expected.items
    assert catalogue == list(expected.catalogue)
    assert sizes == [expected.model["history_length"], expected.model["top_k"]]
    assert knows == [True, False, False]


def load_result(page, name: str) -> str:
    return page.evaluate(
        f"""async (url) => {{ {LOAD}
          return load(url).then(() => 'loaded', (error) => `${{error.name}}: ${{error.message}}`);
        }}""",
        name,
    )


def test_inconsistent_bundles_are_rejected(page, server, models):
    path, target = models["bow"], server.folder / "changed.tflite"
    original = bundle.read_bundle(path)
    vocabulary = {"digest": original.model["vocabulary"]["sha256"]}

    rewrite_bundle(path, target)
    assert load_result(page, target.name) == "loaded"

    save_in_format_1(path, target)
    assert load_result(page, target.name) == "loaded"

    rewrite_bundle(path, target, catalogue=[*original.catalogue] * 9)
    assert "catalogue does not fit" in load_result(page, target.name)

    save_in_format_1(path, target, lambda entries: entries[:-1])
    assert "catalogue does not fit" in load_result(page, target.name)

    save_in_format_1(path, target, lambda entries: [entries[1], entries[0], *entries[2:]])
    assert "catalogue does not fit" in load_result(page, target.name)

    rewrite_bundle(path, target, vocabulary_json={**vocabulary, "values": original.items[1:]})
    assert "vocabulary does not fit" in load_result(page, target.name)

    rewrite_bundle(path, target, vocabulary_json={"digest": "other", "values": original.items})
    assert "vocabulary does not fit" in load_result(page, target.name)

    large_ids = [2**53, *original.items[1:]]
    rewrite_bundle(path, target, vocabulary_json={**vocabulary, "values": large_ids})
    assert "2^53" in load_result(page, target.name)

    rewrite_bundle(path, target, model_json={**original.model, "format": 99})
    assert "format 99" in load_result(page, target.name)

    rewrite_bundle(path, target, model_json={**original.model, "batch_size": 8})
    assert "takes 8 histories per call, for use on servers" in load_result(page, target.name)


def test_a_file_with_a_changed_byte_is_rejected(page, server, models):
    data = models["rnn"].read_bytes()
    target = server.folder / "changed.tflite"
    rng = np.random.default_rng(0)
    for offset in rng.integers(0, len(data), 40):
        damaged = bytearray(data)
        damaged[offset] ^= 0xFF
        target.write_bytes(damaged)
        found = load_result(page, target.name)
        # Some bytes have no effect: a date, a flag, the model card.
        assert found.startswith("BundleError: ") or found == "loaded", found
        if offset < bundle.read_bundle(models["rnn"]).model["graph"]["bytes"]:
            assert found.startswith("BundleError: ")


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"PK", b"\0" * 70_000, struct.pack("<IHHHHIIH", 0x06054B50, *[9] * 7)],
)
def test_a_file_that_is_not_a_model_is_rejected(page, server, content):
    (server.folder / "changed.tflite").write_bytes(content)
    assert load_result(page, "changed.tflite").startswith("BundleError: ")
