"""Suppression of the output that TensorFlow and LiteRT write past Python's own streams."""

import atexit
import contextlib
import functools
import logging
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def suppress_output() -> Iterator[None]:
    """Suppress standard output and error of a block; an exception gets them as a note."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {stream: os.dup(stream) for stream in (1, 2)}
    disabled = logging.root.manager.disable
    with tempfile.TemporaryFile() as output:
        try:
            logging.disable(logging.WARNING)
            for stream in saved:
                os.dup2(output.fileno(), stream)
            yield
        except Exception as error:
            output.seek(0)
            error.add_note(output.read().decode(errors="replace"))
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, copy in saved.items():
                os.dup2(copy, stream)
                os.close(copy)
            logging.disable(disabled)


@functools.cache
def suppress_output_at_exit() -> None:
    """Suppress what LiteRT's libraries write to standard error after Python's exit handlers."""
    atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))
