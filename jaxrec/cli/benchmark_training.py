"""Measure the cost of a run on this machine: preparing the data, training and ranking.

    jaxrec benchmark-training --dataset=ml-1m --data-dir=FOLDER_WITH_ml-1m

Prints one table. Times are medians of repeats in turn, so that a slowdown of the machine affects
all rows; still, compare ratios within a table, not figures of two tables. The table has the speed
of each training, and its matrix products per second as a share of the machine's peak, which is that
of one large product.
"""

import platform
import statistics
import time
from dataclasses import dataclass, field

import jax

from jaxrec.cli.command_line import command
from jaxrec.cli.settings import SettingsFlags
from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.config.fields import Flat
from jaxrec.data.dataset import make_dataset
from jaxrec.data.sources.load import load_ordered
from jaxrec.models.encoders import ENCODERS
from jaxrec.models.model_config import ModelConfig
from jaxrec.training.compilation_cache import enable_compilation_cache
from jaxrec.training.defaults import negative_count
from jaxrec.training.throughput import TimedTraining, peak_flops
from jaxrec.training.windows import training_batches


@dataclass(frozen=True)
class BenchmarkFlags(SettingsFlags):
    """Measurement; widths and windows are those of earlier figures, not the defaults."""

    model: Flat[ModelConfig] = field(
        default_factory=lambda: ModelConfig(embedding_dim=32, hidden_units=64)
    )
    train: Flat[TrainConfig] = field(
        default_factory=lambda: TrainConfig(
            negatives=512, batch_size=512, window_length=10, window_overlap=0
        )
    )
    repeats: int = 9
    """measurements of each encoder"""


def measure(flags: BenchmarkFlags) -> None:
    """Measure and print.

    Raises:
        UserError: the log is missing or unreadable.
    """
    started = time.perf_counter()
    dataset = make_dataset(load_ordered(flags.data, seed=0), flags.data, seed=0)
    prepared = time.perf_counter() - started

    batches = training_batches(dataset, flags.data, flags.train)
    models = {name: flags.model.with_encoder(name) for name in ENCODERS}
    trainings = {
        name: TimedTraining(Config(flags.data, model, flags.train), dataset, batches)
        for name, model in models.items()
    }
    peaks, rounds = [], []
    for _ in range(flags.repeats):
        peaks.append(peak_flops())
        rounds.append({name: training.speed() for name, training in trainings.items()})
    peak = max(peaks)

    negatives = negative_count(flags.train, dataset.vocabulary.size)
    print(
        f"{flags.data.dataset}, N = {flags.data.history_length}, d = {flags.model.embedding_dim}, "
        f"{flags.model.hidden_units} units, {negatives or 'all'} negatives, batches of "
        f"{batches.shape.batch_size}; "
        f"{jax.device_count()} {jax.devices()[0].platform} device(s), "
        f"{platform.processor() or platform.machine()}\n"
    )
    print(f"{'reading and preparing':<28}{prepared:>12.2f} s")
    print(f"{'peak (large matrix product)':<28}{peak / 1e9:>12,.0f} GFLOP/s")
    for name in trainings:
        targets, flops = zip(*(each[name] for each in rounds), strict=True)
        spread = f"{min(targets):,.0f} to {max(targets):,.0f}"
        share = f"{statistics.median(flops) / peak:.0%} of peak"
        speed = f"{statistics.median(targets):>12,.0f} targets/s  ({spread}; {share})"
        print(f"{'training, ' + name:<28}{speed}")
    for name, training in trainings.items():
        seconds = min(training.ranking_seconds(dataset, flags.data) for _ in range(3))
        print(f"{f'ranking {len(dataset.split.test):,} tests, {name}':<28}{seconds:>12.2f} s")


main = command(
    measure,
    remedy="change its permissions",
    interrupted="nothing was written",
    before=enable_compilation_cache,
)
