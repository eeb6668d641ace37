"""Ed25519 signatures of model files, verified with the package `cryptography`.

It is imported only where a public key is given.
"""

from typing import Any

from jaxrec.errors import UserError


def _parse_public_key(pem: str) -> Any:
    """Parse the text of a PEM file, "-----BEGIN PUBLIC KEY-----", to an Ed25519 public key.

    Raises:
        UserError: if it is no such text or a key of another kind, or `cryptography` is missing.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ModuleNotFoundError:
        raise UserError(
            "a public key needs the package cryptography, which is not installed; "
            "pip install 'jaxrec[sign]'"
        ) from None
    try:
        key = load_pem_public_key(pem.encode())
    # The package raises several kinds of exceptions, also for a file name in place of the text.
    except Exception:
        first_line = str(pem).partition("\n")[0]
        raise UserError(
            f"the public key is {first_line[:40]!r}, not the text of a PEM file of a public key; "
            "give the content of the one that `jaxrec sign --new-key` wrote"
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise UserError(
            f"the public key is a {type(key).__name__.removesuffix('PublicKey')} key; give one of "
            "Ed25519, as `jaxrec sign --new-key` writes it"
        )
    return key


def require_signature(signed: bytes, signature: bytes | None, public_key: str, name: str) -> None:
    """Check the signature of a file.

    Args:
        signed: the signed bytes.
        signature: 64 bytes; None: the file is not signed.
        public_key: the text of a PEM file.
        name: the name of the file in messages.

    Raises:
        UserError: if the file is not signed, or not by this key, or as in `_parse_public_key`.
    """
    key = _parse_public_key(public_key)
    if signature is None:
        raise UserError(f"{name} is not signed; sign it with `jaxrec sign`")
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, signed)
    except InvalidSignature:
        raise UserError(
            f"{name} is not signed with this key: its signature is of another key, or of other "
            "content; sign it again, or give the key of its publisher"
        ) from None
