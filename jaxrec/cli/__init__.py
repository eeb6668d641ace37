"""The command `jaxrec`; scripts in experiments/ and convert/ run its subcommands.

A subcommand is a module of this package with a `main`. It is imported when it is run, so that an
error can name the extra that installs its missing packages.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Command:
    """A subcommand of `jaxrec`.

    Attributes:
        module: the module with its `main`.
        extra: the extra of the package that installs its dependencies.
        summary: its line in the list of subcommands.
    """

    module: str
    extra: str
    summary: str


COMMANDS = {
    "train": Command("jaxrec.cli.train", "train", "train a recommender on a log, and evaluate it"),
    "prepare": Command("jaxrec.cli.prepare", "train", "prepare a log larger than memory"),
    "compare": Command("jaxrec.cli.compare", "train", "compare finished runs and their lists"),
    "sweep": Command("jaxrec.cli.sweep", "train", "train encoders x history lengths x seeds"),
    "backtest": Command(
        "jaxrec.cli.backtest", "train", "judge models of several dates on what followed"
    ),
    "benchmark-training": Command(
        "jaxrec.cli.benchmark_training", "train", "measure training and ranking on this machine"
    ),
    "export": Command("jaxrec.cli.export", "convert", "convert a run to a verified .tflite file"),
    "verify": Command(
        "jaxrec.cli.verify",
        "convert",
        "compare a .tflite file with its JAX model, or its signature",
    ),
    "sign": Command("jaxrec.cli.sign", "sign", "sign .tflite files, so that apps accept them"),
    "benchmark": Command("jaxrec.cli.benchmark", "convert", "time .tflite files in one process"),
    "recommend": Command("jaxrec.cli.recommend", "train", "recommend to all users of a log"),
    "federate": Command("jaxrec.cli.federate", "federated", "continue a run by federated rounds"),
}

_USAGE = "usage: jaxrec COMMAND [FLAGS]; jaxrec COMMAND --help describes one command\n\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that the first argument names.

    Returns:
        The exit code of the subcommand; 2 if it does not exist, or if packages that it needs are
        not installed.
    """
    name, *words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(_USAGE + "\n".join(f"  {each:<20}{COMMANDS[each].summary}" for each in COMMANDS))
        return 0
    if name not in COMMANDS:
        print(f"error: {name} is not a command; give {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    command = COMMANDS[name]
    try:
        # A command may import what only some of its flags need.
        return import_module(command.module).main(words)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "jaxrec":
            raise
        print(
            f"error: jaxrec {name} needs {package}, which is not installed; pip install "
            f"'jaxrec[{command.extra}]', or in a checkout "
            f"`pip install -c constraints.txt -e '.[{command.extra}]'`",
            file=sys.stderr,
        )
        return 2
