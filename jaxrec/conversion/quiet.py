"""Silence: TensorFlow and LiteRT write to the process's own streams whatever Python says."""

import atexit
import contextlib
import functools
import logging
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow what a block writes to standard output and error; an exception brings it back."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {stream: os.dup(stream) for stream in (1, 2)}
    disabled = logging.root.manager.disable
    with tempfile.TemporaryFile() as said:
        try:
            logging.disable(logging.WARNING)
            for stream in saved:
                os.dup2(said.fileno(), stream)
            yield
        except Exception as error:
            said.seek(0)
            error.add_note(said.read().decode(errors="replace"))
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, copy in saved.items():
                os.dup2(copy, stream)
                os.close(copy)
            logging.disable(disabled)


@functools.cache
def quiet_at_exit() -> None:
    """Swallow what LiteRT's libraries write to standard error when Python has ended already."""
    atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))
