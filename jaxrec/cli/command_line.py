"""What every command does alike: read its flags, and fold an error into one line and a code."""

import contextlib
import inspect
import io
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import tyro

from jaxrec.cli.help import render_help
from jaxrec.errors import FailedCheckError, UserError

Flags = TypeVar("Flags")

# 128 + SIGPIPE, as a shell reports a program that a closed pipe ended.
_CLOSED_PIPE = 141
# Of a line of help: longer ones are hard to read.
_MOST_COLUMNS = 100


@dataclass(frozen=True)
class _ConfigFlag:
    """The flag of a command whose flags can `from_file`."""

    config: Path | None = None


def command(
    action: Callable[..., Any],
    *,
    remedy: str,
    interrupted: str,
    before: Callable[[], None] | None = None,
) -> Callable[..., int]:
    """Make a command's `main` of what it does.

    Args:
        action: its first parameter is annotated with the dataclass of the flags; a second one, if
            there is one, takes the words that are no flags. Its module's docstring is what `--help`
            says first.
        remedy: what to do when a file cannot be read or written.
        interrupted: what is said when the person stops the command.
        before: what is done first, once the flags are right.

    Returns:
        From the words after the command's name (by default those of the process) to the exit code:
        0; 2 for anything that the person can mend; 1 for a product that failed its check; 130 for
        an interruption; 141 where the reader of the output has gone, as in `| head`.
    """
    first, *others = inspect.signature(action).parameters
    flags = get_type_hints(action)[first]
    description = sys.modules[action.__module__].__doc__

    def run(arguments: Sequence[str] | None) -> int:
        try:
            words = sys.argv[1:] if arguments is None else arguments
            if {"-h", "--help", "--help-all"} & set(words):
                print(_help(flags, description or "", everything="--help-all" in words))
                _flush()
                return 0
            given = parse_known(flags, words) if others else (parse(flags, words),)
            if before is not None:
                before()
            action(*given)
            _flush()
        except (UserError, FailedCheckError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2 if isinstance(error, UserError) else 1
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            print(f"error: {where}{error.strerror}; {remedy}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print(f"\ninterrupted; {interrupted}", file=sys.stderr)
            return 130
        return 0

    def main(arguments: Sequence[str] | None = None) -> int:
        try:
            code = run(arguments)
        except BrokenPipeError:
            code = _CLOSED_PIPE
        if code:
            _discard_output()
        return code

    return main


def parse(flags: type[Flags], arguments: Sequence[str], default: Flags | None = None) -> Flags:
    """Read the flags of a command.

    Args:
        default: what flags that are not given are; None: as their class says.

    Raises:
        UserError: a flag is unknown or its value impossible.
    """
    words = _words(flags, arguments)
    with _in_one_line():
        return tyro.cli(flags, **(words if default is None else {**words, "default": default}))


def parse_known(flags: type[Flags], arguments: Sequence[str]) -> tuple[Flags, list[str]]:
    """Read the flags of a command, and return the words that are none of them.

    Raises:
        UserError: a value is impossible.
    """
    with _in_one_line():
        return tyro.cli(flags, **_words(flags, arguments), return_unknown_args=True)


def _help(flags: type, about: str, *, everything: bool) -> str:
    width = min(shutil.get_terminal_size().columns, _MOST_COLUMNS)
    return render_help(flags, about, everything=everything, width=width)


def _words(flags: type[Any], arguments: Sequence[str]) -> dict[str, Any]:
    """Return what tyro is given: the words, and the file of `--config` as the default."""
    words: dict[str, Any] = {"args": arguments, "add_help": False}
    if not hasattr(flags, "from_file"):
        return words
    file, others = tyro.cli(_ConfigFlag, **words, return_unknown_args=True)
    if file.config is None:
        return words
    return {**words, "args": others, "default": flags.from_file(file.config)}


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


def named_file(flag: str, text: str) -> tuple[str, Path]:
    """Cut `NAME=FILE`; a file that is given no name has its stem.

    Raises:
        UserError: there is no such file.
    """
    name, _, file = ("", "", text) if Path(text).is_file() else text.rpartition("=")
    path = Path(file)
    if not path.is_file():
        raise UserError(f"{path} is no file; give {flag}=FILE, or {flag}=NAME=FILE")
    return name or path.stem, path


def _flush() -> None:
    """Write what is left while an error can still be told."""
    # A print, because sys.stdout is None where a shell has closed it.
    print(end="", flush=True)


def _discard_output() -> None:
    """Redirect streams that cannot be written to the null device: Python flushes them at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(null, stream.fileno())
    os.close(null)


@contextlib.contextmanager
def _in_one_line() -> Iterator[None]:
    """Fold the box that tyro draws around an error into one line."""
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            yield
    except SystemExit as exit_:
        if exit_.code != 2:
            _flush()
            raise
        words = re.sub(r"[^\x20-\x7e]|-{3,}", " ", box.getvalue()).split()
        raise UserError(" ".join(words)) from None
