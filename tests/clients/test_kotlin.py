"""The Kotlin library: golden cases, agreement with Python, damaged files, memory and threads."""

import dataclasses
import json
import random
import subprocess
import zipfile
from pathlib import Path

import pytest

from clients.golden.replay import replay
from clients.golden.write_cases import ADAPT_TOLERANCE, GOLDEN, TOLERANCE
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.errors import UserError
from jaxrec.runtime import Recommender
from jaxrec.runtime.bundle import FORMAT, MODEL, pack_bundle, read_bundle, sha256
from jaxrec.runtime.interpreter import DeviceModel
from tests import ROOT
from tests.bundles import make_bundle, save_bundle, save_in_format_1
from tests.clients.kotlin_programs import ENGINES, PAGE, call
from tests.project.pages import commands_of_page
from tests.runtime.test_golden_cases import CASES, assert_close
from tests.small_models import SIZE, make_model

pytestmark = pytest.mark.slow

PLAIN = GOLDEN / "plain.tflite"
PRETRAINED = sorted((ROOT / "pretrained").glob("*.tflite"))


@pytest.mark.parametrize("engine", ENGINES)
def test_golden_cases(programs, engine):
    calls = [
        call(path.with_suffix(".tflite"), case["call"], **case["arguments"]) for path, case in CASES
    ]
    answers = programs.answer(engine, calls)
    for (path, case), answer in zip(CASES, answers, strict=True):
        print(path.stem, case["call"], case["name"], answer)  # shown if the next line fails
        if case.get("error"):
            assert "\n" not in answer["error"]
        else:
            tolerance = ADAPT_TOLERANCE if case["call"] == "adapt" else TOLERANCE
            assert_close(answer["result"], case["result"], tolerance)


@pytest.mark.parametrize("path", PRETRAINED, ids=lambda path: path.stem)
def test_lists_of_random_histories_equal_those_of_python(programs, path):
    recommender = Recommender.load(path)
    rng = random.Random(0)
    calls = []
    for _ in range(100):
        history = rng.sample(recommender.items, rng.randrange(1, 300))
        exclude = rng.sample(recommender.items, rng.randrange(50))
        candidates = rng.sample(recommender.items, rng.randrange(1, 300))
        k = rng.choice([1, 10, 100, 150])
        arguments = {"items": history, "k": k, "exclude": exclude}
        calls += [
            call(path, "recommend", **arguments),
            call(path, "recommend", candidates=candidates, **arguments),
            call(path, "score", items=history, candidates=candidates),
            call(path, "similar", item=history[0], k=k),
        ]
    answers = programs.answer("LiteRtEngine", calls)
    for each, answer in zip(calls, answers, strict=True):
        expected = replay(recommender, each["call"], each["arguments"])
        assert_close(answer["result"], expected, TOLERANCE)


def test_properties_and_metadata_equal_those_of_python(programs):
    path = GOLDEN / "features.tflite"
    expected = Recommender.load(path)
    properties, vectors = programs.answer(
        "LiteRtEngine", [call(path, "properties"), call(path, "vectors")]
    )
    found = properties["result"]
    assert found["items"] == list(expected.items)
    assert found["top_k"] == expected.top_k
    assert found["history_length"] == expected.history_length
    features = [[each.name, each.of, each.kind, list(each.values)] for each in expected.features]
    assert found["features"] == features
    assert found["model"] == expected.model
    assert_close(vectors["result"]["biases"], expected.vectors().biases.tolist(), 1e-5)
    assert_close(vectors["result"]["vectors"], expected.vectors().vectors.ravel().tolist(), 1e-5)

    plain = Recommender.load(PLAIN)
    read, ranked = programs.answer(
        "LiteRtEngine", [call(PLAIN, "read"), call(PLAIN, "recommend", items=[], k=36)]
    )
    assert read["result"] == [list(plain.items), list(plain.catalogue)]
    for each, known in zip(ranked["result"], plain.recommend([], k=36), strict=True):
        assert each | {"score": 0} == dataclasses.asdict(known) | {"score": 0}


def test_a_file_with_several_histories_per_call(programs, tmp_path):
    source = make_bundle(
        make_model("rnn"), Shapes(3, 5, 6, 4, False), [f"i{number}" for number in range(SIZE)]
    )
    source.model["signatures"] = {
        name: {
            "inputs": {port: each._asdict() for port, each in ports.inputs.items()},
            "outputs": {port: each._asdict() for port, each in ports.outputs.items()},
        }
        for name, ports in DeviceModel(source.graph).signatures.items()
    }
    path = save_bundle(source, tmp_path / "batch.tflite")
    recommender = Recommender.load(path)
    histories = [[f"i{start}", f"i{start + 3}"] for start in range(7)]
    calls = [
        call(path, "recommend_many", histories=histories, k=4),
        call(path, "recommend_many", histories=histories, k=SIZE),
        call(path, "score", items=histories[0], candidates=list(recommender.items)),
        call(path, "similar", item="i7", k=5),
    ]
    for each, answer in zip(calls, programs.answer("LiteRtEngine", calls), strict=True):
        expected = replay(recommender, each["call"], each["arguments"])
        assert_close(answer["result"], expected, TOLERANCE)


def test_messages(programs):
    features, adapter = GOLDEN / "features.tflite", GOLDEN / "adapter.tflite"
    messages = {
        'all items are unknown, such as 7 (Long); the model has 36 items, such as "A02" (String)': (
            call(PLAIN, "recommend", items=[7, "A3"])
        ),
        "all items of histories[0], [2] are unknown, such as": (
            call(PLAIN, "recommend_many", histories=[["Z"], [], [0]])
        ),
        'unknown item "Z" (String); the model has 36 items': call(PLAIN, "similar", item="Z"),
        "k=37 is out of range; give 1 to 36": call(PLAIN, "recommend", items=[], k=37),
        "the model predicts no ratings; train a run with --predict-ratings": (
            call(PLAIN, "rate", items=[], candidates=[])
        ),
        "the file has no signature `adapt`; export its run with --adapt": (
            call(PLAIN, "adapt", items=["A03"])
        ),
        "exclude has 1 entries for 2 histories; give one each": (
            call(PLAIN, "recommend_many", histories=[[], []], exclude=[[]])
        ),
        "the model has no feature 'size'; it has device, price, age": (
            call(features, "encode", items=[], features={"size": 1})
        ),
        "2 values of 'price' for 1 items; give one for each": (
            call(features, "encode", items=["F03"], features={"price": [1, 2]})
        ),
        "the values of 'price' are 5 (Long), not a list; give listOf(5)": (
            call(features, "encode", items=["F03"], features={"price": 5})
        ),
        "the value \"5\" (String) of 'price' is not a number; give a number, or null": (
            call(features, "encode", items=["F03"], features={"price": ["5"]})
        ),
        "this is not an adapter (it has no format); learn it again from the history": (
            call(adapter, "encode", items=[], adapter={})
        ),
        "the file has no signature `adapt`; export": (
            call(PLAIN, "encode", items=[], adapter=adapter_of(PLAIN, [0.5] * 8))
        ),
        "the adapter has values that are not finite; learn it again": (
            call(adapter, "encode", items=[], adapter=adapter_of(adapter, [1e39] * 8))
        ),
    }
    answers = programs.answer("LiteRtEngine", messages.values())
    for expected, answer in zip(messages, answers, strict=True):
        assert answer.get("error", answer).startswith(expected)


def adapter_of(path: Path, vector: list[float]) -> dict:
    graph = Recommender.load(path).model["graph"]["sha256"]
    return {"format": 1, "model": graph, "vector": vector, "before": None, "after": None}


def test_damaged_files(programs, tmp_path):
    """Damage a file at 400 places; each is refused in one line, or without effect."""
    content = PLAIN.read_bytes()
    start = Recommender.load(PLAIN).model["graph"]["bytes"]
    rng = random.Random(0)
    offsets = [*rng.sample(range(start), 20), *rng.sample(range(start, len(content)), 380)]
    damaged = []
    for number, offset in enumerate(offsets):
        changed = bytearray(content)
        changed[offset] ^= 1 << rng.randrange(8)
        damaged.append(tmp_path / f"{number}.tflite")
        damaged[-1].write_bytes(changed)
    intact, *answers = programs.answer("LiteRtEngine", [call(p, "read") for p in [PLAIN, *damaged]])
    refused = 0
    for path, answer in zip(damaged, answers, strict=True):
        if "error" in answer:
            refused += 1
            assert answer["error"].startswith(f"{path} ")
            assert "\n" not in answer["error"]
        else:
            assert answer == intact
    assert refused > 300


def test_files_that_python_refuses_are_refused_with_its_message(programs, tmp_path):
    content = PLAIN.read_bytes()
    source = read_bundle(PLAIN)
    size = len(source.graph)
    files = {
        "empty": b"",
        "graph": content[:size],
        "truncated": content[:-100],
        "half": content[: len(content) // 2],
        "damaged": bytes([content[0] ^ 1]) + content[1:],
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    newer = save_bundle(source, tmp_path / "newer")
    replace_model_json(newer, f'"format": {FORMAT}', '"format": 99')
    other = save_bundle(source, tmp_path / "other")
    replace_model_json(other, sha256(source.graph), "0" * 64)
    paths = [*(tmp_path / name for name in files), newer, other]
    for path, answer in zip(
        paths, programs.answer("LiteRtEngine", [call(p, "read") for p in paths]), strict=True
    ):
        with pytest.raises(UserError) as error:
            Recommender.load(path)
        assert answer == {"error": str(error.value)}


def test_a_file_of_an_older_format(programs, tmp_path):
    path = tmp_path / "older.tflite"
    save_in_format_1(PLAIN, path)
    intact, older = programs.answer("LiteRtEngine", [call(p, "read") for p in (PLAIN, path)])
    assert older == intact


def replace_model_json(path: Path, old: str, new: str) -> None:
    """Rewrite a file with a replacement in its model.json."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert old.encode() in members[MODEL]
    members[MODEL] = members[MODEL].replace(old.encode(), new.encode())
    path.write_bytes(pack_bundle(read_bundle(path).graph, members))


JSON_TEXTS = (
    *("0", "-7", "12345678901", "1e3", "-0.5E-2", "true", "false", "null", '""', "[]", "{}"),
    *(' [1, [2, {"a": null}], "b"]\n', '{"a": {"b": [1.5, "c"]}, "d": 2}'),
    r'"\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00 é 😀"',
    json.dumps({"ü\n": ["\u2028", "\x7f", 0.1]}),
)
NO_JSON_TEXTS = ("", "[", "[1", "[1,]", "[1 2]", '{"a"}', '{"a":}', "{a:1}", '{"a":1,}', '"', '"\\')
NO_JSON_TEXTS += ('"\\x"', '"\\u12g4"', "tru", "nul", "-", "1.2.3", "01x", "[" * 100, "1 1", "'a'")


def test_json(programs):
    texts = JSON_TEXTS + NO_JSON_TEXTS
    answers = programs.answer("LiteRtEngine", [call(PLAIN, "parse", text=each) for each in texts])
    expected = [json.loads(text) for text in JSON_TEXTS]
    assert [answer.get("result", answer) for answer in answers[: len(expected)]] == expected
    assert [list(answer) for answer in answers[len(expected) :]] == [["error"]] * len(NO_JSON_TEXTS)


def test_memory_threads_and_closing(programs):
    # With a heap that is there from the start, and the quick compiler, only native memory grows.
    flags = ("-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch", "-XX:+UseSerialGC")
    flags += ("-XX:TieredStopAtLevel=1",)
    lines = programs.run("jaxrec.LoadKt", str(PRETRAINED[0]), flags=flags).splitlines()
    found = dict(line.rsplit(": ", 1) for line in lines[:3])
    assert int(found["kilobytes after 10000 more calls"]) < 500
    # A graph that is not freed has 100 KB and more.
    assert int(found["kilobytes after 200 more loads"]) < 5_000
    assert int(found["threads with equal lists"]) == 8
    assert lines[3:] == [
        "after close: IllegalStateException: the recommender is closed; load the file again",
        "known after close: true",
    ]


def test_the_commands_of_the_page(programs, tmp_path):
    """Run them where the installed packages have the names of the page."""
    commands = commands_of_page(PAGE)
    *installations, compilation, run = commands[
        : 1 + [words[0] for words in commands].index("java")
    ]
    assert [words[0] for words in installations] == ["apt-get", "npm", "pip", "unzip"]
    links = {
        "clients": ROOT / "clients",
        "pretrained": ROOT / "pretrained",
        "build/node_modules/kotlin-compiler": programs.compiler.parents[1],
        "build/litert/ai_edge_litert": programs.litert,
    }
    for name, target in links.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(target)
    subprocess.run(compilation, cwd=tmp_path, check=True)
    output = subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    expected = Recommender.load(ROOT / "pretrained" / "small-rnn.tflite")
    items = [each.item for each in expected.recommend([1193, 661, 914], k=5)]
    assert [line.split()[0] for line in output.splitlines()] == [str(item) for item in items]
