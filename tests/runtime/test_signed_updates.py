"""Updates of the signed golden file: accepted, refused, and what stays on disk."""

import errno
import gc
import io
import json
import os
import pickle
import shutil
import warnings
import weakref
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.golden.signed_cases import apply_edits, updates
from clients.golden.signed_model import PUBLIC_KEY, pack, read_parts
from clients.golden.write_cases import GOLDEN
from jaxrec.errors import UserError
from jaxrec.runtime import Recommender
from jaxrec.runtime.bundle import read_members

FILE = GOLDEN / "signed.tflite"
PARTS = read_parts(GOLDEN / "keep_seen.tflite")
CONTENT = FILE.read_bytes()
GOLDEN_CASES = json.loads(FILE.with_suffix(".json").read_text())
UPDATES = {each.name: each.content for each in updates(PARTS)}
NEWER, OLDER = UPDATES["a later number"], UPDATES["an earlier number"]
MESSAGES = {
    "older": "is older than the model in use: sequence .*, not sequence 3, created .*rollback=True",
    "damaged": "is damaged|is not a jaxrec model, or is truncated",
    "unsigned": "is not signed; |cannot be signed",
    "foreign": "is not signed with this key",
    "unusable": "does not answer",
}


@pytest.fixture
def file(tmp_path) -> Path:
    return Path(shutil.copy(FILE, tmp_path / "model.tflite"))


def test_the_golden_file_is_what_its_generator_writes():
    assert pack(PARTS) == CONTENT
    assert GOLDEN_CASES["public_key"] == PUBLIC_KEY
    written = {
        each["name"]: apply_edits(CONTENT, each["edits"]) for each in GOLDEN_CASES["updates"]
    }
    assert written == UPDATES


@pytest.mark.parametrize("case", GOLDEN_CASES["updates"], ids=lambda case: case["name"])
def test_an_update_has_its_outcome(file, case):
    recommender = Recommender.load(file, PUBLIC_KEY)
    expected = recommender.recommend(["R3", "R4"])
    new = apply_edits(CONTENT, case["edits"])
    if case["outcome"] in ("replaced", "same"):
        is_replaced = recommender.update(new, rollback=case["rollback"])
        assert is_replaced == (case["outcome"] == "replaced")
        assert file.read_bytes() == new
    else:
        with pytest.raises(UserError, match=MESSAGES[case["outcome"]]) as error:
            recommender.update(new, rollback=case["rollback"])
        assert "\n" not in str(error.value)
        assert file.read_bytes() == CONTENT
    assert [path.name for path in file.parent.iterdir()] == ["model.tflite"]
    assert recommender.model["sequence"] == case["sequence"]
    assert recommender.recommend(["R3", "R4"]) == expected


def test_a_downloaded_file_replaces_the_one_in_use(file, tmp_path):
    download = tmp_path / "download"
    download.write_bytes(NEWER)
    recommender = Recommender.load(str(file), public_key=PUBLIC_KEY)
    assert recommender.update(str(download))
    assert not recommender.update(download)
    assert file.read_bytes() == download.read_bytes() == NEWER
    assert Recommender.load(file, PUBLIC_KEY).model["sequence"] == 4


def test_a_file_that_another_process_replaced_is_loaded_and_not_written(file):
    recommender = Recommender.load(file)
    file.write_bytes(NEWER)
    written = file.stat()
    assert recommender.update(file)
    assert recommender.model["sequence"] == 4
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_content_that_was_loaded_from_bytes_is_replaced_in_memory():
    recommender = Recommender.load(CONTENT)
    assert recommender.update(UPDATES["another key"])  # no key is required
    with pytest.raises(UserError, match="is not signed with this key"):
        recommender.update(UPDATES["another key"], public_key=PUBLIC_KEY)


def test_files_of_older_versions_are_updated_without_a_key():
    recommender = Recommender.load((GOLDEN / "plain.tflite").read_bytes())
    assert recommender.update(GOLDEN / "keep_seen.tflite")
    assert recommender.update(FILE)
    with pytest.raises(UserError, match=r"older .* sequence 0, created at an unknown time"):
        recommender.update(GOLDEN / "plain.tflite")
    assert recommender.update(GOLDEN / "plain.tflite", rollback=True)
    assert recommender.knows("A03") and not recommender.knows("R3")


def test_a_file_is_loaded_only_if_it_is_signed_with_the_key():
    assert Recommender.load(CONTENT, PUBLIC_KEY).knows("R3")
    for name, message in MESSAGES.items():
        if name in ("unsigned", "foreign"):
            for case in GOLDEN_CASES["updates"]:
                if case["outcome"] == name:
                    with pytest.raises(UserError, match=message):
                        Recommender.load(UPDATES[case["name"]], PUBLIC_KEY)
    with pytest.raises(UserError, match="of an older version, whose files cannot be signed"):
        Recommender.load(GOLDEN / "plain.tflite", PUBLIC_KEY)


def test_the_text_of_a_key_must_be_a_public_key_of_ed25519():
    other = generate_private_key(SECP256R1()).public_key()
    pem = other.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for text, message in {
        pem.decode(): "the public key is a .*EC.* key; give one of Ed25519",
        "public.pem": "the public key is 'public.pem', not the text of a PEM file of a public key",
        "": "the public key is '', not the text of a PEM file",
    }.items():
        with pytest.raises(UserError, match=message) as error:
            Recommender.load(CONTENT, text)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("source", ["missing.tflite", "."])
def test_a_source_that_cannot_be_read_leaves_the_model(file, tmp_path, source):
    recommender = Recommender.load(file)
    with pytest.raises(UserError, match=r"; the model stays as it was$"):
        recommender.update(tmp_path / source)
    assert recommender.recommend(["R3"])


def test_a_file_that_cannot_be_written_leaves_the_model(file, tmp_path, monkeypatch):
    recommender = Recommender.load(file)
    shutil.rmtree(tmp_path)
    with pytest.raises(UserError, match=r"No such file or directory; the model stays as it was$"):
        recommender.update(NEWER)
    assert recommender.model["sequence"] == 3


def test_a_full_disk_leaves_the_model_and_its_file(file, monkeypatch):
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    recommender = Recommender.load(file)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match=r"model\.tflite: No space left on device; the model stays"):
        recommender.update(NEWER)
    assert recommender.model["sequence"] == 3
    assert {path: path.read_bytes() for path in file.parent.iterdir()} == {file: CONTENT}


def test_a_closed_recommender_refuses_an_update(file):
    recommender = Recommender.load(file)
    recommender.close()
    with pytest.raises(UserError, match=r"^the model is closed; load its file again$"):
        recommender.update(NEWER)
    assert file.read_bytes() == CONTENT


def test_a_copy_in_another_process_keeps_the_key_and_not_the_path(file):
    copy = pickle.loads(pickle.dumps(Recommender.load(file, PUBLIC_KEY)))
    with pytest.raises(UserError, match="is not signed; "):
        copy.update(UPDATES["no signature"])
    assert copy.update(NEWER)
    assert copy.model["sequence"] == 4
    assert file.read_bytes() == CONTENT


def test_a_snapshot_keeps_its_model_until_it_is_gone():
    recommender = Recommender.load(CONTENT)
    before = recommender.snapshot()
    old = weakref.ref(recommender._loaded.device)
    assert recommender.update(NEWER)
    assert (before.model["sequence"], recommender.model["sequence"]) == (3, 4)
    assert before.recommend(["R3"]) == recommender.recommend(["R3"])
    gc.disable()  # the interpreter is freed at once, not by the collector of cycles
    try:
        del before
        assert old() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["vocabulary.json", "model.json", "model.json.sig"])
def test_two_members_of_one_name_are_refused(name):
    file = io.BytesIO(CONTENT)
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, read_members(CONTENT)[name])
    with pytest.raises(UserError, match="two members of one name"):
        Recommender.load(file.getvalue())


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> Recommender:
    path = Path(shutil.copy(FILE, tmp_path_factory.mktemp("updates") / "model.tflite"))
    return Recommender.load(path, PUBLIC_KEY)


def require_refused_or_unread(loaded: Recommender, content: bytes) -> bool:
    """Check that an update has no effect, or that of the newer file; return whether it has one.

    Some bytes of a zip archive, such as times, have no meaning.
    """
    path, expected = loaded._path, loaded.recommend(["R3", "R4"])
    assert path is not None
    recommender = Recommender(loaded._loaded, path, PUBLIC_KEY)
    try:
        recommender.update(content)
    except UserError as error:
        assert "\n" not in str(error)
        assert recommender.model["sequence"] == 3
        assert path.read_bytes() == CONTENT
        return False
    finally:
        path.write_bytes(CONTENT)
    assert recommender.model == Recommender.load(NEWER).model
    assert recommender.recommend(["R3", "R4"]) == expected
    return True


@settings(deadline=None)
@given(
    start=st.integers(0, len(NEWER) - 1),
    length=st.integers(1, 2000),
    change=st.integers(1, 255),
)
def test_changed_bytes_are_refused_or_have_no_effect(loaded, start, length, change):
    end = min(start + length, len(NEWER))
    changed = bytes(byte ^ change for byte in NEWER[start:end])
    if require_refused_or_unread(loaded, NEWER[:start] + changed + NEWER[end:]):
        assert start >= len(PARTS.graph)


@settings(deadline=None)
@given(start=st.integers(0, len(NEWER) - 1), length=st.integers(1, len(NEWER)))
def test_a_file_that_lacks_bytes_is_refused(loaded, start, length):
    assert not require_refused_or_unread(loaded, NEWER[:start] + NEWER[start + length :])


@settings(deadline=None)
@given(st.integers(0, len(NEWER)), st.binary(min_size=1, max_size=100))
def test_added_bytes_are_refused_or_have_no_effect(loaded, position, added):
    if require_refused_or_unread(loaded, NEWER[:position] + added + NEWER[position:]):
        assert position > len(PARTS.graph)
