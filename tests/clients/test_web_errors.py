"""Calls that every runtime refuses: JavaScript's errors have the sentences of Python's."""

import json

import pytest

from clients.golden.replay import replay
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


def test_errors_have_the_sentences_of_python():
    if not (PACKAGE / "node_modules").is_dir():
        npm.run("ci", "--ignore-scripts", folder=PACKAGE, capture_output=True, check=True)
    paths = sorted(path.with_suffix("") for path in GOLDEN.glob("*.json"))
    words = ["node", "--input-type=module", "--eval", SCRIPT, *map(str, paths)]
    done = npm.run("exec", "--", *words, folder=PACKAGE, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    found = iter(json.loads(done.stdout))
    count = 0
    for path in paths:
        recommender = Recommender.load(path.with_suffix(".tflite"))
        for case in json.loads(path.with_suffix(".json").read_text("utf-8"))["cases"]:
            if not case.get("error"):
                continue
            with pytest.raises(UserError) as error:
                replay(recommender, case["call"], case["arguments"])
            # Texts of values that are lists differ: ['DE'] (list), and DE (object).
            ours, theirs = as_in_python(next(found)), as_in_python(str(error.value))
            assert ours.replace("DE (object)", "['DE'] (list)") == theirs
            count += 1
    assert count > 30
