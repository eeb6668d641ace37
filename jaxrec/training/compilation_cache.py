"""Persistent compilation cache: programs that XLA compiled, in the user's cache directory."""

import contextlib
import warnings
from pathlib import Path

import jax
import platformdirs

from jaxrec.files import require_disk_space

# A run on a CPU adds about a megabyte; each other width or length adds as much again.
MAX_BYTES = 256 << 20
# With less disk space, an entry could be truncated, and JAX never rewrites it.
MIN_FREE_BYTES = 8 << 20


def enable_compilation_cache() -> None:
    """Enable JAX's persistent compilation cache, shared by all commands of the user.

    Call it before anything is compiled: JAX reads the location of its cache once. JAX's own key
    selects an entry: the program, the versions, the flags and the kind of machine. A cache that is
    already configured, as by JAX_COMPILATION_CACHE_DIR, is left unchanged. A program that cannot be
    written or read is silently compiled again.
    """
    configured = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if configured is not None:
        return
    folder = Path(platformdirs.user_cache_dir("jaxrec")) / "compiled"
    # Without a home directory, the path is relative to the working directory.
    if not folder.is_absolute():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        evict_oldest(folder, MAX_BYTES)
        require_disk_space(folder, MIN_FREE_BYTES)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Most programs of a run take less than JAX's threshold of a second, but seconds in total.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    warnings.filterwarnings("ignore", r"Error (reading|writing) persistent compilation cache entry")


def evict_oldest(folder: Path, max_bytes: int) -> None:
    """Delete the least recently read files of a cache until the others fit.

    JAX can do this itself, but needs another package, locks the folder for each entry, and stops
    writing as soon as a killed command has left an entry without its access time.
    """
    files = [(path.stat(), path) for path in folder.iterdir() if path.is_file()]
    size = sum(status.st_size for status, _ in files)
    for status, path in sorted(files, key=lambda each: each[0].st_atime):
        if size <= max_bytes:
            return
        # Another command may have deleted it.
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        size -= status.st_size
