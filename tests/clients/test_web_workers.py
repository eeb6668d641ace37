"""The JavaScript package in workers, and the recommender of a page that calls one."""

import shutil

import pytest

from jaxrec.runtime import Recommender
from tests import ROOT
from tests.clients.web_pages import HISTORY, MODEL, expected_items, host, write_modules

GOLDEN = ROOT / "clients" / "golden"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("host")
    write_modules(folder / "lib")
    shutil.copy(MODEL, folder / "model.tflite")
    shutil.copy(GOLDEN / "adapter.tflite", folder)
    (folder / "index.html").write_text("<!doctype html><title>Page</title>")
    (folder / "classic.js").write_text(
        """addEventListener("message", async ({ data: [model, history] }) => {
          const { Recommender } = await import("./lib/jaxrec/src/index.js");
          const recommender = await Recommender.load(model);
          postMessage(await recommender.recommend(history, 5));
        });"""
    )
    with host(folder) as url:
        yield url


LOAD = """
  const { WorkerRecommender } = await import("./lib/jaxrec/src/index.js");
  const newWorker = (script = "lib/jaxrec/src/worker.js") => new Worker(script, { type: "module" });
  const toText = (error) => [error.name, error.message, error instanceof EXPECTED];
"""


def test_a_module_worker_answers_as_the_recommender_does(page):
    found = page.evaluate(
        f"""async (history) => {{ {LOAD}
          const {{ Recommender }} = await import("./lib/jaxrec/src/index.js");
          const here = await Recommender.load("model.tflite");
          const there = await WorkerRecommender.load(newWorker(), "model.tflite");
          const results = [];
          for (const each of [here, there]) {{
            results.push(await Promise.all([
              each.recommend(history, 5, {{ exclude: [1] }}),
              each.recommendMany([history, []], 3),
              each.similar(history[0], 3),
              each.score(history, [1, 2, -1]),
              each.encode(history).then((query) => Array.from(query)),
              each.vectors().then(({{ biases }}) => Array.from(biases.slice(0, 9))),
              each.knows(history[0]), each.knows("x"),
              each.describe(history[0]), each.describe("x"),
              each.items, each.topK, each.historyLength, each.features, each.model,
            ]));
          }}
          there.close();
          return results.map((each) => JSON.stringify(each));
        }}""",
        HISTORY,
    )
    assert found[0] == found[1]


def test_a_worker_learns_an_adapter(page):
    adapter = page.evaluate(
        f"""async () => {{ {LOAD}
          const recommender = await WorkerRecommender.load(newWorker(), "adapter.tflite");
          const adapter = await recommender.adapt(recommender.items.slice(0, 20));
          recommender.close();
          return adapter;
        }}"""
    )
    recommender = Recommender.load(GOLDEN / "adapter.tflite")
    expected = recommender.adapt(recommender.items[:20])
    assert adapter["vector"] == pytest.approx(expected.vector.tolist(), abs=1e-3)
    assert adapter["model"] == expected.model


@pytest.mark.parametrize(
    ("script", "model", "call", "expected"),
    [
        (None, "model.tflite", "recommend", ("RangeError", "k=0 is out of range; give 1 to ")),
        (None, "model.tflite", "rate", ("BundleError", "The model predicts no ratings; ")),
        (None, "no.tflite", "recommend", ("LoadError", "no.tflite cannot be fetched (status 404)")),
        ("no.js", "model.tflite", "recommend", ("LoadError", "the worker failed (its script ")),
    ],
)
def test_an_error_in_the_worker_is_thrown_in_the_page(page, script, model, call, expected):
    name, message = expected
    kind = name if name == "RangeError" else f"package.{name}"
    found = page.evaluate(
        f"""async ([script, model, method, history]) => {{ {LOAD.replace("EXPECTED", kind)}
          const package_ = await import("./lib/jaxrec/src/index.js");
          try {{
            const recommender =
              await WorkerRecommender.load(newWorker(script ?? undefined), model);
            await recommender[method](history, method === "rate" ? [] : 0);
          }} catch (error) {{
            return toText(error);
          }}
        }}""".replace("package.", "package_."),
        [script, model, call, HISTORY],
    )
    assert found[0] == name and message in found[1] and found[2]


def test_a_closed_worker_throws(page):
    messages = page.evaluate(
        f"""async (history) => {{ {LOAD}
          const recommender = await WorkerRecommender.load(newWorker(), "model.tflite");
          const pending = recommender.recommend(history);
          recommender.close();
          const calls = [pending, recommender.recommend(history)];
          return Promise.all(calls.map((each) => each.catch((error) => error.message)));
        }}""",
        HISTORY,
    )
    assert messages == ["the recommender is closed"] * 2


def test_a_classic_worker_imports_the_package(page, url):
    found = page.evaluate(
        """([model, history]) => new Promise((resolve, reject) => {
          const worker = new Worker("classic.js");
          worker.onerror = reject;
          worker.onmessage = ({ data }) => resolve(data.map(({ item }) => item));
          worker.postMessage([model, history]);
        })""",
        [f"{url}model.tflite", HISTORY],
    )
    assert found == expected_items()
