"""The bundle: a flatbuffer followed by a zip archive, in one file that both kinds of readers open.

A runtime reads the flatbuffer and ignores the bytes after it; a zip tool finds the directory at the
end and ignores the bytes before the archive. The archive has the members

    vocabulary.json   the raw item of each id (id i is entry i - 1), with its hash
    catalogue.jsonl   title, genres and year of each id, in blocks
    model.json        signatures, shapes, rules, figures; the hash of the flatbuffer
    MODEL_CARD.md     the same as a readable page
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxrec.errors import UserError
from jaxrec.runtime.catalogue import COLUMNS, Catalogue, pack_catalogue
from jaxrec.runtime.item_index import RawItem

VOCABULARY = "vocabulary.json"
CATALOGUE = "catalogue.jsonl"
MODEL = "model.json"
CARD = "MODEL_CARD.md"

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


def read_bundle(path: Path) -> Bundle:
    """Read a file that `pack_bundle` wrote, and verify its integrity before a runtime loads it.

    Raises:
        UserError: if the file is not a bundle, has another version, or is damaged.
        OSError: if the file cannot be read.
    """
    return parse_bundle(path.read_bytes(), path)


def parse_bundle(data: bytes, path: str | Path) -> Bundle:
    """Parse the content of a file, as `read_bundle` does; `path` names it in messages.

    Raises:
        UserError: if the content is not a bundle, has another version, or is damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            model = json.loads(_member(archive, infos[MODEL]))
            if model["format"] not in range(_ENTRIES_FORMAT, FORMAT + 1):
                raise UserError(
                    f"{path} has format {model['format']}, this version reads {FORMAT}; export its "
                    "run again"
                )
            graph = data[: model["graph"]["bytes"]]
            items = json.loads(_member(archive, infos[VOCABULARY]))["values"]
            if model["format"] == _ENTRIES_FORMAT:
                content = _in_blocks(json.loads(_member(archive, infos[_ENTRIES])))
            else:
                content = _member(archive, infos[CATALOGUE])
            if model["format"] < FORMAT:
                _rename_keys(model)
            bundle = Bundle(graph, items, Catalogue(items, content), model)
            is_intact = sha256(graph) == model["graph"]["sha256"]
    except zipfile.BadZipFile:
        raise UserError(
            f"{path} is not a jaxrec model, or is truncated; export it with `jaxrec export`"
        ) from None
    except UserError:
        raise
    # zipfile and its decompressors raise a dozen kinds of exceptions for a modified file.
    except Exception as error:
        raise UserError(f"{path} is damaged ({error}); export its run again") from None
    if not is_intact:
        raise UserError(f"{path} is damaged (the hash of its graph differs); export its run again")
    return bundle


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
