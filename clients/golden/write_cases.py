"""Write the golden cases: small model files, and the results that every runtime must return.

    python clients/golden/write_cases.py

trains the models from scratch, which takes half a minute each, and writes NAME.tflite and NAME.json
for them. Names as arguments select models; with --keep-models the results are those of the files
that exist. The tests of the runtimes in Python, JavaScript and Kotlin replay the cases:

    {"model": "NAME.tflite", "tolerance": 1e-4, "cases": [
      {"name": "...", "call": "recommend", "arguments": {...}, "result": [...]},
      {"name": "...", "call": "recommend", "arguments": {...}, "error": true}]}

The arguments of a call have the names of Python; those with defaults may be missing, and null is an
unknown value of a feature. A runtime returns the same items in the same order, but two neighbors
whose scores differ by less than the tolerance may be swapped; numbers differ by at most the
tolerance, or `ADAPT_TOLERANCE` for the call `adapt`. A call with `error` is refused by every
runtime, with its own message.

signed.tflite is made of keep_seen.tflite, and signed.json also has the public key and updates:

    {..., "public_key": "-----BEGIN PUBLIC KEY-----...", "updates": [
      {"name": "...", "edits": [{"at": 7, "delete": 1, "insert": "ff"}], "rollback": false,
       "outcome": "damaged", "sequence": 3}]}

The edits replace bytes of signed.tflite: those of `insert`, in hexadecimal, replace `delete` bytes
at the position `at` of the original. A model loaded from signed.tflite with the key is updated by
the edited file. `signed_cases.Outcome` explains the outcomes; `sequence` is that of the model that
answers afterwards.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clients.golden.adapter_cases import adapter_cases
from clients.golden.case import Case
from clients.golden.features_cases import FEATURES
from clients.golden.keep_seen_cases import KEEP_SEEN
from clients.golden.models import MODELS, build
from clients.golden.plain_cases import PLAIN
from clients.golden.replay import replay
from clients.golden.signed_cases import SIGNED, edits_between, updates
from clients.golden.signed_model import PUBLIC_KEY, pack, read_parts
from jaxrec.errors import UserError
from jaxrec.runtime import Recommender

GOLDEN = Path(__file__).parent
TOLERANCE, ADAPT_TOLERANCE = 1e-4, 1e-3
MAX_BYTES = 60_000
NAMES = (*MODELS, "signed")


def write_model(name: str) -> None:
    """Train a model and write its file.

    Raises:
        AssertionError: the file is too large.
    """
    content = _signed() if name == "signed" else build(name)
    assert len(content) <= MAX_BYTES, f"{name} has {len(content):,} bytes"
    (GOLDEN / f"{name}.tflite").write_bytes(content)


def write_cases(name: str) -> None:
    """Write the cases of a model, with the results of its file.

    Raises:
        AssertionError: a call is refused that should have a result, or the reverse.
    """
    path = GOLDEN / f"{name}.tflite"
    recommender = Recommender.load(path)
    cases = [_with_result(recommender, case) for case in _cases(name, recommender)]
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in cases)
    head = json.dumps({"model": path.name, "tolerance": TOLERANCE})[:-1]
    more = _updates(path) if name == "signed" else ""
    text = f'{head}, "cases": [\n{lines}\n]{more}}}\n'
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size:,} bytes, {len(cases)} cases")


def _cases(name: str, recommender: Recommender) -> Sequence[Case]:
    if name != "adapter":
        return {"plain": PLAIN, "features": FEATURES, "keep_seen": KEEP_SEEN, "signed": SIGNED}[
            name
        ]
    return adapter_cases(_adapter(recommender.model))


def _signed() -> bytes:
    return pack(read_parts(GOLDEN / "keep_seen.tflite"))


def _updates(path: Path) -> str:
    """Return the public key and the updates of a signed file as the last keys of its cases."""
    content = path.read_bytes()
    lines = [
        json.dumps(
            {
                "name": each.name,
                "edits": edits_between(content, each.content),
                "rollback": each.rollback,
                "outcome": each.outcome,
                "sequence": each.sequence,
            }
        )
        for each in updates(read_parts(GOLDEN / "keep_seen.tflite"))
    ]
    listed = ",\n".join(lines)
    return f', "public_key": {json.dumps(PUBLIC_KEY)}, "updates": [\n{listed}\n]'


def _adapter(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored layout of an adapter that changes lists visibly."""
    vector = [0.75 * (-1) ** i / (1 + i % 3) for i in range(model["embedding_dim"])]
    losses = {"before": 3.5, "after": 3.25}
    return {"format": 1, "model": model["graph"]["sha256"], "vector": vector, **losses}


def _with_result(recommender: Recommender, case: Case) -> dict[str, Any]:
    """Return a case as JSON, with its result."""
    entry = {"name": case.name, "call": case.call, "arguments": case.arguments}
    try:
        result = replay(recommender, case.call, case.arguments)
    except UserError as error:
        assert case.is_refused, f"{case.name}: {error}"
        return {**entry, "error": True}
    assert not case.is_refused, f"{case.name}: {case.call} returned {result}"
    return {**entry, "result": result}


def main() -> None:
    """Parse the command line, and write the files."""
    parser = argparse.ArgumentParser(description="Write the golden cases.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--keep-models", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.names or NAMES:
        if not arguments.keep_models:
            write_model(name)
        write_cases(name)


if __name__ == "__main__":
    main()
