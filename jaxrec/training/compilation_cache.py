"""What XLA compiled is kept for the next start of a command, in the user's cache directory."""

import contextlib
import warnings
from pathlib import Path

import jax
import platformdirs

from jaxrec.files import require_room

# A run on a CPU keeps about a megabyte; each other width or length keeps as much again.
MOST_BYTES = 256 << 20
# Where there is less, an entry would be cut short; JAX never writes it anew.
ROOM_BYTES = 8 << 20


def keep_compiled() -> None:
    """Let JAX keep what it compiles, and find what an earlier command compiled.

    To be called before anything is compiled: JAX looks once where its cache is. An entry is found
    by JAX's own rules: the program, the versions, the flags and the kind of the machine. Where JAX
    has a cache already, as by JAX_COMPILATION_CACHE_DIR, that one stays as it is. What cannot be
    kept or read is compiled again, without a word.
    """
    told = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if told is not None:
        return
    folder = Path(platformdirs.user_cache_dir("jaxrec")) / "compiled"
    # Without a home, it would lie in the working directory.
    if not folder.is_absolute():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        forget_oldest(folder, MOST_BYTES)
        require_room(folder, ROOM_BYTES)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Most programs of a run take less than JAX's second each, and seconds together.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    warnings.filterwarnings("ignore", r"Error (reading|writing) persistent compilation cache entry")


def forget_oldest(folder: Path, most_bytes: int) -> None:
    """Delete the files of a cache that were read longest ago, until the others fit.

    JAX can do so itself. But it needs one more package, locks the folder for each entry, and writes
    nothing any more once a killed command has left an entry without its time.
    """
    files = [(path.stat(), path) for path in folder.iterdir() if path.is_file()]
    size = sum(status.st_size for status, _ in files)
    for status, path in sorted(files, key=lambda each: each[0].st_atime):
        if size <= most_bytes:
            return
        # Another command may have been quicker.
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        size -= status.st_size
