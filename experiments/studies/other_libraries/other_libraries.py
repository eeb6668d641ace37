r"""Compare the speed of training with RecBole's GRU4Rec and SASRec, and RecTools' SASRec.

    python experiments/studies/other_libraries/other_libraries.py --dataset=ml-1m \
        --python=others/bin/python

--python is the Python of an environment that has both (pip install recbole 'rectools[torch]'). All
train in turn, on the first users of one log: d = 64, 128 units for a recurrent layer, two attention
blocks with two heads, and a softmax over all items. Targets are counted once per epoch. The table
has the medians of several repeats, and the ratio of jaxrec to each library by repeat.
"""

import json
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import numpy as np
import polars as pl

from jaxrec.cli.command_line import capture, command
from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.config.fields import Flat
from jaxrec.data.data_config import DataConfig, FilterConfig
from jaxrec.data.dataset import make_dataset
from jaxrec.data.progress import show_progress
from jaxrec.data.sources.load import load_ordered
from jaxrec.errors import UserError
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.text_table import format_table
from jaxrec.training.throughput import TimedTraining
from jaxrec.training.windows import training_batches

TRAIN_EPOCH = Path(__file__).with_name("train_epoch.py")
# The model of another library, N, and the encoder of ours that it is compared with.
PAIRS = [
    ("recbole-gru4rec", 10, "rnn"),
    ("recbole-sasrec", 10, "transformer"),
    ("rectools-sasrec", 200, "transformer"),
]


@dataclass(frozen=True)
class LibrariesFlags:
    """Logs and environments to compare."""

    data: Flat[DataConfig] = field(default_factory=DataConfig)
    python: Path = Path("others/bin/python")
    """Python of an environment that has RecBole and RecTools"""
    first_users: int = 1000
    """train on the first users of the log"""
    repeats: int = 3
    """measurements of each model"""


def compare(flags: LibrariesFlags) -> None:
    """Time each in turn, and print the table.

    Raises:
        UserError: the log or the Python is missing.
        FailedCheckError: another library failed.
    """
    if not flags.python.exists():
        raise UserError(f"--python={flags.python} does not exist; --help describes its packages")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.csv"
        write_log(flags, log)
        ours = cache(partial(prepare, log))
        rounds = [
            [
                (other_speed(flags.python, name, log, length), ours(length, encoder).speed())
                for name, length, encoder in PAIRS
            ]
            for _ in show_progress(range(flags.repeats), unit="round")
        ]
    cells = [["", "N", "targets/s", "ours", "targets/s", "ratio"]]
    for (name, length, encoder), speeds in zip(PAIRS, zip(*rounds, strict=True), strict=True):
        others, own = [other for other, _ in speeds], [speed.targets for _, speed in speeds]
        ratios = [mine / other for mine, other in zip(own, others, strict=True)]
        medians = [statistics.median(values) for values in (others, own, ratios)]
        cells.append(
            [
                name,
                f"{length}",
                f"{medians[0]:,.0f}",
                encoder,
                f"{medians[1]:,.0f}",
                f"{medians[2]:.1f} ({min(ratios):.1f} to {max(ratios):.1f})",
            ]
        )
    print(format_table(cells))


def write_log(flags: LibrariesFlags, path: Path) -> None:
    """Write the first users of the log, in the order of time, as all libraries read it."""
    dataset = make_dataset(load_ordered(flags.data, seed=0), flags.data, seed=0)
    timelines = dataset.timelines
    lengths = timelines.lengths[: flags.first_users]
    users = np.repeat(np.arange(len(lengths)), lengths)
    order = np.arange(len(users))
    items = timelines.items[: len(users)]
    pl.DataFrame({"user": users, "item": items, "timestamp": order}).write_csv(path)


def prepare(log: Path, history_length: int, encoder: str) -> TimedTraining:
    """Prepare the training of one of our encoders at the same widths."""
    filters = FilterConfig(min_item_interactions=1)
    data = DataConfig(dataset=str(log), history_length=history_length, filters=filters)
    model = ModelConfig(encoder=encoder, embedding_dim=64, hidden_units=128)
    config = Config(data, model, TrainConfig())
    dataset = make_dataset(load_ordered(data, seed=0), data, seed=0)
    return TimedTraining(config, dataset, training_batches(dataset, data, config.train))


def other_speed(python: Path, name: str, log: Path, history_length: int) -> float:
    """Return the targets a second of a model of another library.

    Raises:
        FailedCheckError: it failed.
    """
    words = [str(python.absolute()), str(TRAIN_EPOCH), name, str(log), str(history_length)]
    with tempfile.TemporaryDirectory() as folder:
        output = capture(words, f"{name} failed", cwd=folder)
    measured = json.loads(output.strip().splitlines()[-1])
    return measured["targets"] / measured["seconds"]


main = command(compare, remedy="change its permissions", interrupted="nothing was written")

if __name__ == "__main__":
    sys.exit(main())
