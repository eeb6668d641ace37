r"""Measure how many candidates can be ranked in the time in which training reads one.

    python experiments/studies/catalogue_sizes/validation_cost.py
    python experiments/studies/catalogue_sizes/validation_cost.py --items=12000 --encoders=bow

A step of training compares a target with its negatives or, in a small catalogue, with every item; a
ranking compares it with every item. The cost of both is taken as proportional to the number of
candidates. The script measures each on logs of `catalogue_sizes.py`, with all other settings at
their defaults, and prints the ratio, which is `CANDIDATES_RANKED` of `jaxrec.training.defaults`.
Training and ranking are timed in turn, so that a slowdown of the machine affects both.
"""

import statistics
import sys
from dataclasses import dataclass

from experiments.studies.catalogue_sizes.catalogue_sizes import generate_log
from jaxrec.cli.command_line import command, split_numbers, split_words
from jaxrec.config.experiment import Config
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.interactions import FilterConfig, Interactions
from jaxrec.data.sources.item_table import empty_item_table
from jaxrec.models.encoders import ENCODERS
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.text_table import format_table
from jaxrec.training.compilation_cache import enable_compilation_cache
from jaxrec.training.defaults import negative_count
from jaxrec.training.throughput import TimedTraining
from jaxrec.training.windows import training_batches


@dataclass(frozen=True)
class CostFlags:
    """Logs and models to measure."""

    items: str = "3000,12000,100000,1000000"
    """numbers of items, separated by commas"""
    encoders: str = "bow,rnn"
    """encoders, separated by commas"""
    users: int = 20_000
    """users of each log, with 60 activities each"""
    ranked: int = 1_000
    """users that are ranked in one measurement"""
    repeats: int = 5
    """measurements of each model, of which the medians are printed"""


def run(flags: CostFlags) -> None:
    """Measure every model on every log, and print a table.

    Raises:
        UserError: a flag is wrong.
    """
    encoders = split_words("--encoders", flags.encoders, list(ENCODERS))
    data = DataConfig(filters=FilterConfig(min_item_interactions=1), validation_users=flags.ranked)
    cells = [["items", "encoder", "candidates", "µs a target", "ms a ranking", "ratio"]]
    for items in split_numbers("--items", flags.items):
        log = generate_log(items, flags.users)
        interactions = Interactions(log, empty_item_table(log["item"].unique()))
        dataset = prepare(interactions, data, seed=0)
        for encoder in encoders:
            cells.append(
                measure(Config(data, ModelConfig(encoder=encoder)), dataset, flags.repeats)
            )
    print(format_table(cells))


def measure(config: Config, dataset: Dataset, repeats: int) -> list[str]:
    """Time the training and the ranking of a model in turn, and return a row of the table."""
    training = TimedTraining(config, dataset, training_batches(dataset, config.data, config.train))
    training.validation_seconds(dataset, config.data)  # compile
    trained, ranked = [], []
    for _ in range(repeats):
        trained.append(1 / training.speed().targets)
        ranked.append(training.validation_seconds(dataset, config.data))
    items, targets = dataset.vocabulary.size, len(dataset.split.validation)
    candidates = negative_count(config.train, items) or items
    step, ranking = statistics.median(trained), statistics.median(ranked) / targets
    return [
        f"{items:,}",
        config.model.encoder,
        f"{candidates:,}",
        f"{step * 1e6:.1f}",
        f"{ranking * 1e3:.3f}",
        f"{(step / candidates) / (ranking / items):.1f}",
    ]


main = command(
    run,
    remedy="change the permissions of the compilation cache",
    interrupted="nothing was written",
    before=enable_compilation_cache,
)

if __name__ == "__main__":
    sys.exit(main())
