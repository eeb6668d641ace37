r"""Measure `jaxrec recommend` on large logs: lists per second, memory, and the shares of its work.

    python experiments/studies/user_lists/user_lists.py
    taskset -c 0 python experiments/studies/user_lists/user_lists.py  # on one core

Logs are generated, whose items have a long tail. A model of the same items is trained for one epoch
on a small log, and stored as int8: the times depend on its sizes alone. The command runs in a
process of its own.

All files are in one folder, and the same command keeps the logs and the model of an earlier one.
Needs the extra `convert`.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from jaxrec.cli.command_line import capture, command, split_numbers
from jaxrec.data.progress import show_progress
from jaxrec.files import replacing
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.text_table import format_table

_RANK_SHIFT = 10  # popularity of rank r, from 0: 1 / (r + shift)


@dataclass(frozen=True)
class UserListsFlags:
    """Logs and model to measure."""

    users: str = "100000,1000000"
    """numbers of users, separated by commas"""
    items: int = 50_000
    """number of items"""
    activities: int = 10
    """mean number of activities of a user"""
    k: int = 10
    """length of each list"""
    batch_size: int = 1
    """histories per call of the file"""
    train_users: int = 20_000
    """users of the log that the model is trained on"""
    folder: Path = Path("runs/user-lists")
    """folder of all files"""


def run(flags: UserListsFlags) -> None:
    """Generate the missing logs and the model, measure the command on each log, print a table.

    Raises:
        UserError: a flag is wrong.
        FailedCheckError: a command failed; finished files are kept.
    """
    counts = split_numbers("--users", flags.users)
    flags.folder.mkdir(parents=True, exist_ok=True)
    model = make_model(flags)
    logs = [make_log(flags, users) for users in show_progress(counts, unit="log")]
    measured = [
        json.loads(_call(_MEASURE, str(model), str(log), str(flags.k)).splitlines()[-1])
        for log in show_progress(logs, unit="measurement")
    ]
    print(f"{flags.items:,} items, lists of {flags.k}\n")
    print(render(measured))


def make_log(flags: UserListsFlags, users: int) -> Path:
    """Generate the log of a number of users, unless it is there."""
    log = flags.folder / f"{users}-users-{flags.items}-items-{flags.activities}.parquet"
    if not log.exists():
        with replacing(log) as file:
            generate_log(users, flags.items, flags.activities).write_parquet(file)
    return log


def generate_log(users: int, items: int, activities: int, *, seed: int = 0) -> pl.DataFrame:
    """Generate a shuffled log, in which each user and each item occurs: user, item, timestamp.

    Args:
        activities: mean number of rows of a user.
    """
    rng = np.random.default_rng(seed)
    rows = max(users * activities, users, items)
    cumulative = np.cumsum(1 / (np.arange(items) + _RANK_SHIFT))
    drawn = np.searchsorted(cumulative, rng.random(rows - items) * cumulative[-1])
    more_users = rng.integers(users, size=rows - users)
    return pl.DataFrame(
        {
            "user": rng.permutation(np.append(np.arange(users), more_users)),
            "item": rng.permutation(np.append(np.arange(items), drawn)),
            "timestamp": rng.integers(1_600_000_000, 1_700_000_000, rows),
        }
    )


def make_model(flags: UserListsFlags) -> Path:
    """Train a model of all items for one epoch and store it as int8, and skip finished steps."""
    name = f"{flags.items}-items-{flags.train_users}-{flags.activities}-batch{flags.batch_size}"
    directory = RunDirectory(flags.folder / name)
    if not directory.is_finished:
        _call(
            *("-m", "jaxrec", "train", f"--dataset={make_log(flags, flags.train_users)}"),
            *("--min-item-interactions=1", "--epochs=1", "--validation-users=200"),
            *("--test-users=200", f"--run-dir={directory.path}", "--resume"),
        )
    file = directory.model_file
    if flags.batch_size > 1:
        file = file.with_name(f"model-batch{flags.batch_size}.tflite")
    if not file.exists():
        export = ("--recipe=int8", f"--batch-size={flags.batch_size}")
        _call("-m", "jaxrec", "export", *export, f"--run-dir={directory.path}")
    return file


def render(measured: list[dict[str, float]]) -> str:
    """Format the measurements, with the share of each part of the work in the processor time."""
    parts = ("encode", "product", "selection", "rest")
    cells = [["users", "seconds", "lists/s", "CPU ms a list", *parts, "memory"]]
    for each in measured:
        cells.append(
            [
                f"{each['users']:,.0f}",
                f"{each['seconds']:,.1f}",
                f"{each['users'] / each['seconds']:,.0f}",
                f"{each['cpu'] / each['users'] * 1e3:.3f}",
                *(f"{each[part] / each['cpu']:.0%}" for part in parts),
                f"{each['memory'] / 1e6:,.0f} MB",
            ]
        )
    return format_table(cells)


_MEASURE = str(Path(__file__).with_name("measure.py"))


def _call(*words: str) -> str:
    """Run Python in a subprocess, and return its standard output.

    Raises:
        FailedCheckError: the subprocess failed.
    """
    return capture([sys.executable, *words], " ".join(words[:3]))


main = command(
    run,
    remedy="free disk space or change permissions, or give another --folder",
    interrupted="the same command continues",
)

if __name__ == "__main__":
    sys.exit(main())
