"""The JavaScript recommender rejects invalid arguments and files, with the remedy."""

import struct

import numpy as np
import pytest

from jaxrec.runtime import bundle
from tests.bundles import rewrite_bundle, save_in_format_1
from tests.demo import recommender_page
from tests.demo.recommender_page import LOAD, call

page, server = recommender_page.page, recommender_page.server


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
            "features, adapter, unknown",
        ),
        (
            ("recommendMany", [[]], 5, {"candidates": [item]}),
            'TypeError: there is no option "candidates"; the options are exclude, '
            "features, unknown",
        ),
        (
            ("recommend", [item], 5, {"features": {"rating": [1]}}),
            'RangeError: the model has no feature "rating"; it has none',
        ),
    ]
    errors = call(page, "bow.tflite", *(arguments for arguments, _ in mistakes))
    assert errors == [message for _, message in mistakes]


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
