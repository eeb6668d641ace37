"""The bundle: packing, reading, and rejection of damaged files."""

import json
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxrec.errors import UserError
from jaxrec.runtime.bundle import (
    CARD,
    CATALOGUE,
    FORMAT,
    MODEL,
    VOCABULARY,
    pack_bundle,
    parse_bundle,
    read_bundle,
    sha256,
)
from jaxrec.runtime.catalogue import pack_catalogue

GRAPH = np.random.default_rng(0).bytes(3000)
ITEMS = ["a", "b", "ü"]
COLUMNS = {"title": ["Ash", None, "Öd"], "genres": [None, ["B", "A"], []], "year": [None, 1, 2]}
ENTRIES = [
    {"id": 1, "item": "a", "title": "Ash", "genres": None, "year": None},
    {"id": 2, "item": "b", "title": None, "genres": ["B", "A"], "year": 1},
    {"id": 3, "item": "ü", "title": "Öd", "genres": [], "year": 2},
]


def members(graph: bytes = GRAPH, **changes) -> dict[str, bytes]:
    model = {"format": FORMAT, "graph": {"bytes": len(graph), "sha256": sha256(graph)}}
    content = {
        VOCABULARY: {"values": ITEMS},
        CATALOGUE: None,
        MODEL: {**model, **changes},
    }
    written = {name: json.dumps(value).encode() for name, value in content.items()}
    return written | {CATALOGUE: pack_catalogue(COLUMNS), CARD: b"# hi"}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(pack_bundle(GRAPH, members()))
    return path


def test_reading_returns_the_packed_content(file):
    bundle = read_bundle(file)
    assert bundle.graph == GRAPH
    assert bundle.items == ITEMS
    assert bundle.catalogue[:] == ENTRIES


def test_the_file_is_a_zip_archive_that_starts_with_the_graph(file):
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [VOCABULARY, CATALOGUE, MODEL, CARD]
        assert archive.read(CARD) == b"# hi"
    assert file.read_bytes().startswith(GRAPH)


def test_packing_is_deterministic():
    assert pack_bundle(GRAPH, members()) == pack_bundle(GRAPH, members())


@pytest.mark.slow
def test_any_flipped_bit_of_the_archive_raises_only_user_error(file):
    """Flip each bit, among them those of the encryption flag and the compression method."""
    content = pack_bundle(GRAPH, members())
    for offset in range(len(GRAPH), len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[offset] ^= 1 << bit
            try:
                parse_bundle(bytes(damaged), file)
            except UserError as error:
                assert str(file) in str(error)
                assert "\n" not in str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_byte_is_detected_or_has_no_effect(file, data):
    """Check that the file is rejected, or that its content is unchanged."""
    content = pack_bundle(GRAPH, members())
    offset = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[offset] ^= data.draw(st.integers(1, 255))
    file.write_bytes(damaged)
    try:
        bundle = read_bundle(file)
    except UserError as error:
        assert str(file) in str(error)
        assert "\n" not in str(error)
    else:
        assert (bundle.graph, bundle.items, bundle.catalogue[:]) == (GRAPH, ITEMS, ENTRIES)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_rejected(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match="is not a jaxrec model, or is truncated"):
        read_bundle(file)


def test_a_bare_flatbuffer_is_rejected(file):
    file.write_bytes(GRAPH)
    with pytest.raises(UserError, match="is not a jaxrec model"):
        read_bundle(file)


def test_another_format_is_refused(file):
    file.write_bytes(pack_bundle(GRAPH, members(format=FORMAT + 1)))
    with pytest.raises(UserError, match=f"has format {FORMAT + 1}, this version reads {FORMAT}"):
        read_bundle(file)


def test_an_unrelated_archive_is_rejected(file):
    file.write_bytes(pack_bundle(GRAPH, {"notes.txt": b"hello"}))
    with pytest.raises(UserError, match="is damaged"):
        read_bundle(file)


def test_a_catalogue_of_another_size_is_rejected(file):
    fewer = pack_catalogue({name: values[:2] for name, values in COLUMNS.items()})
    file.write_bytes(pack_bundle(GRAPH, members() | {CATALOGUE: fewer}))
    with pytest.raises(UserError, match="its catalogue has 2 items, not 3"):
        read_bundle(file)


@pytest.mark.parametrize("count", [2, 3])
def test_the_previous_format_is_supported(file, count):
    entries = json.dumps(ENTRIES[:count]).encode()
    file.write_bytes(pack_bundle(GRAPH, members(format=1) | {"catalogue.json": entries}))
    if count == len(ITEMS):
        assert read_bundle(file).catalogue[:] == ENTRIES
    else:
        with pytest.raises(UserError, match="its catalogue has 2 items, not 3"):
            read_bundle(file)


def test_an_archive_that_decompresses_beyond_the_limit_is_rejected(file, monkeypatch):
    monkeypatch.setattr("jaxrec.runtime.bundle._MAX_MEMBER_BYTES", 10)
    with pytest.raises(UserError, match="would unpack to"):
        read_bundle(file)


def test_a_missing_file_raises_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_bundle(tmp_path / "nothing.tflite")
