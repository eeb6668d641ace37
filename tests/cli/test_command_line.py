"""The frame of every command: its flags, its exit codes, and its output."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from jaxrec.cli import COMMANDS
from jaxrec.cli import main as jaxrec_main
from jaxrec.cli.command_line import command, named_file
from jaxrec.config.fields import setting
from jaxrec.errors import FailedCheckError, UserError
from tests import ROOT


@dataclass(frozen=True)
class BakingFlags:
    """The loaves."""

    loaves: int = 1
    """how many"""


def main_of(action):
    return command(action, remedy="open the oven", interrupted="the dough rests")


def test_the_action_gets_the_flags_of_its_annotation():
    baked = []

    def bake(flags: BakingFlags) -> None:
        baked.append(flags)

    assert main_of(bake)(["--loaves=3"]) == 0
    assert main_of(bake)([]) == 0
    assert baked == [BakingFlags(3), BakingFlags(1)]


def test_unknown_words_go_to_a_second_parameter(capsys):
    given = []

    def bake(flags: BakingFlags, others: Sequence[str]) -> None:
        given.append((flags.loaves, list(others)))

    assert main_of(bake)(["--salt=2", "--loaves=3", "rye"]) == 0
    assert given == [(3, ["--salt=2", "rye"])]

    def bake_alone(flags: BakingFlags) -> None:
        raise AssertionError("a flag was unknown")

    assert main_of(bake_alone)(["--salt=2"]) == 2
    assert "--salt" in capsys.readouterr().err


@dataclass(frozen=True, kw_only=True)
class OvenFlags(BakingFlags):
    """An oven that has to be named."""

    oven: Path
    """one that --loaves fit into"""
    shape: Literal["round", "long"] = "round"
    """of a loaf"""


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--oven=a", "--loavs=2"], "unrecognized options: --loavs=2; did you mean --loaves?"),
        (["--oven=a", "--xyzzy"], "unrecognized options: --xyzzy"),
        (["--oven=a", "rye"], "unrecognized options: rye"),
        (["--loaves=2"], "missing --oven; --help describes the flags"),
        (["--oven=a", "--loaves=two"], "error parsing --loaves: invalid literal for int() with "),
        (["--oven=a", "--shape=flat"], "invalid choice 'flat' for argument '--shape'. Expected "),
    ],
    ids=str,
)
def test_a_wrong_flag_is_one_line_without_repetition(monkeypatch, capsys, words, said, encoding):
    monkeypatch.setattr("tyro._fmtlib._should_use_utf8_drawing_chars", lambda: encoding == "utf-8")

    def bake(flags: OvenFlags) -> None:
        raise AssertionError("a flag was wrong")

    assert main_of(bake)(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}") and error.count("\n") == 1
    assert error.count("options") <= 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "--own-dropout=0.3"], "--own-dropout is now --id-dropout"),
        (["train", "--own_dropout", "0.3"], "--own-dropout is now --id-dropout"),
        (["train", "--time"], "--time is now --time-gaps"),
        (["sweep", "--seeds=1", "--rate"], "--rate is now --predict-ratings"),
        (["export", "--adapt", "--rate=0.2"], "--rate is now --learning-rate"),
        (["prepare", "--keep=device"], "--keep is now --keep-columns"),
        (["federate", "--share=all"], "--share is now --shared-parameters"),
    ],
    ids=str,
)
def test_the_old_name_of_a_flag_is_refused_with_the_new_one(capsys, words, said):
    assert jaxrec_main(words) == 2
    assert capsys.readouterr().err == f"error: {said}\n"


def test_arguments_default_to_those_of_the_process(monkeypatch):
    baked = []

    def bake(flags: BakingFlags) -> None:
        baked.append(flags)

    monkeypatch.setattr("sys.argv", ["bake.py", "--loaves=7"])
    assert main_of(bake)() == 0
    assert baked == [BakingFlags(7)]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("no flour"), 2, "error: no flour\n"),
        (FailedCheckError("burnt"), 1, "error: burnt\n"),
        (OSError(28, "No space", "oven"), 2, "error: oven: No space; open the oven\n"),
        (OSError(28, "No space"), 2, "error: No space; open the oven\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted; the dough rests\n"),
    ],
    ids=repr,
)
def test_an_error_is_one_line_and_an_exit_code(capsys, error, code, message):
    def bake(flags: BakingFlags) -> None:
        raise error

    assert main_of(bake)([]) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", message)


@dataclass(frozen=True)
class CrustConfig:
    """--crust: how it gets a crust."""

    group: ClassVar = "crust"
    heat: int = 250
    """of the oven"""


@dataclass(frozen=True)
class BreadFlags(BakingFlags):
    """Bread, and what makes it."""

    salt: float | None = setting(None, 0.0, 1.0, advanced=True)
    """in the dough"""
    crust: CrustConfig = field(default_factory=CrustConfig)


def test_help_has_the_module_docstring_and_the_common_flags(capsys):
    def bake(flags: BreadFlags) -> None:
        raise AssertionError("help does nothing else")

    assert main_of(bake)(["--loaves=2", "--help"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[0].startswith("The frame of every command")
    assert f"{'  --loaves=INT':<32}how many (default: 1)" in output
    assert f"{'  --crust.*':<32}--crust: how it gets a crust." in output
    assert not any("--salt" in line or "--crust.heat" in line for line in output)

    assert main_of(bake)(["--help-all"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert f"{'  --salt=FLOAT':<32}in the dough" in output
    assert f"{'  --crust.heat=INT':<32}of the oven (default: 250)" in output


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_fits_on_a_screen(monkeypatch, capsys, command):
    monkeypatch.setenv("COLUMNS", "100")
    if command == "federate":
        pytest.importorskip("dp_accounting", reason="needs the extra federated")
    assert jaxrec_main([command, "--help"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert len(output) <= 110
    assert max(map(len, output)) <= 100


def test_a_named_file_has_the_given_name_or_its_stem(tmp_path):
    path, unusual = tmp_path / "bow_i10.tflite", tmp_path / "a=b.tflite"
    for each in (path, unusual):
        each.write_bytes(b"")
    assert named_file("--against", str(path)) == ("bow_i10", path)
    assert named_file("--against", f"bag of words=2020={path}") == ("bag of words=2020", path)
    assert named_file("--against", str(unusual)) == ("a=b", unusual)
    for text in ("nowhere.tflite", "bag=nowhere.tflite"):
        with pytest.raises(UserError, match=r"^nowhere\.tflite is not a file; give --against=FILE"):
            named_file("--against", text)


def test_the_before_hook_runs_after_the_flags_are_parsed():
    done = []

    def bake(flags: BakingFlags) -> None:
        done.append("baked")

    main = command(bake, remedy="", interrupted="", before=lambda: done.append("heated"))
    assert main(["--loaves=much"]) == 2 and not done
    assert main([]) == 0 and done == ["heated", "baked"]


PRINTER = """
import sys
from dataclasses import dataclass
from jaxrec.cli.command_line import command
from jaxrec.errors import UserError

@dataclass(frozen=True)
class PrinterFlags:
    lines: int = 1
    fail: bool = False

def write(flags: PrinterFlags) -> None:
    for number in range(flags.lines):
        print(f"line {number}")
    if flags.fail:
        raise UserError("no ink")

main = command(write, remedy="give another file", interrupted="")
sys.exit(main())
"""


def run_printer(
    *flags: str, stdout: int | str, stderr: int = subprocess.PIPE
) -> tuple[int, str | None]:
    """Run the printer, and return its exit code and what it wrote to `stderr`."""
    words = [sys.executable, "-c", PRINTER, *flags]
    if isinstance(stdout, str):
        words = ["sh", "-c", f'exec "$@" >{stdout}', "sh", *words]
    process = subprocess.run(
        words,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},
        stdout=None if isinstance(stdout, str) else stdout,
        stderr=stderr,
        text=True,
        timeout=60,
        check=False,
    )
    return process.returncode, process.stderr


@pytest.fixture
def closed_pipe():
    """Yield the write end of a pipe whose read end is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


# One line stays in the output buffer until exit; 100,000 lines do not.
@pytest.mark.parametrize("flag", ["--help", "--lines=1", "--lines=100000"])
def test_a_closed_pipe_ends_a_command_silently(closed_pipe, flag):
    # The exit code that a shell reports after SIGPIPE.
    assert run_printer(flag, stdout=closed_pipe) == (128 + 13, "")


def test_a_closed_pipe_hides_no_error(closed_pipe):
    assert run_printer("--fail", stdout=closed_pipe) == (2, "error: no ink\n")


def test_a_pipe_that_both_streams_share_may_close(closed_pipe):
    assert run_printer("--fail", stdout=closed_pipe, stderr=closed_pipe) == (128 + 13, None)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("flag", ["--help", "--lines=1", "--lines=100000"])
def test_a_full_disk_is_one_line(flag):
    output = "error: No space left on device; give another file\n"
    assert run_printer(flag, stdout="/dev/full") == (2, output)


def test_a_command_runs_without_standard_output():
    assert run_printer(stdout="&-") == (0, "")
    assert run_printer("--fail", stdout="&-") == (2, "error: no ink\n")
