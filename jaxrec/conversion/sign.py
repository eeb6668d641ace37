"""Signing of model files and exports with Ed25519, by the package `cryptography`."""

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from jaxrec.conversion.export_folder import (
    FILES,
    MODEL_FILE,
    describe_files,
    read_export,
    require_hashes,
)
from jaxrec.errors import UserError
from jaxrec.files import as_json, replacing
from jaxrec.runtime import bundle


def create_key_pair(private: Path) -> Path:
    """Write a new private key, which only its owner can read, and its public key beside it.

    Args:
        private: the file of the private key, such as release.pem.

    Returns:
        The file of the public key, as release.public.pem.

    Raises:
        UserError: if one of the files exists.
        OSError: if a file cannot be written.
    """
    public = private.with_suffix(f".public{private.suffix}")
    for path in (private, public):
        if path.exists():
            raise UserError(f"{path} exists, and keys are never overwritten; give another file")
    key = Ed25519PrivateKey.generate()
    _write_new(private, encode_private_key(key), 0o600)
    _write_new(public, encode_public_key(key).encode(), 0o644)
    return public


def encode_private_key(key: Ed25519PrivateKey) -> bytes:
    """Return the PEM file of a private key, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def encode_public_key(key: Ed25519PrivateKey) -> str:
    """Return the text of the PEM file of the public key that belongs to a private key."""
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode()


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read the PEM file of a private key without a password.

    Raises:
        UserError: if it is no such file, or a key of another kind.
        OSError: if it cannot be read.
    """
    content = path.read_bytes()
    try:
        key = serialization.load_pem_private_key(content, password=None)
    # The package raises several kinds of exceptions, such as for a public key or a password.
    except Exception:
        raise UserError(
            f"{path} is not the PEM file of a private key without a password; make one with "
            "`jaxrec sign --new-key`"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(f"{path} is not a key of Ed25519; make one with `jaxrec sign --new-key`")
    return key


def sign_model(content: bytes, key: Ed25519PrivateKey, name: str | Path) -> bytes:
    """Return a model file with a signature, which replaces the one that it may have.

    Args:
        content: the content of the file.
        name: the name of the file in messages.

    Raises:
        UserError: if the file is damaged, or older than the hashes that the signature covers.
    """
    graph = bundle.parse_bundle(content, name).graph
    members = bundle.read_members(content)
    members[bundle.SIGNATURE] = key.sign(members[bundle.MODEL])
    signed = bundle.pack_bundle(graph, members)
    bundle.parse_bundle(signed, name, encode_public_key(key))
    return signed


def sign_file(path: Path, key: Ed25519PrivateKey) -> Path:
    """Sign a .tflite file in place, and return its path.

    Raises:
        UserError: if the file is damaged, or older than the hashes that the signature covers.
        OSError: if it cannot be read or written.
    """
    signed = sign_model(path.read_bytes(), key, path)
    with replacing(path) as file:
        file.write(signed)
    return path


def sign_export(folder: Path, key: Ed25519PrivateKey) -> list[Path]:
    """Sign every .tflite file of an export, and its model.json, whose hashes are updated.

    Returns:
        The files that were written.

    Raises:
        UserError: if the folder is not an export, or one of its files is damaged or older than the
            hashes that the signature covers; nothing is written then.
        OSError: if a file cannot be read or written.
    """
    model, files = read_export(folder)
    graphs = {name: content for name, content in files.items() if name.endswith(".tflite")}
    # A .tflite file may have been signed by itself: it has its own hashes.
    require_hashes(folder, model, {name: files[name] for name in files.keys() - graphs.keys()})
    signed = {name: sign_model(content, key, folder / name) for name, content in graphs.items()}
    hashes = describe_files({**files, **signed})
    model_json = as_json({**model, FILES: hashes, "file": hashes[MODEL_FILE]})
    signed |= {bundle.MODEL: model_json, bundle.SIGNATURE: key.sign(model_json)}
    for name, content in signed.items():
        with replacing(folder / name) as file:
            file.write(content)
    return [folder / name for name in signed]


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that does not exist yet.

    Raises:
        OSError: if it exists, or cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
