"""Calls and files that every runtime refuses: JavaScript's errors have Python's sentences."""

import json
import re

import pytest

from clients.golden.replay import replay
from clients.golden.signed_cases import apply_edits
from demo import npm
from jaxrec.errors import UserError
from jaxrec.runtime import Recommender
from tests import ROOT
from tests.clients.web_pages import PACKAGE

pytestmark = pytest.mark.slow  # installs with npm

GOLDEN = ROOT / "clients" / "golden"
SCRIPT = """
import { readFileSync } from "node:fs";
import { Recommender } from "jaxrec/node";
import { replay } from "./test/replay.js";

const messages = [];
for (const name of process.argv.slice(1)) {
  const recommender = await Recommender.load(`${name}.tflite`);
  for (const each of JSON.parse(readFileSync(`${name}.json`)).cases) {
    if (!each.error) continue;
    const call = async () => replay(recommender, each.call, each.arguments);
    messages.push(await call().then(() => null, ({ message }) => message));
  }
}
console.log(JSON.stringify(messages));
"""
# The names that JavaScript has for types and for unknown values.
WORDS = {"(string)": "(str)", "(number)": "(int)", "null": "None", '"': "'"}


def as_in_python(message: str) -> str:
    """Return a message without what differs by the language."""
    for ours, theirs in WORDS.items():
        message = message.replace(ours, theirs)
    return message[0].lower() + message[1:].rstrip(".")


def messages_of(script: str, *arguments: str) -> list[str | None]:
    """Return the messages that a script in the folder of the package prints as JSON."""
    if not (PACKAGE / "node_modules").is_dir():
        npm.run("ci", "--ignore-scripts", folder=PACKAGE, capture_output=True, check=True)
    words = ["node", "--input-type=module", "--eval", script, *arguments]
    done = npm.run("exec", "--", *words, folder=PACKAGE, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_errors_have_the_sentences_of_python():
    paths = sorted(path.with_suffix("") for path in GOLDEN.glob("*.json"))
    found = iter(messages_of(SCRIPT, *map(str, paths)))
    count = 0
    for path in paths:
        recommender = Recommender.load(path.with_suffix(".tflite"))
        for case in json.loads(path.with_suffix(".json").read_text("utf-8"))["cases"]:
            if not case.get("error"):
                continue
            with pytest.raises(UserError) as error:
                replay(recommender, case["call"], case["arguments"])
            # Texts of values that are lists differ: ['DE'] (list), and DE (object).
            ours, theirs = as_in_python(next(found) or ""), as_in_python(str(error.value))
            assert ours.replace("DE (object)", "['DE'] (list)") == theirs
            count += 1
    assert count > 30


UPDATES = """
import { Recommender } from "jaxrec/node";

const [signed, publicKey, ...files] = process.argv.slice(1);
const messages = [];
for (const each of files) {
  const recommender = await Recommender.load(signed, { publicKey });
  const update = recommender.update(each, { rollback: each.endsWith(".rollback") });
  messages.push(await update.then(() => null, ({ message }) => message));
}
console.log(JSON.stringify(messages));
"""


def test_refused_updates_have_the_sentences_of_python(tmp_path):
    signed = GOLDEN / "signed.tflite"
    cases = json.loads(signed.with_suffix(".json").read_text("utf-8"))
    loaded, paths = tmp_path / "model.tflite", []
    loaded.write_bytes(signed.read_bytes())
    for number, update in enumerate(cases["updates"]):
        if update["outcome"] in ("replaced", "same"):
            continue
        paths.append(tmp_path / f"{number}{'.rollback' * update['rollback']}")
        paths[-1].write_bytes(apply_edits(signed.read_bytes(), update["edits"]))
    key = cases["public_key"]
    found = messages_of(UPDATES, str(loaded), key, *map(str, paths))
    recommender = Recommender.load(signed.read_bytes(), public_key=key)
    for path, message in zip(paths, found, strict=True):
        with pytest.raises(UserError) as error:
            recommender.update(path, rollback=path.suffix == ".rollback")
        expected = str(error.value).replace("rollback=True", "rollback: true")
        ours = message or ""
        for name in ("The model", "This"):
            ours = ours.replace(f"{name} ", f"{path} ", 1) if ours.startswith(name) else ours
        assert without_cause(ours) == without_cause(expected)
    assert loaded.read_bytes() == signed.read_bytes()


def without_cause(message: str) -> str:
    """Return a message without what depends on the library that found a damaged file."""
    message = re.sub(r"\(.*\)", "()", message.rstrip("."))
    truncated = "not a jaxrec model, or is truncated; export it with `jaxrec export`"
    return message.replace(truncated, "damaged (); copy it again, or export its run again")
