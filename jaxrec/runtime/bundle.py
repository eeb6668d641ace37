"""The bundle: a flatbuffer followed by a zip archive, in one file that both kinds of readers open.

A runtime reads the flatbuffer and ignores the bytes after it; a zip tool finds the directory at the
end and ignores the bytes before the archive. The archive has the members

    vocabulary.json   the raw item of each id (id i is entry i - 1), with its hash
    catalogue.jsonl   title, genres and year of each id, in blocks
    model.json        signatures, shapes, rules, figures; the hashes of the flatbuffer and members
    MODEL_CARD.md     the same as a readable page
    model.json.sig    in a signed file, the Ed25519 signature of model.json
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jaxrec.errors import UserError
from jaxrec.runtime.catalogue import COLUMNS, Catalogue, pack_catalogue
from jaxrec.runtime.item_index import RawItem
from jaxrec.runtime.signature import require_signature

VOCABULARY = "vocabulary.json"
CATALOGUE = "catalogue.jsonl"
MODEL = "model.json"
CARD = "MODEL_CARD.md"
SIGNATURE = "model.json.sig"

# The members that model.json cannot have the hash of: itself, and its signature.
_WITHOUT_HASH = {MODEL, SIGNATURE}

# The version of the layout. In format 2, some keys of model.json have other names; in format 1, the
# catalogue also is a single list of entries. A reader refuses any other format.
FORMAT = 3
_ENTRIES_FORMAT, _ENTRIES = 1, "catalogue.json"
_RENAMED_ADAPT = {"held_back": "held_out", "rate": "learning_rate", "decay": "l2_penalty"}

# A limit against zip bombs; members of a bundle are far smaller.
_MAX_MEMBER_BYTES = 1 << 28


@dataclass(frozen=True)
class Bundle:
    """The content of one file.

    Attributes:
        graph: the flatbuffer.
        items: the raw item of each id, that of id i at i - 1, [V].
        catalogue: `id`, `item`, `title`, `genres`, `year` of each id, [V].
        model: the content of model.json.
    """

    graph: bytes
    items: list[RawItem]
    catalogue: Catalogue
    model: dict[str, Any]


def hash_members(members: Mapping[str, bytes]) -> dict[str, str]:
    """Return the hash of each member, by its name, as model.json has them."""
    return {name: sha256(content) for name, content in members.items()}


def sha256(data: bytes) -> str:
    """Return the hash that identifies a file, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def pack_bundle(graph: bytes, members: Mapping[str, bytes]) -> bytes:
    """Append an archive to a flatbuffer; equal content results in equal bytes."""
    file = io.BytesIO(graph)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            # A fixed time, the earliest of the zip format, makes the bytes reproducible.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, 8, 9)
    return file.getvalue()


def read_members(data: bytes) -> dict[str, bytes]:
    """Return the content of each member of a valid file, by its name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: _member(archive, info) for info in archive.infolist()}


def read_bundle(path: Path, public_key: str | None = None) -> Bundle:
    """Read a file that `pack_bundle` wrote, and verify it before a runtime loads it.

    Args:
        public_key: the text of the PEM file of its publisher's key; None: any file is accepted.

    Raises:
        UserError: if the file is not a bundle, has another version, is damaged, or is not signed
            with the key.
        OSError: if the file cannot be read.
    """
    return parse_bundle(path.read_bytes(), path, public_key)


def parse_bundle(data: bytes, path: str | Path, public_key: str | None = None) -> Bundle:
    """Parse the content of a file, as `read_bundle` does; `path` names it in messages.

    Raises:
        UserError: as in `read_bundle`.
    """
    try:
        return _parse(data, path, public_key)
    except zipfile.BadZipFile:
        raise UserError(
            f"{path} is not a jaxrec model, or is truncated; export it with `jaxrec export`"
        ) from None
    except UserError:
        raise
    # zipfile and its decompressors raise a dozen kinds of exceptions for a modified file.
    except Exception as error:
        raise UserError(
            f"{path} is damaged ({error}); copy it again, or export its run again"
        ) from None


def _parse(data: bytes, path: str | Path, public_key: str | None) -> Bundle:
    """Parse the content of a file, as `parse_bundle` does, but with any exception for damage."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = {info.filename: info for info in archive.infolist()}

        @cache  # a member with a hash is read for it, and again for its content
        def read(name: str) -> bytes:
            return _member(archive, infos[name])

        model_json = read(MODEL)
        model = json.loads(model_json)
        if model["format"] not in range(_ENTRIES_FORMAT, FORMAT + 1):
            raise UserError(
                f"{path} has format {model['format']}, this version reads {FORMAT}; export its "
                "run again"
            )
        _require_order(model)
        graph = data[: model["graph"]["bytes"]]
        if sha256(graph) != model["graph"]["sha256"]:
            raise ValueError("the hash of its graph differs")
        if "members" in model:
            _require_members(archive, model["members"], len(graph), read)
        if public_key is not None:
            _require_hashes(model, path)
            signature = read(SIGNATURE) if SIGNATURE in infos else None
            require_signature(model_json, signature, public_key, str(path))
        items = json.loads(read(VOCABULARY))["values"]
        if model["format"] == _ENTRIES_FORMAT:
            content = _in_blocks(json.loads(read(_ENTRIES)))
        else:
            content = read(CATALOGUE)
        if model["format"] < FORMAT:
            _rename_keys(model)
        return Bundle(graph, items, Catalogue(items, content), model)


def _require_order(model: Mapping[str, Any]) -> None:
    """Check the types of the fields that order versions, where a file has them.

    Raises:
        ValueError: if one has another type.
    """
    for name, kind in (("sequence", int), ("created", str)):
        if name in model and not isinstance(model[name], kind):
            raise ValueError(f"its field {name} is {model[name]!r:.60}")


def _require_members(
    archive: zipfile.ZipFile,
    hashes: Mapping[str, str],
    start: int,
    read: Callable[[str], bytes],
) -> None:
    """Check that an archive has the members of model.json and nothing else.

    Args:
        hashes: the hash of each member but `_WITHOUT_HASH`.
        start: the number of bytes before the archive, those of the flatbuffer.
        read: returns the content of a member.

    Raises:
        ValueError: if it does not.
    """
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(names) > len(set(names)):
        raise ValueError("it has two members of one name")
    if min(info.header_offset for info in infos) != start:
        raise ValueError("it has bytes between its graph and its archive")
    found = set(names) - _WITHOUT_HASH
    if missing := hashes.keys() - found:
        raise ValueError(f"it lacks {min(missing)}")
    if added := found - hashes.keys():
        raise ValueError(f"{min(added)} was added to it")
    for name in names:
        if name in hashes and sha256(read(name)) != hashes[name]:
            raise ValueError(f"the hash of its {name} differs")


def _require_hashes(model: Mapping[str, Any], path: str | Path) -> None:
    """Check that model.json has the hashes of the members, so that its signature covers them.

    Raises:
        UserError: if the file is older.
    """
    if "members" not in model:
        raise UserError(
            f"{path} is of an older version, whose files cannot be signed; export its run again"
        )


def _rename_keys(model: dict[str, Any]) -> None:
    """Replace the keys of an older model.json by those of today."""
    if adapt := model.get("adapt"):
        model["adapt"] = {_RENAMED_ADAPT.get(key, key): value for key, value in adapt.items()}
    protocol = model.get("evaluation", {}).get("protocol", {})
    if "seen_items" in protocol:
        protocol["excludes_history"] = protocol.pop("seen_items") == "left out"


def _in_blocks(entries: Sequence[Mapping[str, Any]]) -> bytes:
    """Convert the list of entries of an older file to blocks."""
    return pack_catalogue({name: [entry[name] for entry in entries] for name in COLUMNS})


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Read one member; zipfile verifies its checksum."""
    if info.file_size > _MAX_MEMBER_BYTES:
        raise ValueError(f"{info.filename} would unpack to {info.file_size:,} bytes")
    return archive.read(info)
