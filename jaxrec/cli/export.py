"""Convert a finished run to one .tflite file for an app, and verify it against its JAX model.

    jaxrec export
    jaxrec export --run-dir=runs/ml-1m-rnn-n10 --recipe=float16 --top-k=20
    jaxrec export --ids-only
    jaxrec export --adapt
    jaxrec export --previous=live/model.tflite

By default, converts the newest finished run under runs/ with all three recipes, prints a table of
them, and writes one of them to <run>/export/:

    model.tflite      the signatures recommend, encode, score and vectors; the vocabulary, catalogue
                      and model card are inside, readable by any zip tool
    model.json        inputs, outputs, rules and metrics of the file
    catalogue.json    item, title, genres and year of each id, in columns

A file that differs from its model is not written, and the exit code is 1.
"""

from dataclasses import dataclass
from pathlib import Path

from jaxrec.cli.command_line import command
from jaxrec.conversion.convert import convert
from jaxrec.conversion.export_config import ExportConfig
from jaxrec.runs.directory import RunDirectory, newest_run
from jaxrec.training.compilation_cache import enable_compilation_cache


@dataclass(frozen=True)
class ExportFlags(ExportConfig):
    """Export: the run, and the contents of the file."""

    run_dir: Path | None = None
    """directory of a finished run; default: the newest under runs/"""
    export_dir: Path | None = None
    """directory of the files; default: <run>/export"""


def run(flags: ExportFlags) -> None:
    """Convert a run and print the result.

    Raises:
        UserError: an error that the user can fix.
        FailedCheckError: the requested file is not equal to its model.
    """
    directory = newest_run() if flags.run_dir is None else RunDirectory(flags.run_dir)
    convert(directory, flags, flags.export_dir)


main = command(
    run,
    remedy="free disk space or change permissions, or give another --export-dir",
    interrupted="files of an earlier export were not changed",
    before=enable_compilation_cache,
)
