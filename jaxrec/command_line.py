"""What every command does alike: read its flags, and fold an error into one line and a code."""

import contextlib
import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import tyro

from jaxrec.errors import FailedCheckError, UserError

Flags = TypeVar("Flags")

_CONFIG = (tyro.conf.FlagCreatePairsOff,)


def run_command(
    action: Callable[..., Any],
    flags: type[Flags],
    description: str | None,
    arguments: Sequence[str] | None,
    *,
    remedy: str,
    interrupted: str,
    pass_on: bool = False,
) -> int:
    """Read the flags, act, and give the exit code.

    Args:
        action: what the command does.
        flags: the dataclass of its flags.
        description: what `--help` says first.
        arguments: the words after the command's name; None takes those of the process.
        remedy: what to do when a file cannot be read or written.
        interrupted: what is said when the person stops the command.
        pass_on: whether the action takes, behind the flags, the words that are none of them.

    Returns:
        0; 2 for anything that the person can mend; 1 for a product that failed its check; 130 for
        an interruption.
    """
    try:
        if pass_on:
            action(*parse_some(flags, description, arguments))
        else:
            action(parse(flags, description, arguments))
    except (UserError, FailedCheckError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror}; {remedy}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ninterrupted; {interrupted}", file=sys.stderr)
        return 130
    return 0


def parse(
    flags: type[Flags], description: str | None, arguments: Sequence[str] | None = None
) -> Flags:
    """Read the flags.

    Raises:
        UserError: a flag is unknown or its value impossible.
    """
    with _in_one_line():
        return tyro.cli(flags, args=arguments, description=description, config=_CONFIG)


def parse_some(
    flags: type[Flags], description: str | None, arguments: Sequence[str] | None = None
) -> tuple[Flags, list[str]]:
    """Read the flags, and give the words that are none of them, for another command.

    Raises:
        UserError: a flag's value is impossible.
    """
    with _in_one_line():
        return tyro.cli(
            flags,
            args=arguments,
            description=description,
            config=_CONFIG,
            return_unknown_args=True,
        )


def split_words(flag: str, text: str, known: Sequence[str]) -> list[str]:
    """Cut a list at its commas.

    Raises:
        UserError: a word is unknown.
    """
    words = list(dict.fromkeys(text.split(",")))
    for word in words:
        if word not in known:
            raise UserError(f"{flag}={text} has {word!r}; give some of {','.join(known)}")
    return words


def split_numbers(flag: str, text: str) -> list[int]:
    """Cut a list at its commas.

    Raises:
        UserError: a part is no whole number.
    """
    try:
        return list(dict.fromkeys(map(int, text.split(","))))
    except ValueError:
        raise UserError(f"{flag}={text} is no list of whole numbers, as in 10,50") from None


@contextlib.contextmanager
def _in_one_line() -> Iterator[None]:
    """Fold the box that tyro draws around an error into one line."""
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            yield
    except SystemExit as exit_:
        if exit_.code != 2:
            raise
        words = re.sub(r"[^\x20-\x7e]|-{3,}", " ", box.getvalue()).split()
        raise UserError(" ".join(words)) from None
