"""Commands in README, docs and docstrings: each parses, and each flag exists."""

import ast
import importlib
import json
import re
import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import uvicorn
from click import UsageError

from jaxrec.cli import COMMANDS
from jaxrec.cli.command_line import parse
from jaxrec.cli.train import RunFlags
from jaxrec.config.fields import flag_of
from jaxrec.errors import UserError
from tests import ROOT
from tests.project.pages import (
    FLOWER,
    INNER_PAGES,
    PAGES,
    SCRIPTS,
    blocks_of,
    code_words,
    commands_of,
    commands_of_page,
    each_page,
)
from tests.project.test_site import BUILD_ARGUMENTS

# Scripts that call `jaxrec COMMAND`, by path.
ENTRY_SCRIPTS = {
    path.relative_to(ROOT).as_posix(): found[1]
    for room in ("experiments", "convert")
    for path in sorted((ROOT / room).glob("*.py"))
    if (found := re.search(r'main\(\["(.*)", \*sys', path.read_text()))
}
# Commands that forward their unknown flags to run.py.
FORWARDING_COMMANDS = ("sweep", "backtest")
# The flags of Flower's commands that the check of the example passes, and so tests.
FLOWER_FLAGS = {
    flag
    for name in ("check.py", "programs.py")
    for flag in re.findall(r"--[a-z][a-z-]*", (ROOT / "examples" / "flower" / name).read_text())
}
WEB_PACKAGE = ROOT / "clients" / "web" / "package.json"
CI = (ROOT / ".ci" / "run").read_text().splitlines()
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def commands_of_docstrings() -> list[list[str]]:
    """Return the commands on indented lines of module docstrings."""
    rooms = ("jaxrec", "experiments", "convert", "demo", "clients", "examples")
    found = []
    for path in [path for room in rooms for path in modules_of(room)]:
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        for line in re.findall(
            r"^ {4}((?:python|jaxrec) .*)$", docstring.replace("\\\n", " "), re.M
        ):
            found += commands_of(line)
    return found


def modules_of(room: str) -> list[Path]:
    paths = sorted((ROOT / room).rglob("*.py"))
    return [path for path in paths if "node_modules" not in path.parts]


def flags_class(command: str) -> type:
    """Return the dataclass of a command's flags, by the command's name or script."""
    name = ENTRY_SCRIPTS.get(command, command)
    script = name.removesuffix(".py").replace("/", ".")
    module = importlib.import_module(COMMANDS[name].module if name in COMMANDS else script)
    (found,) = [
        each
        for name, each in vars(module).items()
        if name.endswith("Flags") and each.__module__ == module.__name__
    ]
    return found


def flags_of(kind: type) -> set[str]:
    """Return the flags of a dataclass and of its nested dataclasses."""
    found = set()
    for each in fields(kind):
        inner = each.default_factory() if callable(each.default_factory) else None
        found |= flags_of(type(inner)) if is_dataclass(inner) else {flag_of(kind, each.name)}
    return found


SCRIPTS_WITHOUT_FLAGS = (
    "docs/write_layout.py",
    "clients/golden/write_cases.py",
    "demo/draw_icons.py",
)


def check_command(words: Sequence[str]) -> None:
    """Check that a command is known and that its flags parse.

    Raises:
        UserError: a flag is unknown or its value is invalid.
        AssertionError: the command is not among the known ones.
    """
    match words:
        case _ if shlex.join(words) in CI:
            pass
        case ["python", script] if script in SCRIPTS_WITHOUT_FLAGS:
            assert (ROOT / words[1]).is_file()
        case ["python", "demo/npm.py", "run", name]:
            assert name in json.loads((ROOT / "demo" / "package.json").read_text())["scripts"]
        case ["python", script, *given] if script in ENTRY_SCRIPTS:
            check_command(["jaxrec", ENTRY_SCRIPTS[script], *given])
        case ["python" | "jaxrec", name, *given]:
            assert name in (COMMANDS if words[0] == "jaxrec" else SCRIPTS), f"{name} is no command"
            kind, given = (
                flags_class(name),
                [word for word in given if not word.startswith("--help")],
            )
            own = flags_of(kind)
            if name in FORWARDING_COMMANDS:
                parse(RunFlags, [word for word in given if word.split("=")[0] not in own])
                given = [word for word in given if word.split("=")[0] in own]
            parse(kind, given)
        case ["pip", "install", "-c", "constraints.txt", "-e", extra]:
            assert extra.removeprefix(".[").removesuffix("]") in EXTRAS, extra
        case ["cd", "clients/web" | "../../../my-app"]:
            pass
        case ["npm", "run", name]:
            assert name in json.loads(WEB_PACKAGE.read_text())["scripts"]
        case ["npm", "ci", "--ignore-scripts"] | ["npm", "pack" | "test"]:
            pass
        case ["npm", "install", tarball]:
            package = json.loads(WEB_PACKAGE.read_text())
            assert Path(tarball).name == f"{package['name']}-{package['version']}.tgz"
        case ["pytest", *given]:
            paths = [word for word in given if word.startswith("tests/")]
            assert all((ROOT / path).exists() for path in paths), paths
        case [".ci/run" | ".ci/short_path" as script]:
            assert (ROOT / script).is_file()
        # Only to show that they exclude each other.
        case ["pip", "install", "litert-converter==0.5.0", "tyro>=1"]:
            pass
        case ["pip", "install", "--no-deps", package]:
            assert any(line.endswith(f"--no-deps {package}") for line in CI), package
        # A test compiles and runs the Kotlin program of a page (tests/clients/test_kotlin.py).
        case ["apt-get", "install", *packages] | ["npm", "install", "--prefix", "build", *packages]:
            assert all(each in " ".join(CI) for each in packages), packages
        case ["pip", "download", "--no-deps", "-c", "constraints.txt", "-d", "build", package]:
            assert f"\n{package}==" in (ROOT / "constraints.txt").read_text(), package
        case ["uv", "pip", "compile", *_]:
            header = (ROOT / "constraints.txt").read_text().splitlines()[1]
            assert header.removeprefix("#").strip() == shlex.join(words)
        case ["unzip", "-q", "-o", archive, "-d", folder]:
            assert {archive.split("/")[0], folder.split("/")[0]} == {"build"}
        case ["build/node_modules/kotlin-compiler/bin/kotlinc" | "java", *words]:
            paths = [word for word in words if word.startswith(("clients/", "pretrained/"))]
            assert paths and all((ROOT / path).exists() for path in paths), paths
        case ["python3", "-m", "venv", folder]:
            assert folder in (".venv", ".venv-flower")
        case [".", ".venv/bin/activate" | ".venv-flower/bin/activate"]:
            pass
        case ["pip", "install", "-r", requirements, "-e", extra]:
            assert (ROOT / requirements).is_file()
            assert extra.removeprefix(".[").removesuffix("]") in EXTRAS, extra
        case ["sphinx-build", *arguments, "build/site"]:
            assert tuple(arguments) == BUILD_ARGUMENTS
        case ["export", *variables]:
            assert all("=" in each for each in variables), variables
        case ["uvicorn", *given]:
            with uvicorn.main.make_context("uvicorn", given) as context:
                folder, app = context.params["app_dir"], context.params["app"]
                module, function = app.split(":")
            assert f"def {function}(" in (ROOT / folder / f"{module}.py").read_text()
        case ["curl", url, "--json", body]:
            assert url.startswith("http://127.0.0.1:8000/") and json.loads(body)
        case ["flwr" | "flower-superlink" | "flower-supernode", *given]:
            flags = {word.split("=")[0] for word in given if word.startswith("--")}
            assert flags <= FLOWER_FLAGS, flags - FLOWER_FLAGS
        case _:
            raise AssertionError(f"nobody knows whether {shlex.join(words)} works")


@each_page
def test_every_command_of_a_page_parses(page):
    for words in commands_of_page(page):
        check_command(words)


def test_every_command_of_a_docstring_parses():
    for words in commands_of_docstrings():
        check_command(words)


def test_commands_are_extracted_from_pages_and_docstrings():
    on_pages = [shlex.join(words) for page in PAGES for words in commands_of_page(page)]
    in_docstrings = [shlex.join(words) for words in commands_of_docstrings()]
    assert len(set(on_pages)) > 40
    assert len(set(in_docstrings)) > 12
    assert on_pages[0] == "pip install -c constraints.txt -e '.[train]'"
    assert on_pages[1] == "python experiments/run.py --encoder=rnn"
    unrolled = "python convert/to_tflite.py --run-dir=runs/ml-1m-small-cnn --recipe=int8 "
    assert unrolled + "--export-dir=runs/ml-1m-small-cnn/int8" in on_pages


@pytest.mark.parametrize("command", [*SCRIPTS, *COMMANDS])
def test_every_command_is_shown_on_a_page_and_in_its_own_docstring(command):
    ways = {command, *(script for script, name in ENTRY_SCRIPTS.items() if name == command)}
    pages = PAGES + INNER_PAGES
    assert any(ways & set(words) for page in pages for words in commands_of_page(page))
    assert any(command in words for words in commands_of_docstrings())


@pytest.mark.parametrize(
    "command",
    [
        "python experiments/run.py --no-such-flag=1",
        "python experiments/run.py --epochs=0",
        "python experiments/sweep.py --no-such-flag=1",
        "python experiments/no_such_command.py",
        "pip install -c constraints.txt -e '.[none]'",
        "pytest tests/test_nothing.py",
        "make everything",
        "uvicorn --app-dir=examples/fastapi --factory app:no_such_function",
        "uvicorn --app-dir=examples/fastapi --factory app:create_app --no-such-flag",
        "curl http://127.0.0.1:8000/recommend --json '{history: 1}'",
    ],
)
def test_an_invalid_command_is_detected(command):
    with pytest.raises((UserError, AssertionError, UsageError, json.JSONDecodeError)):
        for words in commands_of(command):
            check_command(words)


@each_page
def test_every_flag_in_the_text_exists(page):
    known = {"--help", "--help-all"}.union(
        *(flags_of(flags_class(script)) for script in [*SCRIPTS, *COMMANDS])
    )
    known |= FLOWER_FLAGS if page == FLOWER else set()
    named = re.findall(r"(?<!\S)--[a-z][a-z.-]*[a-z]", "\n".join(code_words(page)))
    assert [flag for flag in named if flag not in known] == []


@each_page
def test_commands_are_in_shell_blocks(page):
    for block in blocks_of(page, ""):
        assert not re.search(r"^(python|pip|pytest) ", block, flags=re.MULTILINE)
