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
    saved = os.dup(1), os.dup(2)
    disabled = logging.root.manager.disable
    with tempfile.TemporaryFile() as said:
        try:
            logging.disable(logging.WARNING)
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            yield
        except Exception as error:
            said.seek(0)
            error.add_note(said.read().decode(errors="replace"))
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            os.close(saved[0])
            os.close(saved[1])
            logging.disable(disabled)


@functools.cache
def quiet_at_exit() -> None:
    """Swallow what LiteRT's libraries write to standard error when Python has ended already."""
    atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))
