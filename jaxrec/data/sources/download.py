"""Downloads of public data sets; a file gets its final name only after verification."""

import hashlib
import stat
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.request import urlopen
from zipfile import BadZipFile, ZipFile, ZipInfo

from jaxrec.data.progress import show_progress
from jaxrec.errors import UserError
from jaxrec.files import replacing

TIMEOUT_SECONDS = 30
MAX_UNPACKED_BYTES = 2 << 30
_CHUNK_BYTES = 1 << 18


def fetch(url: str, destination: Path, *, algorithm: Literal["sha256", "md5"], digest: str) -> None:
    """Download `url` to `destination`, which is created only if the checksum matches.

    Args:
        digest: the expected checksum, in lower-case hexadecimal.

    Raises:
        UserError: if the URL cannot be read, the checksum differs, or the disk cannot be written.
    """
    # Some sources publish only MD5, which a machine in FIPS mode allows only with this flag.
    received = hashlib.new(algorithm, usedforsecurity=False)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with replacing(destination) as file:
            for chunk in _chunks(url):
                received.update(chunk)
                file.write(chunk)
            if received.hexdigest() != digest:
                raise UserError(
                    f"{url} is damaged or has changed: its {algorithm} is "
                    f"{received.hexdigest()}, not {digest}; the file was discarded, try again"
                )
    except OSError as error:
        raise UserError(
            f"cannot write {destination} ({error}); free disk space or give --data-dir"
        ) from error


def _chunks(url: str) -> Iterator[bytes]:
    """Yield the content of `url` in chunks, and show progress."""
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            size = int(response.headers.get("Content-Length", 0)) or None
            name = PurePosixPath(url).name
            with show_progress(total=size, unit="byte", label=name) as progress:
                while chunk := response.read(_CHUNK_BYTES):
                    yield chunk
                    progress.update(len(chunk))
    except (OSError, HTTPException) as error:
        raise UserError(
            f"cannot download {url} ({error}); without a network, give --data-dir, the folder of a "
            "copy, or --dataset=synthetic"
        ) from error


def unpack(archive: Path, members: Sequence[str], folder: Path) -> None:
    """Extract exactly these members of a zip to `folder`, all or none.

    If the folder exists, it gets only the members that it lacks.

    Args:
        members: full names inside the zip; "ml-1m/ratings.dat" becomes `folder`/ratings.dat.

    Raises:
        UserError: if the file is not an intact zip, lacks a member, has a path outside its folder,
            unpacks to more than MAX_UNPACKED_BYTES, or if the disk cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            ZipFile(archive) as source,
            tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary,
        ):
            fresh = Path(temporary) / folder.name
            fresh.mkdir()
            _extract(source, _check_members(source, members), fresh)
            _install(fresh, folder)
    # zipfile raises RuntimeError for an encrypted member, and zlib.error for a damaged one.
    except (BadZipFile, EOFError, RuntimeError, zlib.error) as error:
        raise UserError(
            f"{archive} is not a valid zip file ({error}); delete it and try again"
        ) from error
    except OSError as error:
        raise UserError(
            f"cannot unpack {archive} to {folder} ({error}); free disk space or give --data-dir"
        ) from error


def _check_members(source: ZipFile, members: Sequence[str]) -> list[ZipInfo]:
    """Return the entries of `members`, after checking that all names and sizes are safe."""
    for info in source.infolist():
        # The stored name: in ZipInfo.filename the separators are converted to those of this system.
        name = info.orig_filename
        outside = name.startswith("/") or ".." in name.split("/") or "\\" in name or ":" in name
        if outside or stat.S_ISLNK(info.external_attr >> 16):
            raise UserError(
                f"{source.filename} contains {name!r}, which points outside its folder; do not use "
                "this file, get the data set from its publisher"
            )
    missing = [name for name in members if name not in source.namelist()]
    if missing:
        raise UserError(
            f"{source.filename} lacks {missing[0]!r}; get the data set from its publisher"
        )
    wanted = [source.getinfo(name) for name in members]
    _check_size(sum(info.file_size for info in wanted), source)
    return wanted


def _check_size(unpacked_bytes: int, source: ZipFile) -> None:
    if unpacked_bytes > MAX_UNPACKED_BYTES:
        raise UserError(
            f"{source.filename} would unpack to more than {MAX_UNPACKED_BYTES:,} bytes; do not "
            "use this file, get the data set from its publisher"
        )


def _extract(source: ZipFile, entries: Sequence[ZipInfo], folder: Path) -> None:
    unpacked_bytes = 0
    for info in entries:
        path = folder / PurePosixPath(info.filename).name
        with source.open(info) as packed, replacing(path) as file:
            while chunk := packed.read(_CHUNK_BYTES):
                # Counted again, because the sizes in the directory of the zip may be forged.
                unpacked_bytes += len(chunk)
                _check_size(unpacked_bytes, source)
                file.write(chunk)


def _install(fresh: Path, folder: Path) -> None:
    """Rename `fresh` to `folder`; if that exists, as after a concurrent run, add what it lacks."""
    try:
        fresh.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        for path in list(fresh.iterdir()):
            if not (folder / path.name).is_file():
                path.rename(folder / path.name)
