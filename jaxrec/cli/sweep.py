"""Train every encoder at every history length, and write a table and plots.

    jaxrec sweep --dataset=ml-1m
    jaxrec sweep --encoders=bow,rnn --history-lengths=10,50 --seeds=0,1,2 --epochs=10

Other flags are those of `jaxrec train` and apply to all cells (`--dataset`, `--config=FILE`, ...);
settings of one encoder (`--transformer.blocks`) apply to its cells. A cell is a run like any other,
in <sweep>/<encoder>-n<N>-seed<seed>. The same command continues an interrupted sweep and keeps the
finished cells. A cell that fails does not stop the others: it is reported at the end, and its
output is in a .log file beside its directory.

Writes table.md, table.csv and quality.png to the folder of the sweep. With --export (extra
`convert`), every cell is exported too, all files are timed in turn in one process, and frontier.png
shows recall@10 against latency and size.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import tyro
from tqdm import tqdm

from jaxrec.cli.command_line import (
    command,
    named_file,
    parse,
    parse_known,
    split_numbers,
    split_words,
)
from jaxrec.cli.settings import SettingsFlags
from jaxrec.cli.train import RunFlags
from jaxrec.config.experiment import Config, differences, save_config
from jaxrec.config.fields import refuse_unused
from jaxrec.errors import FailedCheckError, UserError
from jaxrec.models.encoders import ENCODERS
from jaxrec.models.model_config import check_encoder
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.sweep_report import write_report
from jaxrec.training.warm_start import start_of

# Flags that the sweep itself sets for each cell.
_RESERVED = ("--encoder", "--history-length", "--seed", "--run-dir", "--resume", "--overwrite")


@dataclass(frozen=True)
class SweepFlags:
    """Cells of the sweep, and its folder."""

    encoders: str = ",".join(ENCODERS)
    """encoders, separated by commas"""
    history_lengths: str = "10,50,100,200"
    """history lengths N, separated by commas"""
    seeds: str = "0"
    """seeds, separated by commas; each encoder and length is trained with each seed"""
    sweep_dir: Path | None = None
    """folder of the sweep; default: runs/sweep-<dataset>"""
    export: bool = False
    """export the runs of the first seed, and time the files against each other"""
    against: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """with --export: a published .tflite to time too, as FILE or NAME=FILE; may be repeated"""


@dataclass(frozen=True)
class Cell:
    """One run of the sweep.

    Attributes:
        flags: the flags of the training beside its settings.
        config: the settings.
    """

    directory: RunDirectory
    flags: list[str]
    config: Config

    @property
    def name(self) -> str:
        """Return the name of the run directory."""
        return self.directory.path.name

    @property
    def settings(self) -> Path:
        """Return the path of the file that passes the settings to the training."""
        return self.directory.path.with_suffix(".toml")

    @property
    def log(self) -> Path:
        """Return the path of the file with the output of the cell's commands."""
        return self.directory.path.with_suffix(".log")


def run(flags: SweepFlags, others: Sequence[str]) -> None:
    """Train the missing cells, write tables and plots, and print the table.

    Raises:
        UserError: a flag is wrong, and nothing was trained; or the exports cannot be timed.
        FailedCheckError: some cells failed; the others are in the table.
    """
    cells = make_cells(flags, others)
    sweep_dir = cells[0].directory.path.parent
    sweep_dir.mkdir(parents=True, exist_ok=True)
    first_seed = cells[0].config.train.seed
    failures = []
    with tqdm(cells, unit="cell", disable=None) as bar:
        for cell in bar:
            bar.set_description(cell.name)
            failure = train_cell(cell)
            if failure is None and flags.export and cell.config.train.seed == first_seed:
                failure = export_cell(cell)
            if failure is not None:
                failures.append(f"{cell.name}: {failure}")
    done = [cell.directory for cell in cells if cell.directory.is_finished]
    if done:
        summaries = {directory.model_file: directory.summary() for directory in done}
        latency = time_exports(flags, list(summaries), sweep_dir) if flags.export else None
        print(write_report(sweep_dir, summaries, latency))
    if failures:
        raise FailedCheckError(
            f"{len(failures)} of {len(cells)} cells failed ({'; '.join(failures)}); the same "
            "command trains them again"
        )


def make_cells(flags: SweepFlags, others: Sequence[str]) -> list[Cell]:
    """Return the cells, with every flag checked before anything is trained.

    Raises:
        UserError: a flag is wrong, or a cell was begun with other settings.
    """
    for word in others:
        name = word.split("=")[0]
        if name in _RESERVED:
            raise UserError(f"{name} is set by the sweep; omit it")
    encoders = split_words("--encoders", flags.encoders, list(ENCODERS))
    for published in flags.against:
        named_file("--against", published)
    lengths = split_numbers("--history-lengths", flags.history_lengths)
    seeds = split_numbers("--seeds", flags.seeds)
    given, of_runs = parse_known(SettingsFlags, others)
    parse(RunFlags, of_runs)
    for name, settings in given.model.encoder_settings.items():
        if name not in encoders:
            refuse_unused(settings, f"--encoder={name}")
    folder = flags.sweep_dir or Path("runs") / f"sweep-{Path(given.data.dataset).stem}"
    cells = []
    for encoder, length, seed in product(encoders, lengths, seeds):
        config = Config(
            replace(given.data, history_length=length),
            given.model.with_encoder(encoder),
            replace(given.train, seed=seed),
        )
        check_encoder(config.model)
        run_dir = folder / f"{encoder}-n{length}-seed{seed}"
        directory = RunDirectory(run_dir)
        start_of(config, directory)  # reports settings that do not fit --from-run
        different = differences(directory.config(), config) if directory.is_begun else []
        if different:
            raise UserError(
                f"{run_dir} is a run with other settings ({'; '.join(different)}); give its flags "
                "to continue, or another --sweep-dir"
            )
        cells.append(Cell(directory, of_runs, config))
    return cells


def train_cell(cell: Cell) -> str | None:
    """Train or resume a cell in a subprocess, and return its error, if any.

    A subprocess returns its memory to the system, and a crash does not end the sweep.
    """
    if cell.directory.is_finished:
        return None
    save_config(cell.config, cell.settings)
    place = f"--run-dir={cell.directory.path}"
    return _run_cli(cell.log, "train", f"--config={cell.settings}", *cell.flags, place, "--resume")


def export_cell(cell: Cell) -> str | None:
    """Convert a finished cell unless that is done, and return the error, if any."""
    model = cell.directory.model_file
    if model.exists() and model.stat().st_mtime >= cell.directory.ended:
        return None
    return _run_cli(cell.log, "export", f"--run-dir={cell.directory.path}")


def time_exports(flags: SweepFlags, models: Sequence[Path], sweep_dir: Path) -> Path | None:
    """Time the existing models and the published ones in turn, and return the file of figures.

    Raises:
        UserError: the models cannot be timed.
    """
    existing = [str(model) for model in models if model.exists()]
    if not existing:
        return None
    place = sweep_dir / "latency.json"
    against = [f"--against={published}" for published in flags.against]
    log = sweep_dir / "latency.log"
    failure = _run_cli(log, "benchmark", *existing, *against, f"--json={place}")
    if failure:
        raise UserError(f"the exports cannot be timed: {failure}")
    return place


def _run_cli(log: Path, name: str, *arguments: str) -> str | None:
    """Run a command with its output in a log, and return the last line if it fails."""
    command = [sys.executable, "-m", "jaxrec", name, *arguments]
    with log.open("a") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode == 0:
        return None
    last = (log.read_text().strip().splitlines() or ["it printed nothing"])[-1]
    return f"{last.removeprefix('error: ')} (full output in {log})"


main = command(
    run,
    remedy="free disk space or change permissions, or give another --sweep-dir",
    interrupted="the same command continues",
)
