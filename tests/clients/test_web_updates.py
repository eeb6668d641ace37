"""The JavaScript package in a browser: signed files, and models that are replaced during calls."""

import json
import shutil

import pytest

from clients.golden.signed_cases import apply_edits
from tests import ROOT
from tests.clients.web_pages import host, write_modules
from tests.project.pages import blocks_of

GOLDEN = ROOT / "clients" / "golden"
SIGNED_MODEL = GOLDEN / "signed.tflite"
SIGNED = json.loads(SIGNED_MODEL.with_suffix(".json").read_text("utf-8"))
UPDATES = {each["name"]: each for each in SIGNED["updates"]}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("host")
    write_modules(folder / "lib")
    content = SIGNED_MODEL.read_bytes()
    files = {"newer": "a later number", "older": "an earlier number", "foreign": "another key"}
    for file, name in files.items():
        edited = apply_edits(content, UPDATES[name]["edits"])
        (folder / f"{file}.tflite").write_bytes(edited)
    for name in ("signed", "plain"):
        shutil.copy(GOLDEN / f"{name}.tflite", folder)
    (folder / "index.html").write_text("<!doctype html><title>Page</title>")
    blocks = blocks_of(ROOT / "docs" / "deploy" / "web.md", "js")
    (example,) = [block for block in blocks if "loadUpdated" in block]
    (folder / "example.js").write_text(example.replace('"jaxrec"', '"./lib/jaxrec/src/index.js"'))
    with host(folder) as url:
        yield url


IMPORT = """
  const { Recommender, WorkerRecommender } = await import("./lib/jaxrec/src/index.js");
  const load = (isInWorker, source, options) => {
    if (!isInWorker) return Recommender.load(source, options);
    const worker = new Worker("lib/jaxrec/src/worker.js", { type: "module" });
    return WorkerRecommender.load(worker, source, options);
  };
"""


@pytest.mark.parametrize("is_in_worker", [False, True])
def test_a_page_updates_from_a_signed_file_and_refuses_others(page, is_in_worker):
    found = page.evaluate(
        f"""async ([isInWorker, publicKey]) => {{ {IMPORT}
          const recommender = await load(isInWorker, "signed.tflite", {{ publicKey }});
          const found = [recommender.model.sequence];
          const files = ["foreign.tflite", "plain.tflite", "no.tflite", "newer.tflite"];
          for (const file of [...files, "older.tflite"]) {{
            const done = recommender.update(file).catch((error) => error.message);
            found.push(await done, recommender.model.sequence);
          }}
          await recommender.update("older.tflite", {{ rollback: true }});
          found.push(recommender.model.sequence, (await recommender.recommend([], 5)).length);
          recommender.close();
          return found;
        }}""",
        [is_in_worker, SIGNED["public_key"]],
    )
    first, foreign, _, unsigned, _, missing, third, done, fourth, older, last, rolled, count = found
    assert (first, third, done, fourth, last, rolled, count) == (3, 3, True, 4, 4, 2, 5)
    assert foreign.startswith("The model is not signed with this key: ")
    assert unsigned.startswith("The model is of an older version, whose files cannot be signed; ")
    assert "no.tflite cannot be fetched (status 404)" in missing
    assert older.startswith("The model is older than the model in use: sequence 2, ")


def test_a_worker_answers_with_one_of_two_models_during_20_swaps(page):
    found = page.evaluate(
        f"""async (history) => {{ {IMPORT}
          const files = ["plain.tflite", "signed.tflite"];
          const answer = async (each) => JSON.stringify(await each.recommend(history, 5));
          const expected = [];
          for (const file of files) {{
            const each = await load(false, file);
            expected.push(await answer(each));
            each.close();
          }}
          const recommender = await load(true, files[0]);
          const counts = [0, 0];
          const wrong = [];
          let isDone = false;
          const users = Array.from({{ length: 16 }}, async () => {{
            while (!isDone) {{
              const text = await answer(recommender).catch((error) => error.message);
              const model = expected.indexOf(text);
              if (model < 0) wrong.push(text);
              else counts[model] += 1;
            }}
          }});
          let consistent = 0;
          for (let swap = 1; swap <= 20; swap += 1) {{
            await recommender.update(files[swap % 2], {{ rollback: true }});
            consistent += recommender.items.includes(history[swap % 2]);
          }}
          isDone = true;
          await Promise.all(users);
          recommender.close();
          return [wrong, counts, consistent];
        }}""",
        ["A01", "R1"],
    )
    wrong, counts, consistent = found
    assert wrong == []
    assert min(counts) > 20
    assert consistent == 20


def test_the_example_of_the_web_page_looks_for_a_newer_model_every_hour(page):
    content = SIGNED_MODEL.read_bytes()
    served = [content]
    page.route("**/latest", lambda route: route.fulfill(body=served[-1]))
    page.clock.install()
    page.evaluate(
        """async (publicKey) => {
          const { loadUpdated } = await import("./example.js");
          globalThis.recommender = await loadUpdated("latest", publicKey);
        }""",
        SIGNED["public_key"],
    )
    served.append(apply_edits(content, UPDATES["a later number"]["edits"]))
    page.clock.fast_forward("01:00:00")
    page.wait_for_function("recommender.model.sequence === 4")
    served.append(apply_edits(content, UPDATES["another key"]["edits"]))
    with page.expect_console_message(lambda each: "is not signed with this key" in each.text):
        page.clock.fast_forward("01:00:00")
    assert page.evaluate("recommender.model.sequence") == 4
