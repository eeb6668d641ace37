"""Train every encoder at every history length: one table, and the plots that go with it.

    jaxrec sweep --dataset=ml-1m
    jaxrec sweep --encoders=bow,rnn --history-lengths=10,50 --seeds=0,1,2 --epochs=10

Every flag that is not listed below is one of `jaxrec train`'s and goes to all cells (`--dataset`,
`--config=FILE`, ...); what one encoder alone reads (`--transformer.blocks`) goes to its own. A cell
is a run like any other, in <sweep>/<encoder>-n<N>-seed<seed>. Stop the sweep at any moment: the
same command keeps the finished cells and goes on with the others. A cell that fails is named at the
end and stops none of the rest; its output lies beside it in a .log.

Writes table.md, table.csv and quality.png into the sweep's folder; with --export (which needs the
extra `convert`) every cell is converted too, all files are timed in turn in one process, and
frontier.png shows recall@10 against latency and size.
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

# Given by the sweep to each cell.
_OWN = ("--encoder", "--history-length", "--seed", "--run-dir", "--resume", "--overwrite")


@dataclass(frozen=True)
class SweepFlags:
    """The cells, and where they are kept."""

    encoders: str = ",".join(ENCODERS)
    """encoders, separated by commas"""
    history_lengths: str = "10,50,100,200"
    """history lengths N, separated by commas"""
    seeds: str = "0"
    """seeds, separated by commas: each cell is trained once for each"""
    sweep_dir: Path | None = None
    """where everything is kept; default: runs/sweep-<dataset>"""
    export: bool = False
    """convert the first seed of every cell, and time the files against each other"""
    against: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """with --export: a published .tflite to time too, FILE or NAME=FILE; give the flag again for
    another"""


@dataclass(frozen=True)
class Cell:
    """One run of the sweep.

    Attributes:
        flags: what the training is given beside its settings ...
        config: ... and these.
    """

    directory: RunDirectory
    flags: list[str]
    config: Config

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.directory.path.name

    @property
    def settings(self) -> Path:
        """Where its settings are handed over."""
        return self.directory.path.with_suffix(".toml")

    @property
    def log(self) -> Path:
        """Where its commands say what they do."""
        return self.directory.path.with_suffix(".log")


def run(flags: SweepFlags, others: Sequence[str]) -> None:
    """Train what is missing, write table and plots, print the table.

    Raises:
        UserError: a flag is wrong; nothing was trained.
        FailedCheckError: some cells failed; the others stand in the table.
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
            "command tries again"
        )


def make_cells(flags: SweepFlags, others: Sequence[str]) -> list[Cell]:
    """List the cells, and check every flag before anything is trained.

    Raises:
        UserError: one is wrong, or a cell had begun with other settings.
    """
    for word in others:
        name = word.split("=")[0]
        if name in _OWN:
            raise UserError(f"{name} is given by the sweep itself; leave it out")
    encoders = split_words("--encoders", flags.encoders, list(ENCODERS))
    for published in flags.against:
        named_file("--against", published)
    lengths = split_numbers("--history-lengths", flags.history_lengths)
    seeds = split_numbers("--seeds", flags.seeds)
    given, of_runs = parse_known(SettingsFlags, others)
    parse(RunFlags, of_runs)
    for name, settings in given.model.of_encoders.items():
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
        different = differences(directory.config(), config) if directory.is_begun else []
        if different:
            raise UserError(
                f"{run_dir} is a run with other settings ({'; '.join(different)}); give its flags "
                "to go on, or another --sweep-dir"
            )
        cells.append(Cell(directory, of_runs, config))
    return cells


def train_cell(cell: Cell) -> str | None:
    """Train a cell, from where it was, in a process of its own; give what went wrong, if anything.

    A process of its own gives its memory back, and takes nothing down if it dies.
    """
    if cell.directory.is_finished:
        return None
    save_config(cell.config, cell.settings)
    place = f"--run-dir={cell.directory.path}"
    return _call(cell.log, "train", f"--config={cell.settings}", *cell.flags, place, "--resume")


def export_cell(cell: Cell) -> str | None:
    """Convert a finished cell, unless it is converted; give what went wrong, if anything."""
    model = cell.directory.model_file
    if model.exists() and model.stat().st_mtime >= cell.directory.ended:
        return None
    return _call(cell.log, "export", f"--run-dir={cell.directory.path}")


def time_exports(flags: SweepFlags, models: Sequence[Path], sweep_dir: Path) -> Path | None:
    """Time the models that there are against each other and the published; give their figures.

    Raises:
        UserError: they cannot be timed.
    """
    there = [str(model) for model in models if model.exists()]
    if not there:
        return None
    place = sweep_dir / "latency.json"
    against = [f"--against={published}" for published in flags.against]
    log = sweep_dir / "latency.log"
    failure = _call(log, "benchmark", *there, *against, f"--json={place}")
    if failure:
        raise UserError(f"the exports cannot be timed: {failure}")
    return place


def _call(log: Path, name: str, *arguments: str) -> str | None:
    """Run a command with its output in a log; give the last line of a failure."""
    command = [sys.executable, "-m", "jaxrec", name, *arguments]
    with log.open("a") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode == 0:
        return None
    last = (log.read_text().strip().splitlines() or ["it said nothing"])[-1]
    return f"{last.removeprefix('error: ')} (all of it in {log})"


main = command(
    run,
    remedy="free or open the place, or give another --sweep-dir",
    interrupted="the same command goes on",
)
