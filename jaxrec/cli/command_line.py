"""The common part of all commands: parsing flags, and reporting errors by a line and exit code."""

import contextlib
import inspect
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import tyro

from jaxrec.cli.help import render_help
from jaxrec.config.fields import renamed_flags
from jaxrec.errors import FailedCheckError, UserError

Flags = TypeVar("Flags")

# 128 + SIGPIPE, the exit code that a shell reports for a program ended by a closed pipe.
_CLOSED_PIPE = 141
# Longest line of help: longer ones are hard to read.
_MAX_COLUMNS = 100


@dataclass(frozen=True)
class _DefaultsFlags:
    """The flags of other flags' defaults, parsed first if a command's flags have them."""

    size: str | None = None
    config: Path | None = None


def command(
    action: Callable[..., Any],
    *,
    remedy: str,
    interrupted: str,
    before: Callable[[], None] | None = None,
) -> Callable[..., int]:
    """Return the `main` of a command.

    Args:
        action: the function of the command. Its first parameter is annotated with the dataclass of
            the flags; an optional second one takes the remaining arguments. The docstring of its
            module is printed first by `--help`.
        remedy: the advice to print if a file cannot be read or written.
        interrupted: the text to print if the user interrupts the command.
        before: a function to call between parsing the flags and the action.

    Returns:
        A function from the arguments after the command's name (by default those of the process) to
        the exit code: 0; 2 for an error that the user can fix; 1 for a product that failed its
        check; 130 for an interruption; 141 if the reader of the output has gone, as in `| head`.
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


def capture(words: Sequence[str], label: str, *, cwd: str | None = None) -> str:
    """Run a program, and return its standard output.

    Args:
        words: the program and its arguments.
        label: the start of the error message, before the program's last line of errors.
        cwd: the working directory; None: that of this process.

    Raises:
        FailedCheckError: the program failed.
    """
    process = subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd)
    if process.returncode:
        last = (process.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise FailedCheckError(f"{label}: {last.removeprefix('error: ')}")
    return process.stdout


def parse(flags: type[Flags], arguments: Sequence[str], default: Flags | None = None) -> Flags:
    """Parse the flags of a command.

    Args:
        default: the values of flags that are not given; None: the defaults of the class.

    Raises:
        UserError: a flag is unknown or has an invalid value.
    """
    words = _tyro_arguments(flags, arguments)
    with _one_line_errors():
        return tyro.cli(flags, **(words if default is None else {**words, "default": default}))


def parse_known(flags: type[Flags], arguments: Sequence[str]) -> tuple[Flags, list[str]]:
    """Parse the flags of a command, and return them and the remaining arguments.

    Raises:
        UserError: a flag has an invalid value.
    """
    with _one_line_errors():
        return tyro.cli(flags, **_tyro_arguments(flags, arguments), return_unknown_args=True)


def _help(flags: type, about: str, *, everything: bool) -> str:
    width = min(shutil.get_terminal_size().columns, _MAX_COLUMNS)
    return render_help(flags, about, everything=everything, width=width)


def _tyro_arguments(flags: type[Any], arguments: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of `tyro.cli`, with the defaults of `--size` and `--config`."""
    _refuse_renamed(flags, arguments)
    words: dict[str, Any] = {"args": arguments, "add_help": False}
    if not hasattr(flags, "with_defaults"):
        return words
    given, others = tyro.cli(_DefaultsFlags, **words, return_unknown_args=True)
    return {**words, "args": others, "default": flags.with_defaults(given.size, given.config)}


def _refuse_renamed(flags: type[Any], arguments: Sequence[str]) -> None:
    renamed = renamed_flags(flags)
    for word in arguments:
        flag = word.partition("=")[0].replace("_", "-")
        if flag in renamed:
            raise UserError(f"{flag} is now {renamed[flag]}")


def split_words(flag: str, text: str, known: Sequence[str]) -> list[str]:
    """Split a comma-separated list of known words, and drop repeats.

    Raises:
        UserError: a word is unknown.
    """
    words = list(dict.fromkeys(text.split(",")))
    for word in words:
        if word not in known:
            raise UserError(f"{flag}={text} has {word!r}; choose from {','.join(known)}")
    return words


def split_numbers(flag: str, text: str) -> list[int]:
    """Split a comma-separated list of whole numbers, and drop repeats.

    Raises:
        UserError: a part is not a whole number.
    """
    try:
        return list(dict.fromkeys(map(int, text.split(","))))
    except ValueError:
        raise UserError(f"{flag}={text} is not a list of whole numbers, as in 10,50") from None


def named_file(flag: str, text: str) -> tuple[str, Path]:
    """Parse `NAME=FILE`, or `FILE`, whose name is its stem.

    Raises:
        UserError: the file does not exist.
    """
    name, _, file = ("", "", text) if Path(text).is_file() else text.rpartition("=")
    path = Path(file)
    if not path.is_file():
        raise UserError(f"{path} is not a file; give {flag}=FILE, or {flag}=NAME=FILE")
    return name or path.stem, path


def _flush() -> None:
    """Flush standard output while an error can still be reported."""
    # By print, because sys.stdout is None if the shell has closed it.
    print(end="", flush=True)


def _discard_output() -> None:
    """Redirect unwritable streams to the null device, because Python flushes them at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(null, stream.fileno())
    os.close(null)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    """Convert the box that tyro draws around an error into a `UserError` of one line."""
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            yield
    except SystemExit as exit_:
        if exit_.code != 2:
            _flush()
            raise
        raise UserError(_summarize_box(box.getvalue())) from None


def _summarize_box(box: str) -> str:
    """Return the message in a box of tyro's as one line, with the flags that it suggests.

    A box has a title, which the message repeats; the message; and, below horizontal rules, flags
    with similar names, each above its help text.
    """
    # Where standard output takes ASCII alone, spaces are drawn in place of the lines of the box.
    _, *lines = (re.sub(r"^(│ |  )|[ │]+$", "", line) for line in box.splitlines())
    sections: list[list[str]] = [[]]
    for line in lines:
        if re.fullmatch(r"[\s╰─╯-]*", line):
            sections.append([])
        else:
            sections[-1].append(line)
    message, *others = filter(None, sections)
    if message[0].startswith("Missing from") and (missing := _flags_in(message)):
        return f"missing {', '.join(missing)}; --help describes the flags"
    summary = " ".join(" ".join(message).split())
    summary = summary[0].lower() + summary[1:]
    similar = [
        flag
        for heading, *rest in others
        if re.match("Perhaps you meant|Arguments similar to", heading)
        for flag in _flags_in(rest)
    ]
    return f"{summary}; did you mean {' or '.join(similar)}?" if similar else summary


def _flags_in(lines: Sequence[str]) -> list[str]:
    """Return the flags among the lines of a box; their help texts are indented further."""
    return [found[1] for line in lines if (found := re.match(r" {4}(--[^\s,]+)", line))]
