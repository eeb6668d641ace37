"""Lists of the JavaScript recommender are those of the Python runtime, in a real browser."""

from dataclasses import asdict

import numpy as np
import pytest

from jaxrec.runtime import bundle
from jaxrec.runtime.recommender import Recommender
from tests.demo import recommender_page
from tests.demo.recommender_page import HISTORIES, LOAD, UNKNOWN, call, items_of
from tests.exports import ENCODERS, run_script

histories, page, server = recommender_page.histories, recommender_page.page, recommender_page.server


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


@pytest.mark.slow
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
              const { startRuntime } = await import('./jaxrec/litert.js');
              return (await startRuntime()).wasm.HEAPU8.length;
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
