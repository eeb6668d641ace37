"""The Kotlin library: signed files, and models that are replaced while threads call them."""

import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from clients.golden.signed_cases import apply_edits
from jaxrec.errors import UserError
from jaxrec.runtime import Recommender
from tests import ROOT
from tests.clients.kotlin_programs import ENGINES, call

pytestmark = pytest.mark.slow

GOLDEN = ROOT / "clients" / "golden"
PLAIN, SIGNED = GOLDEN / "plain.tflite", GOLDEN / "signed.tflite"
CASES = json.loads((GOLDEN / "signed.json").read_text("utf-8"))
KEY = CASES["public_key"]


def message_of_python(update: Mapping[str, Any], source: Path) -> str | None:
    """Return the message of an update in Python, None if the file is accepted."""
    recommender = Recommender.load(SIGNED.read_bytes(), public_key=KEY)
    try:
        recommender.update(source, rollback=update["rollback"])
    except UserError as error:
        return str(error).replace("rollback=True", "rollback = true")
    return None


def without_cause(message: str) -> str:
    """Return a message without what is in brackets, which depends on the library that failed."""
    return re.sub(r"\(.*\)", "()", message)


@pytest.mark.parametrize("engine", ENGINES)
def test_golden_updates(programs, tmp_path, engine):
    calls = []
    for number, update in enumerate(CASES["updates"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "model").write_bytes(SIGNED.read_bytes())
        (folder / "source").write_bytes(apply_edits(SIGNED.read_bytes(), update["edits"]))
        arguments = {"source": str(folder / "source"), "rollback": update["rollback"]}
        calls.append(call(folder / "model", "update", public_key=KEY, **arguments))
    answers = programs.answer(engine, calls)
    for number, (update, answer) in enumerate(zip(CASES["updates"], answers, strict=True)):
        found, folder = answer["result"], tmp_path / str(number)
        print(update["name"], found)  # shown if one of the next lines fails
        is_replaced = update["outcome"] == "replaced"
        expected = message_of_python(update, folder / "source")
        if expected:
            assert "\n" not in found["error"]
            expected = f"RecommenderException: {expected}"
            assert without_cause(found["error"]) == without_cause(expected)
        else:
            assert (found["error"], found["is_replaced"]) == (None, is_replaced)
        assert found["keeps_model"] is not is_replaced
        assert found["sequence"] == update["sequence"]
        assert len(found["list"]) == 5
        kept = folder / "source" if is_replaced else SIGNED
        assert (folder / "model").read_bytes() == kept.read_bytes()
        assert {path.name for path in folder.iterdir()} == {"model", "source"}


def test_changed_bytes_of_a_signed_file(programs, tmp_path):
    """Change a file at 300 places; each is refused in one line, or without effect."""
    content = SIGNED.read_bytes()
    rng = random.Random(0)
    paths = [SIGNED]
    for number, offset in enumerate(rng.sample(range(len(content)), 300)):
        changed = bytearray(content)
        changed[offset] ^= 1 << rng.randrange(8)
        paths.append(tmp_path / f"{number}.tflite")
        paths[-1].write_bytes(changed)
    calls = [call(path, "read", public_key=KEY) for path in paths]
    intact, *answers = programs.answer("LiteRtEngine", calls)
    refused = [answer["error"] for answer in answers if "error" in answer]
    assert all(answer == intact for answer in answers if "error" not in answer)
    assert len(refused) > 285
    assert not any("\n" in message for message in refused)


def test_only_files_of_the_publisher_are_read_with_a_key(programs, tmp_path):
    other = KEY.replace("MCowBQYDK2VwAyEAA6EHv", "MCowBQYDK2VwAyEAB6EHv")
    kind = KEY.replace("MCowBQYDK2Vw", "MCowBQYDK2Vu")  # X25519
    messages = {
        f"{PLAIN} is of an older version, whose files cannot be signed; export its": (PLAIN, KEY),
        f"{SIGNED} is not signed with this key: its signature is of another key": (SIGNED, other),
        'the public key is "release.pem", not the text of a PEM file; give the': (
            *(SIGNED, "release.pem"),
        ),
        "the public key is of another kind; give one of Ed25519, as `jaxrec sign": (SIGNED, kind),
    }
    calls = [call(path, "read", public_key=key) for path, key in messages.values()]
    calls.append(call(SIGNED, "read", public_key=f"\r\n{KEY}".replace("\n", "\r\n")))
    *answers, accepted = programs.answer("LiteRtEngine", calls)
    for expected, answer in zip(messages, answers, strict=True):
        assert answer.get("error", answer).startswith(expected)
    assert "result" in accepted


def test_a_device_without_ed25519_says_so(programs, tmp_path):
    properties = tmp_path / "java.security"
    properties.write_text("security.provider.1=SUN\n")
    flags = [f"-Djava.security.properties=={properties}"]
    calls = [call(SIGNED, "read", public_key=KEY), call(SIGNED, "read")]
    with_key, without = programs.answer("LiteRtEngine", calls, flags)
    assert with_key["error"].startswith("this device has no Ed25519, which verifies signed models")
    assert "result" in without


def test_20_swaps_while_threads_call(programs, tmp_path):
    # With a heap that is there from the start, and the quick compiler, only native memory grows.
    flags = ("-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch", "-XX:+UseSerialGC")
    flags += ("-XX:TieredStopAtLevel=1",)
    files = [str(path) for path in (tmp_path / "model.tflite", PLAIN, SIGNED)]
    lines = programs.run("jaxrec.SwapsKt", *files, flags=flags).splitlines()
    found = dict(line.split(": ", 1) for line in lines)
    assert found["answers of neither"] == "0", lines
    assert int(found["answers of the first file"]) > 100
    assert int(found["answers of the second file"]) > 100
    assert found["the file is the last one"] == "true"
    assert found["files left"] == "0"
    # A graph that is not freed has 100 KB and more.
    assert int(found["kilobytes after 60 more updates"]) < 3_000
    expected = "IllegalStateException: the recommender is closed; load the file again"
    assert found["after close"] == expected
