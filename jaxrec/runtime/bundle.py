"""The bundle: a flatbuffer with a zip archive behind it, one file for every kind of reader.

A runtime reads the flatbuffer and ignores what follows; a zip tool looks for its directory at the
end and ignores what comes first. The archive holds

    vocabulary.json   the raw item of each id (id i is entry i - 1), with its hash
    catalogue.jsonl   title, genres and year of each id, in blocks
    model.json        signatures, shapes, rules, figures; the hash of the flatbuffer
    MODEL_CARD.md     the same for people
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
from jaxrec.runtime.known import RawItem

VOCABULARY = "vocabulary.json"
CATALOGUE = "catalogue.jsonl"
MODEL = "model.json"
CARD = "MODEL_CARD.md"

# The number of the bundle's layout; a reader refuses any other but the one before, whose catalogue
# was one list of entries.
FORMAT = 2
_ENTRIES_FORMAT, _ENTRIES = 1, "catalogue.json"

# A small archive can unfold to any size; ours never comes near this.
_MAX_MEMBER_BYTES = 1 << 28


@dataclass(frozen=True)
class Bundle:
    """What one file holds.

    Attributes:
        graph: the flatbuffer.
        items: the raw item of each id, id i at i - 1, [V].
        catalogue: `id`, `item`, `title`, `genres`, `year` of each id, [V].
        model: model.json.
    """

    graph: bytes
    items: list[RawItem]
    catalogue: Catalogue
    model: dict[str, Any]


def sha256(data: bytes) -> str:
    """Give the hash by which files are told apart."""
    return hashlib.sha256(data).hexdigest()


def pack(graph: bytes, members: Mapping[str, bytes]) -> bytes:
    """Append an archive to a flatbuffer; the same content gives the same bytes."""
    file = io.BytesIO(graph)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            # A fixed time, the earliest that zip knows.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, 8, 9)
    return file.getvalue()


def read(path: Path) -> Bundle:
    """Read a file that `pack` made, and prove that it is whole before any runtime sees it.

    Raises:
        UserError: it is not ours, of another version, or damaged.
        OSError: it cannot be read.
    """
    return parse(path.read_bytes(), path)


def parse(data: bytes, path: Path) -> Bundle:
    """Take the content of a file apart, as `read` does; messages name its path.

    Raises:
        UserError: it is not ours, of another version, or damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            model = json.loads(_member(archive, infos[MODEL]))
            if model["format"] not in (FORMAT, _ENTRIES_FORMAT):
                raise UserError(
                    f"{path} has format {model['format']}, this version reads {FORMAT}; convert "
                    "its run again"
                )
            graph = data[: model["graph"]["bytes"]]
            items = json.loads(_member(archive, infos[VOCABULARY]))["values"]
            if model["format"] == FORMAT:
                content = _member(archive, infos[CATALOGUE])
            else:
                content = _in_blocks(json.loads(_member(archive, infos[_ENTRIES])))
            bundle = Bundle(graph, items, Catalogue(items, content), model)
            whole = sha256(graph) == model["graph"]["sha256"]
    except zipfile.BadZipFile:
        raise UserError(
            f"{path} is no model of jaxrec, or was cut short; make it with `jaxrec export`"
        ) from None
    except UserError:
        raise
    # zipfile and what it unpacks with have a dozen ways to say that a file was changed.
    except Exception as error:
        raise UserError(f"{path} is damaged ({error}); convert its run again") from None
    if not whole:
        raise UserError(f"{path} is damaged (its parts do not fit); convert its run again")
    return bundle


def _in_blocks(entries: Sequence[Mapping[str, Any]]) -> bytes:
    """Write a list of entries, as older files have it, in blocks."""
    return pack_catalogue({name: [entry[name] for entry in entries] for name in COLUMNS})


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Read one member; zipfile compares its checksum."""
    if info.file_size > _MAX_MEMBER_BYTES:
        raise ValueError(f"{info.filename} would unfold to {info.file_size:,} bytes")
    return archive.read(info)
