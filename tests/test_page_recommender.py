"""The module that speaks to the model says in the browser what the runtime says in Python."""

import struct
from dataclasses import asdict

import numpy as np
import pytest

from jaxrec.runs.directory import HELDOUT
from jaxrec.runs.heldout import load_heldout
from jaxrec.runtime import bundle
from jaxrec.runtime.recommender import Recommender
from jaxrec.schema import ITEM
from tests.browser import site
from tests.bundles import rewritten
from tests.exports import ENCODERS

HISTORIES = 300

LOAD = """
  const { Recommender } = await import('./recommender.js');
  const load = async (url) =>
    Recommender.load(new Uint8Array(await (await fetch(url)).arrayBuffer()));
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("page") / "site"
    with site(folder, *(models[encoder] for encoder in ENCODERS)) as place:
        for encoder, path in models.items():
            (folder / f"{encoder}.tflite").write_bytes(path.read_bytes())
        yield place


@pytest.fixture(scope="module")
def page(browser, place):
    page = browser.new_page()
    page.goto(f"{place.url}models.json")
    return page


@pytest.fixture(scope="module")
def histories(runs) -> list[list[int]]:
    """Raw items: held-out histories, and what people may do wrong."""
    items = bundle.read(runs["rnn"] / "export" / "model.tflite").items
    rows = load_heldout(runs["rnn"] / HELDOUT).history[ITEM]
    known = [[items[number - 1] for number in row if number] for row in rows]
    odd = [
        [],
        items[:1],
        items[:3] * 4,
        items[:40],
        [-5, 10**9, items[7], 0],
        items[::-1],
    ]
    return [*known[: HISTORIES - len(odd)], *odd]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_recommends_as_the_runtime_in_python(page, models, histories, encoder):
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
    here = [recommender.recommend(history, recommender.top_k) for history in histories]
    assert len(items) == HISTORIES
    expected = [[each.score for each in row] for row in here]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)
    # At every place the same item, or one that ties with it: sums differ in their last bits.
    placed = [recommender.score(*asked) for asked in zip(histories, items, strict=True)]
    np.testing.assert_allclose(placed, expected, rtol=1e-6, atol=1e-6)
    assert [len(set(row)) for row in items] == [recommender.top_k] * HISTORIES
    assert first == {**asdict(here[0][0]), "score": scores[0][0]}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_encodes_and_scores_as_the_runtime_in_python(page, models, histories, encoder):
    recommender = Recommender.load(models[encoder])
    # More than one call's worth, an unknown item among them.
    candidates = [*bundle.read(models[encoder]).items, 10**9]
    contexts, scores = page.evaluate(
        f"""async ([url, histories, candidates]) => {{ {LOAD}
          const recommender = await load(url);
          const contexts = [], scores = [];
          for (const history of histories) {{
            contexts.push(Array.from(await recommender.encode(history)));
            scores.push(await recommender.score(history, candidates));
          }}
          return [contexts, scores];
        }}""",
        [f"{encoder}.tflite", histories[-20:], candidates],
    )
    for history, context, row in zip(histories[-20:], contexts, scores, strict=True):
        np.testing.assert_allclose(context, recommender.encode(history), atol=1e-5)
        np.testing.assert_allclose(row, recommender.score(history, candidates), atol=1e-5)


def test_calls_that_overlap_do_not_mix(page, histories):
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


def test_memory_stays_flat_over_20_000_recommendations(page, histories):
    client = page.context.new_cdp_session(page)

    def used() -> tuple[int, float]:
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
    wasm, script = used()
    page.evaluate(recommend, [histories, 20_000])
    wasm_after, script_after = used()
    assert wasm_after == wasm
    # A hundred bytes a call would be 2 MB.
    assert script_after - script < 500_000


def test_k_is_a_number_of_items_that_the_model_gives(page):
    message = page.evaluate(
        f"""async () => {{ {LOAD}
          const recommender = await load('bow.tflite');
          return recommender.recommend([], recommender.topK + 1).catch((error) => error.message);
        }}"""
    )
    assert "is not 1 to" in message


def refusal(page, name: str) -> str:
    return page.evaluate(
        f"""async (url) => {{ {LOAD}
          return load(url).then(() => 'loaded', (error) => `${{error.name}}: ${{error.message}}`);
        }}""",
        name,
    )


def test_parts_that_do_not_fit_are_refused(page, place, models):
    path, target = models["bow"], place.folder / "odd.tflite"
    whole = bundle.read(path)
    catalogue, vocabulary = whole.catalogue, {"digest": whole.model["vocabulary"]["sha256"]}

    rewritten(path, target)
    assert refusal(page, target.name) == "loaded"

    rewritten(path, target, catalogue_json=catalogue[:-1])
    assert "catalogue does not fit" in refusal(page, target.name)

    rewritten(path, target, catalogue_json=[catalogue[1], catalogue[0], *catalogue[2:]])
    assert "catalogue does not fit" in refusal(page, target.name)

    rewritten(path, target, vocabulary_json={**vocabulary, "values": whole.items[1:]})
    assert "vocabulary does not fit" in refusal(page, target.name)

    rewritten(path, target, vocabulary_json={"digest": "other", "values": whole.items})
    assert "vocabulary does not fit" in refusal(page, target.name)

    far = [2**53, *whole.items[1:]]
    rewritten(path, target, vocabulary_json={**vocabulary, "values": far})
    assert "2^53" in refusal(page, target.name)

    rewritten(path, target, model_json={**whole.model, "format": 99})
    assert "format 99" in refusal(page, target.name)


def test_a_damaged_file_is_refused_whatever_byte_changed(page, place, models):
    data = models["rnn"].read_bytes()
    target = place.folder / "odd.tflite"
    rng = np.random.default_rng(0)
    for place_of_damage in rng.integers(0, len(data), 40):
        damaged = bytearray(data)
        damaged[place_of_damage] ^= 0xFF
        target.write_bytes(damaged)
        found = refusal(page, target.name)
        # Some bytes carry nothing: a date, a flag, the card for people.
        assert found.startswith("BundleError: ") or found == "loaded", found
        if place_of_damage < bundle.read(models["rnn"]).model["graph"]["bytes"]:
            assert found.startswith("BundleError: ")


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"PK", b"\0" * 70_000, struct.pack("<IHHHHIIH", 0x06054B50, *[9] * 7)],
)
def test_what_is_no_model_is_refused(page, place, content):
    (place.folder / "odd.tflite").write_bytes(content)
    assert refusal(page, "odd.tflite").startswith("BundleError: ")
