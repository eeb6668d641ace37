"""The signed model file of the golden cases: keep_seen.tflite with the fields of a signed file.

Its archive is not compressed, so that another version of it is a few edits of its bytes.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from jaxrec.conversion.sign import encode_public_key
from jaxrec.files import as_json
from jaxrec.runtime import bundle

# The private key is public: it signs tests alone.
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = encode_public_key(KEY)

_FIELDS = {
    "created": "2026-12-01T12:00:00Z",
    "sequence": 3,
    "parent": "0" * 64,
    "log_until": "2026-11-30T23:59:59Z",
}


@dataclass(frozen=True)
class Parts:
    """The parts of a model file.

    Attributes:
        graph: the flatbuffer.
        model: the content of model.json, without the hashes of the graph and the members.
        members: the other members.
        between: the bytes between the flatbuffer and the archive.
        key: the key that signs; None: the file is not signed.
        has_hashes: whether model.json has the hashes of the members.
        changes: the members that are added, replaced or, if None, left out after the hashes and the
            signature were computed.
    """

    graph: bytes
    model: Mapping[str, Any]
    members: Mapping[str, bytes]
    between: bytes = b""
    key: Ed25519PrivateKey | None = KEY
    has_hashes: bool = True
    changes: Mapping[str, bytes | None] = field(default_factory=dict)


def read_parts(path: Path) -> Parts:
    """Return the parts of a file, as those of a version that follows two others."""
    members = bundle.read_members(path.read_bytes())
    model = {**json.loads(members.pop(bundle.MODEL)), **_FIELDS}
    return Parts(bundle.read_bundle(path).graph, model, members)


def pack(parts: Parts) -> bytes:
    """Return the content of a file whose archive is not compressed; the signature comes last."""
    graph = {"bytes": len(parts.graph), "sha256": bundle.sha256(parts.graph)}
    hashes = {"members": bundle.hash_members(parts.members)} if parts.has_hashes else {}
    described = {**hashes, **parts.model, "graph": {**parts.model["graph"], **graph}}
    model_json = as_json(described, indent=None)
    members: dict[str, bytes | None] = {**parts.members, bundle.MODEL: model_json}
    if parts.key is not None:
        members[bundle.SIGNATURE] = parts.key.sign(model_json)
    file = io.BytesIO(parts.graph + parts.between)
    file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file, "a") as archive:
        for name, content in {**members, **parts.changes}.items():
            if content is not None:
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return file.getvalue()
