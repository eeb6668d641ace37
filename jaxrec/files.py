"""Atomic writing and checked reading of files."""

import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxrec.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` when the block ends without an error.

    Readers see either the old content or the new, never a part; a failed or killed writer leaves
    the old content in place.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp creates files that only their owner can read; a run is meant to be shared.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def require_disk_space(folder: Path, size: int = 0) -> None:
    """Check that `size` bytes can be written to a folder, before the work that produces them.

    On a system that cannot allocate without writing, only write permission is checked.

    Raises:
        OSError: they cannot, with the system's message; its file name is `folder`.
    """
    place = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(probe.fileno(), 0, size)
    except OSError as error:
        error.filename = str(folder)
        raise


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    """Write `value` as JSON, atomically and in the format of `as_json`."""
    with replacing(path) as file:
        file.write(as_json(value, indent=indent))


def as_json(value: Any, *, indent: int | None = 2) -> bytes:
    """Return `value` as JSON: indented or, with `indent=None`, in one line, for large values."""
    return (json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing or is not JSON.
    """
    with reading(path):
        return json.loads(path.read_text(encoding="utf-8"))


def rename_keys(values: Mapping[str, Any], new_names: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of an older file under the names of today.

    Args:
        new_names: the present name of each renamed key; other keys stay.
    """
    return {new_names.get(key, key): value for key, value in values.items()}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name as a compressed .npz, atomically."""
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read arrays that `write_arrays` wrote; pickled objects are rejected, as they can run code.

    Raises:
        UserError: the file is missing or damaged.
    """
    # Not from the path, because np.load does not close a damaged file.
    with reading(path), np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
        return dict(arrays)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert the errors of reading and parsing a file of a run to a message of one line.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} is missing; is this the run directory of a jaxrec run?") from None
    except UserError:
        raise
    # zipfile and its decompressors raise a dozen types of errors for a damaged file.
    except Exception as error:
        if isinstance(error, OSError) and error.filename:
            raise  # it cannot be read, and may be whole
        raise UserError(f"{path} is damaged ({error}); train the run again") from None


def find_below(root: Path, name: str) -> list[Path]:
    """Return the files of a name in all folders below a root, at any depth."""
    # `**` follows no links, which avoids cycles; `*` follows one, because a run may be a link.
    return list(root.glob(f"**/*/{name}"))


def require_one_length(*columns: Sized) -> None:
    """Check that columns have the same length.

    Raises:
        ValueError: they differ in length.
    """
    if len(set(map(len, columns))) > 1:
        raise ValueError("its arrays differ in length")
