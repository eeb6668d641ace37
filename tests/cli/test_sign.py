"""The commands `sign`, and `verify` with a public key: files, exports, keys and refusals."""

import json
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="needs the extra sign")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from clients.golden.signed_model import pack, read_parts
from clients.golden.write_cases import GOLDEN
from jaxrec.cli import main, sign, verify
from jaxrec.conversion.export_folder import describe_files
from jaxrec.conversion.sign import sign_model
from jaxrec.files import as_json
from jaxrec.runtime import Recommender
from jaxrec.runtime.bundle import MODEL, SIGNATURE, parse_bundle, read_members
from tests import ROOT
from tests.exports import call

UNSIGNED = pack(replace(read_parts(GOLDEN / "keep_seen.tflite"), key=None))


@pytest.fixture
def key(tmp_path) -> Path:
    assert call(sign.main, "--new-key=release.pem", cwd=tmp_path).returncode == 0
    return tmp_path / "release.pem"


@pytest.fixture
def public_key(key) -> Path:
    return key.with_name("release.public.pem")


@pytest.fixture
def export(tmp_path) -> Path:
    """Return the folder of an export, with a file for servers."""
    files = {
        "model.tflite": UNSIGNED,
        "model-batch4.tflite": pack(replace(read_parts(GOLDEN / "plain.tflite"), key=None)),
        "catalogue.json": b"{}",
    }
    described = describe_files(files)
    inside = json.loads(read_members(UNSIGNED)[MODEL])
    beside = {**inside, "files": described, "file": described["model.tflite"]}
    folder = tmp_path / "export"
    folder.mkdir()
    for name, content in {**files, MODEL: as_json(beside)}.items():
        (folder / name).write_bytes(content)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def require_refused(process: subprocess.CompletedProcess[str], message: str) -> None:
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert message in line


def test_a_new_private_key_is_readable_by_its_owner_alone(key, public_key):
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text().startswith("-----BEGIN PRIVATE KEY-----\n")
    assert public_key.read_text().startswith("-----BEGIN PUBLIC KEY-----\n")


@pytest.mark.parametrize("name", ["release.pem", "release.public.pem"])
def test_a_key_is_never_overwritten(key, public_key, name):
    for other in {key, public_key} - {key.with_name(name)}:
        other.unlink()
    before = files_of(key.parent)
    process = call(sign.main, "--new-key=release.pem", cwd=key.parent)
    require_refused(process, f"{name} exists, and keys are never overwritten")
    assert files_of(key.parent) == before


def test_a_signed_file_is_accepted_with_its_key_alone(key, public_key, tmp_path):
    file = tmp_path / "model.tflite"
    file.write_bytes(UNSIGNED)
    flags = [f"--model={file}", f"--public-key={public_key}"]
    require_refused(call(verify.main, *flags, cwd=tmp_path), "model.tflite is not signed; sign it")
    assert call(sign.main, f"--key={key}", str(file), cwd=tmp_path).returncode == 0
    process = call(verify.main, *flags, cwd=tmp_path)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout == (
        f"{file}: complete, and signed with {public_key}; sequence 3, "
        "created 2026-12-01T12:00:00Z\n"
    )
    recommender = Recommender.load(file, public_key.read_text())
    assert recommender.recommend(["R3"]) == Recommender.load(UNSIGNED).recommend(["R3"])
    call(sign.main, "--new-key=other.pem", cwd=tmp_path)
    other = f"--public-key={tmp_path / 'other.public.pem'}"
    process = call(verify.main, flags[0], other, cwd=tmp_path)
    require_refused(process, "model.tflite is not signed with this key")


def test_signing_again_replaces_the_signature(key, public_key, tmp_path):
    file = Path(shutil.copy(GOLDEN / "signed.tflite", tmp_path / "model.tflite"))
    for _ in range(2):
        assert call(sign.main, f"--key={key}", str(file), cwd=tmp_path).returncode == 0
        parse_bundle(file.read_bytes(), file, public_key.read_text())
    members, before = read_members(file.read_bytes()), read_members(UNSIGNED)
    assert members.keys() == {*before, SIGNATURE}
    assert before.items() <= members.items()
    assert len(members[SIGNATURE]) == 64


def test_all_files_of_an_export_are_signed(key, public_key, export):
    flags = [f"--model={export}", f"--public-key={public_key}"]
    require_refused(call(verify.main, *flags, cwd=export), "model.json is not signed")
    before = files_of(export)
    process = call(sign.main, f"--key={key}", str(export), cwd=export)
    assert process.returncode == 0, process.stderr
    names = ["model.tflite", "model-batch4.tflite", "model.json", "model.json.sig"]
    assert process.stdout == "".join(f"{export / name}: signed\n" for name in names)
    process = call(verify.main, *flags, cwd=export)
    assert process.returncode == 0, process.stderr
    assert "export: complete, and signed with" in process.stdout
    after = files_of(export)
    assert after["catalogue.json"] == before["catalogue.json"]
    beside = json.loads(after["model.json"])
    expected = describe_files({name: after[name] for name in (*names[:2], "catalogue.json")})
    assert beside["files"] == expected
    assert beside["file"] == expected["model.tflite"]
    assert beside == {**json.loads(before["model.json"]), "files": expected, "file": beside["file"]}
    call(sign.main, f"--key={key}", str(export), cwd=export)
    assert files_of(export) == after


def test_an_export_with_a_file_that_was_signed_before_is_signed(key, public_key, export):
    process = call(sign.main, f"--key={key}", str(export / "model.tflite"), cwd=export)
    note = f"note: {export / 'model.json'} has the hash of the unsigned file; sign the folder"
    assert process.returncode == 0 and note in process.stdout
    assert call(sign.main, f"--key={key}", str(export), cwd=export).returncode == 0
    flags = [f"--model={export}", f"--public-key={public_key}"]
    assert call(verify.main, *flags, cwd=export).returncode == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("catalogue.json", b"[]", "catalogue.json differs from its hash in model.json"),
        ("model-batch4.tflite", b"TFL3", "model-batch4.tflite is not a jaxrec model, or is"),
        ("model-batch4.tflite", None, "lacks model-batch4.tflite, which its model.json lists"),
        ("model.json", None, "export has no model.json; give a folder of `jaxrec export`"),
        ("model.json", b"{", "model.json is damaged"),
        ("model.json", b"[]", "model.json is damaged"),
        ("model.json", b"{}", "model.json is of an older version, without the hashes"),
        (
            "model.json",
            b'{"files": {"model.tflite": 1, "../a": 1}}',
            "lacks ../a, which its model.json lists",
        ),
        ("other.tflite", b"TFL3", "other.tflite is not a file of this export; move it"),
    ],
)
def test_a_damaged_export_is_refused_and_not_changed(key, export, name, content, message):
    (export / name).unlink(missing_ok=True)
    if content is not None:
        (export / name).write_bytes(content)
    before = files_of(export)
    require_refused(call(sign.main, f"--key={key}", str(export), cwd=export), message)
    assert files_of(export) == before


@pytest.mark.parametrize("name", ["catalogue.json", "model.json", "model-batch4.tflite"])
def test_a_signed_export_that_was_changed_is_refused(key, public_key, export, name):
    call(sign.main, f"--key={key}", str(export), cwd=export)
    content = (export / name).read_bytes()
    (export / name).write_bytes(content.replace(b"}", b" }", 1) + b" ")
    process = call(verify.main, f"--model={export}", f"--public-key={public_key}", cwd=export)
    require_refused(process, f"{name} ")


def test_older_and_foreign_files_are_refused(key, tmp_path):
    before = {"plain.tflite": (GOLDEN / "plain.tflite").read_bytes(), "notes.tflite": b"hello"}
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    for name, message in {
        "plain.tflite": "is of an older version, whose files cannot be signed",
        "notes.tflite": "is not a jaxrec model",
        "missing.tflite": "missing.tflite: No such file or directory",
    }.items():
        require_refused(call(sign.main, f"--key={key}", name, cwd=tmp_path), message)
    assert files_of(tmp_path).items() >= before.items()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "missing --key, the private key; --new-key=release.pem makes one"),
        (["--key=release.pem"], "no file to sign"),
        (["--key=release.pem", "--new-key=b.pem"], "--new-key signs nothing; give it alone"),
        (["--key=missing.pem", "a.tflite"], "missing.pem: No such file or directory"),
        (["--key=release.public.pem", "a.tflite"], "is not the PEM file of a private key"),
        (["--key=curve.pem", "a.tflite"], "curve.pem is not a key of Ed25519"),
        (["--new-key=missing/a.pem"], "No such file or directory"),
    ],
)
def test_a_wrong_flag_or_key_is_refused(key, flags, message):
    pem = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key.with_name("curve.pem").write_bytes(pem)
    require_refused(call(sign.main, *flags, cwd=key.parent), message)


@pytest.mark.parametrize("flag", ["--run-dir=runs/a", "--new-items=a.csv", "--platform=arm64"])
def test_a_flag_of_the_comparison_with_a_run_is_refused_beside_a_key(tmp_path, flag):
    flags = ["--model=a.tflite", "--public-key=a.pem", flag]
    process = call(verify.main, *flags, cwd=tmp_path)
    name = flag.partition("=")[0]
    require_refused(process, f"--public-key verifies the file alone; omit {name}")


def test_a_signature_is_verified_without_jax_and_tensorflow(key, public_key, tmp_path):
    file = tmp_path / "model.tflite"
    file.write_bytes(UNSIGNED)
    commands = [
        ["sign", f"--key={key}", str(file)],
        ["verify", f"--model={file}", f"--public-key={public_key}"],
        ["verify", f"--model={file}"],
    ]
    script = (
        "import json, sys; sys.modules |= dict.fromkeys(['jax', 'flax', 'polars', 'tensorflow']); "
        "from jaxrec.cli import main; sys.exit([main(each) for each in json.loads(sys.argv[1])])"
    )
    command = [sys.executable, "-c", script, json.dumps(commands)]
    process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    error, codes = process.stderr.splitlines()
    assert codes == "[0, 0, 2]"
    assert error.startswith("error: jaxrec verify needs jax, which is not installed; pip install ")


def test_the_missing_package_cryptography_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.delitem(sys.modules, "jaxrec.cli.sign")
    monkeypatch.delitem(sys.modules, "jaxrec.conversion.sign")
    for name in [each for each in sys.modules if each.startswith("cryptography")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["sign", "--new-key=a.pem"]) == 2
    assert "jaxrec sign needs cryptography, which is not installed" in capsys.readouterr().err
    public_key = tmp_path / "public.pem"
    public_key.write_text("-----BEGIN PUBLIC KEY-----")
    flags = [f"--model={GOLDEN / 'signed.tflite'}", f"--public-key={public_key}"]
    process = call(verify.main, *flags, cwd=tmp_path)
    require_refused(process, "a public key needs the package cryptography, which is not installed")
    assert Recommender.load(GOLDEN / "signed.tflite").recommend([])


def test_a_signature_is_of_the_exact_bytes_of_model_json(key):
    from jaxrec.conversion.sign import read_private_key

    private = read_private_key(key)
    signed = sign_model(UNSIGNED, private, "model.tflite")
    private.public_key().verify(read_members(signed)[SIGNATURE], read_members(UNSIGNED)[MODEL])
