"""Turn a finished run into the one .tflite file that an app ships, and prove it equal.

    jaxrec export
    jaxrec export --run-dir=runs/ml-1m-rnn-n10 --recipe=float16 --top-k=20
    jaxrec export --ids-only
    jaxrec export --adapt

Takes the newest finished run under runs/, tries all three recipes, prints them side by side, and
writes into <run>/export/:

    model.tflite      four signatures, recommend, encode, score and vectors; vocabulary, catalogue
                      and model card inside, readable by any zip tool
    model.json        what the file is, what it takes and gives, and every figure
    catalogue.json    item, title, genres and year of each id, in columns

A file that does not say what its model says is not written: exit code 1.
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
    """What is converted, and into what."""

    run_dir: Path | None = None
    """a finished run; default: the newest under runs/"""
    export_dir: Path | None = None
    """where the files go; default: <run>/export"""


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
    remedy="free or open the place, or give another --export-dir",
    interrupted="the files of an older export are as they were",
    before=enable_compilation_cache,
)
