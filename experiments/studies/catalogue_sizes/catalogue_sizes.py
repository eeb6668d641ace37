r"""Measure the cost of a larger catalogue on a device: size, latency, memory and recall.

    python experiments/studies/catalogue_sizes/catalogue_sizes.py
    python experiments/studies/catalogue_sizes/catalogue_sizes.py --items=10000 --encoders=bow \
        --widths=16 --users=2000

A log is generated for each number of items: users move among series of 20 items, four times in five
to another item of the same series, otherwise to any item. All logs have the same number of
activities, so more items have fewer activities each. A model is trained on each log and stored as
int8; a separate process loads the file, recommends, and reports time and memory.

All files are in one folder, and the same command continues an interrupted study. Writes table.md
and catalogue_sizes.png there. Needs the extra `convert`.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from jaxrec.cli.command_line import capture, command, split_numbers, split_words
from jaxrec.data.progress import show_progress
from jaxrec.files import read_json, replacing
from jaxrec.models.encoders import ENCODERS
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.plots import save_plot

SERIES, STAY = 20, 0.8  # items of a series, probability that a user stays in it
LENGTH = 60  # activities of each user's timeline


@dataclass(frozen=True)
class SizesFlags:
    """Models and logs to compare."""

    items: str = "10000,100000,1000000"
    """numbers of items, separated by commas"""
    encoders: str = "bow,rnn"
    """encoders, separated by commas"""
    widths: str = "16,32"
    """widths of the item embeddings, d, separated by commas"""
    users: int = 100_000
    """users of each log, with 60 activities each"""
    epochs: int = 3
    """passes over the training targets"""
    folder: Path = Path("runs/catalogue-sizes")
    """folder of all files"""


@dataclass(frozen=True)
class Cost:
    """The cost of one model on a device.

    Attributes:
        items: the number of items in its catalogue, V: those that occur in its log.
        recall: recall@10 of the model on the test users, ranked among all items.
        overlap: mean share of the model's top 10 that is in the file's top 10.
        file: the size of the file, bytes.
        ready: the time to load a `Recommender`, s.
        call: the median time of `recommend`, s.
        peak: the peak memory of a process that loads the file and recommends, bytes.
    """

    encoder: str
    width: int
    items: int
    recall: float
    overlap: float
    file: int
    ready: float
    call: float
    peak: int


def run(flags: SizesFlags) -> None:
    """Train and convert the missing models, measure all, and write table and plot.

    Raises:
        UserError: a flag is wrong.
        FailedCheckError: a command failed; finished files are kept.
    """
    encoders = split_words("--encoders", flags.encoders, list(ENCODERS))
    widths = split_numbers("--widths", flags.widths)
    models = list(product(split_numbers("--items", flags.items), encoders, widths))
    flags.folder.mkdir(parents=True, exist_ok=True)
    made = []
    with show_progress(total=len(models), unit="model") as progress:
        for items, encoder, width in models:
            progress.set_description(f"{encoder}, d = {width}, {items:,} items")
            made.append(make(flags, items, encoder, width))
            progress.update()
    # Measured after all trainings: beside a training, times would be wrong.
    costs = [measure(directory) for directory in show_progress(made, unit="file")]
    table = render(costs)
    with replacing(flags.folder / "table.md") as file:
        file.write(table.encode())
    save_plot(draw(costs), flags.folder / "catalogue_sizes.png")
    print(table)


def make(flags: SizesFlags, items: int, encoder: str, width: int) -> RunDirectory:
    """Generate a log, train on it and convert the run, and skip the steps that are done."""
    log = flags.folder / f"{flags.users}-users-{items}-items.parquet"
    if not log.exists():
        with replacing(log) as file:
            generate_log(items, flags.users).write_parquet(file)
    directory = RunDirectory(flags.folder / f"{encoder}-d{width}-{items}")
    if not directory.is_finished:
        _call(
            "jaxrec",
            "train",
            f"--dataset={log}",
            "--min-item-interactions=1",
            f"--encoder={encoder}",
            f"--embedding-dim={width}",
            f"--epochs={flags.epochs}",
            "--validation-users=2000",
            "--test-users=10000",
            f"--run-dir={directory.path}",
            "--resume",
        )
    if not directory.model_file.exists():
        _call("jaxrec", "export", "--recipe=int8", f"--run-dir={directory.path}")
    return directory


def generate_log(items: int, users: int, *, seed: int = 0) -> pl.DataFrame:
    """Generate a log of users who move among series: `user`, `item`, `timestamp`, by time."""
    rng = np.random.default_rng(seed)
    at = rng.integers(0, items, users)
    steps = [at]
    for _ in range(LENGTH - 1):
        place = at % SERIES
        other = at - place + (place + rng.integers(1, SERIES, users)) % SERIES
        at = np.where(rng.random(users) < STAY, other % items, rng.integers(0, items, users))
        steps.append(at)
    return pl.DataFrame(
        {
            "user": np.tile(np.arange(users, dtype=np.int64), LENGTH),
            "item": np.concatenate(steps),
            "timestamp": np.repeat(np.arange(LENGTH, dtype=np.int64), users),
        }
    )


def measure(directory: RunDirectory) -> Cost:
    """Measure the cost of a converted run on a device, in a process of its own."""
    model = read_json(directory.model_file.with_name("model.json"))
    return Cost(
        model["encoder"],
        model["embedding_dim"],
        model["vocabulary"]["size"],
        model["evaluation"]["test"]["recall@10"],
        model["parity"]["overlap"],
        directory.model_file.stat().st_size,
        **json.loads(_call("jaxrec.conversion.measure.resource_usage", str(directory.model_file))),
    )


def _call(module: str, *arguments: str) -> str:
    """Run a module in a subprocess, and return its standard output.

    Raises:
        FailedCheckError: the subprocess failed.
    """
    return capture([sys.executable, "-m", module, *arguments], f"{module} {arguments[-1]}")


def render(costs: Sequence[Cost]) -> str:
    """Format the costs as a Markdown table."""
    lines = [
        "| items | encoder | d | file | load | latency | memory | recall@10 | overlap of int8 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.items:,} | {each.encoder} | {each.width} | {each.file / 1e6:.2f} MB "
        f"| {each.ready:.2f} s | {each.call * 1e3:.2f} ms | {each.peak / 1e6:,.0f} MB "
        f"| {each.recall:.4f} | {each.overlap:.4f} |"
        for each in costs
    ]
    return "\n".join(lines) + "\n"


# Panels over the number of items: label, value, and whether the y axis is logarithmic.
_PANELS: list[tuple[str, Callable[[Cost], float], bool]] = [
    ("file size, MB", lambda one: one.file / 1e6, True),
    ("median latency, ms", lambda one: one.call * 1e3, True),
    ("memory of the process, MB", lambda one: one.peak / 1e6, False),
    ("recall@10 of the model", lambda one: one.recall, False),
]


def draw(costs: Sequence[Cost]) -> Figure:
    """Plot each cost over the number of items, with a line for each encoder and width."""
    figure = Figure(figsize=(10, 7), dpi=120, layout="constrained")
    figure.suptitle("int8 files over the number of items, one thread of this machine", fontsize=10)
    kinds = list(dict.fromkeys((each.encoder, each.width) for each in costs))
    for axes, (name, value, is_log) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        for encoder, width in kinds:
            own = [each for each in costs if (each.encoder, each.width) == (encoder, width)]
            axes.plot(
                [each.items for each in own],
                [value(each) for each in own],
                marker="o",
                label=f"{encoder}, d = {width}",
            )
        axes.set(xscale="log", xlabel="items", ylabel=name)
        if is_log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False)
    return figure


main = command(
    run,
    remedy="free disk space or change permissions, or give another --folder",
    interrupted="the same command continues",
)

if __name__ == "__main__":
    sys.exit(main())
