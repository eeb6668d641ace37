"""Defaults that depend on the log: dropout, windows, learning rate, negatives, optimizer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import prepare
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.sources.load import load_interactions
from jaxrec.data.sources.synthetic import SyntheticConfig
from jaxrec.data.windowing import WindowShape
from jaxrec.models.encoders.transformer import TransformerConfig
from jaxrec.models.model_config import ModelConfig
from jaxrec.training.defaults import (
    CANDIDATES_RANKED,
    MIN_VALIDATION_USERS,
    PAIRS_RANKED,
    describe_defaults,
    describe_test_cost,
    dropout_rate,
    effective_items,
    max_epochs,
    negative_count,
    peak_learning_rate,
    sampler_name,
    updates_rows,
    validation_user_count,
    window_shape,
)
from jaxrec.training.fit import init_model, load_dataset


def test_dropout_is_higher_with_few_targets_per_item():
    """Check the threshold of 30 targets per item."""
    assert dropout_rate(Config(), items=2, targets=60) == 0.2
    assert dropout_rate(Config(), items=2, targets=59) == 0.4
    given = Config(model=ModelConfig(dropout=0.1))
    assert dropout_rate(given, items=2, targets=59) == 0.1


def test_dropout_is_higher_in_wide_models():
    wide = Config(model=ModelConfig(hidden_units=192))
    assert dropout_rate(wide, items=2, targets=60) == pytest.approx(0.3)
    assert dropout_rate(wide, items=2, targets=59) == pytest.approx(0.5)


def test_a_training_of_few_epochs_has_no_dropout():
    short = Config(train=TrainConfig(epochs=5))
    assert dropout_rate(short, items=2, targets=59) == 0.0
    given = replace(short, model=ModelConfig(dropout=0.1))
    assert dropout_rate(given, items=2, targets=59) == 0.1


@pytest.mark.parametrize(
    ("history_length", "given", "targets", "shape"),
    [
        (10, {}, 1_000_000, (20, 9, 64, 8)),
        (10, {}, 200_000, (20, 9, 24, 8)),
        (10, {}, 1_000, (20, 9, 16, 8)),
        (32, {}, 1_000_000, (32, 31, 40, 8)),
        (200, {}, 1_000_000, (50, 49, 32, 8)),
        (200, {"window_length": 100}, 1_000_000, (100, 49, 16, 8)),
        (10, {"window_length": 5}, 1_000_000, (5, 9, 256, 8)),
        (10, {"window_length": 5, "window_overlap": 0, "batch_size": 3}, 1_000, (5, 0, 3, 3)),
    ],
)
def test_window_shape_follows_the_flags_or_the_history_length(
    history_length, given, targets, shape
):
    data = DataConfig(history_length=history_length)
    assert window_shape(data, TrainConfig(**given), targets) == shape


def test_the_learning_rate_grows_with_the_square_root_of_the_targets_in_a_step():
    assert peak_learning_rate(Config(), WindowShape(50, 49, 8, 8)) == pytest.approx(0.003)
    assert peak_learning_rate(Config(), WindowShape(20, 9, 80, 8)) == pytest.approx(0.006)
    given = Config(train=TrainConfig(learning_rate=0.1))
    assert peak_learning_rate(given, WindowShape(50, 49, 8, 8)) == 0.1


def test_a_run_that_starts_from_another_has_fewer_epochs():
    def warm(**given) -> TrainConfig:
        return TrainConfig(from_run="runs/monday", **given)

    assert max_epochs(TrainConfig()) == 30
    assert [max_epochs(warm(epochs=epochs)) for epochs in (30, 15, 3, 1)] == [10, 5, 1, 1]


def test_the_learning_rate_of_stacked_attention_is_limited():
    config, shape = Config(model=ModelConfig("transformer")), WindowShape(25, 9, 64, 8)
    assert peak_learning_rate(config, WindowShape(25, 9, 4, 4)) == pytest.approx(0.0015)
    assert peak_learning_rate(config, shape) == 0.003
    one = replace(config.model, transformer=TransformerConfig(blocks=1))
    assert peak_learning_rate(replace(config, model=one), shape) == pytest.approx(0.006)
    given = replace(config, train=TrainConfig(learning_rate=0.1))
    assert peak_learning_rate(given, shape) == 0.1


@pytest.mark.parametrize(
    ("given", "catalogue_size", "count"),
    [
        ({}, 5000, None),
        ({}, 5001, 512),
        ({"negatives": 64}, 20, 64),
        ({"loss": "sampled-softmax"}, 20, 512),
        ({"loss": "full-softmax"}, 100_000, None),
    ],
)
def test_small_catalogues_use_full_softmax(given, catalogue_size, count):
    assert negative_count(TrainConfig(**given), catalogue_size) == count


def test_batch_negatives_are_the_default_for_skewed_popularity():
    even, uneven = np.array([0, *[3] * 40]), np.array([0, 400, *[1] * 39])
    assert effective_items(even) == pytest.approx(40)
    assert effective_items(np.array([0, 2, 2, 0])) == pytest.approx(2)
    assert sampler_name(TrainConfig(), even) == "uniform"
    assert sampler_name(TrainConfig(), uneven) == "batch"
    assert sampler_name(TrainConfig(sampler="uniform"), uneven) == "uniform"


@pytest.mark.parametrize(
    ("table_optimizer", "items", "expected"),
    [
        ("auto", 50_000, False),
        ("auto", 50_001, True),
        ("adamw", 50_001, False),
        ("rowwise-adagrad", 20, True),
    ],
)
def test_large_tables_use_rowwise_updates(table_optimizer, items, expected):
    assert updates_rows(TrainConfig(table_optimizer=table_optimizer), items) is expected


def test_the_description_lists_only_chosen_defaults():
    data = DataConfig(synthetic=SyntheticConfig(users=50, items=40))
    dataset = prepare(load_interactions(data, seed=0), data, seed=0)
    targets = int(dataset.split.is_training_target.sum())
    per_item = targets / dataset.vocabulary.size
    assert describe_defaults(Config(data), dataset) == (
        f"dropout 0.4 ({per_item:.0f} targets per item), full softmax (40 items), "
        f"320 targets per step (of {targets:,}), learning rate 0.0027"
    )
    assert init_model(dataset, Config(data)).dropout_rate == 0.4
    given = TrainConfig(
        negatives=7, batch_size=16, learning_rate=0.1, table_optimizer="rowwise-adagrad"
    )
    assert not describe_defaults(Config(data, ModelConfig(dropout=0.1), given), dataset)
    short = describe_defaults(Config(data, train=TrainConfig(epochs=2)), dataset)
    assert short.startswith("dropout 0 (2 epochs), full softmax")


def test_a_validation_costs_at_most_an_epoch():
    """A validation target is compared with a million items, one of training with 512."""
    log = {"items": 1_000_000, "users": 200_000, "validation_targets": 200_000}
    count = validation_user_count(TrainConfig(), targets=5_600_000, **log)
    assert count == CANDIDATES_RANKED * 5_600_000 * 512 // 1_000_000 == 5_734
    more = validation_user_count(TrainConfig(negatives=2048), targets=5_600_000, **log)
    assert more == pytest.approx(4 * count, abs=4)
    full = validation_user_count(TrainConfig(loss="full-softmax"), targets=5_600_000, **log)
    assert full == 200_000


def test_a_validation_has_enough_users_for_early_stopping():
    log = {"items": 1_000_000, "targets": 10_000}
    assert (
        validation_user_count(TrainConfig(), users=20_000, validation_targets=20_000, **log)
        == MIN_VALIDATION_USERS
    )
    assert validation_user_count(TrainConfig(), users=900, validation_targets=900, **log) == 900


def test_users_with_several_validation_targets_cost_as_much_as_several_users():
    log = {"items": 1_000_000, "targets": 50_000_000, "users": 100_000}
    single = validation_user_count(TrainConfig(), validation_targets=100_000, **log)
    double = validation_user_count(TrainConfig(), validation_targets=200_000, **log)
    assert single == 51_200 and double == 25_600


@pytest.mark.parametrize(
    ("items", "users", "interactions"),
    [(3_416, 6_040, 999_611), (12_101, 22_363, 198_502), (20_720, 138_493, 19_984_024)],
)
def test_all_users_of_the_published_logs_are_validated(items, users, interactions):
    """MovieLens 1M, Amazon Beauty and MovieLens 20M, with two held-out items a user."""
    found = validation_user_count(
        TrainConfig(),
        items=items,
        targets=interactions - 2 * users,
        users=users,
        validation_targets=users,
    )
    assert found == users


@pytest.fixture(scope="module")
def wide_log(tmp_path_factory) -> Path:
    """Write the log of 25,000 users with three of 75,000 items each, and return its path."""
    log = pl.DataFrame(
        {
            "user": np.repeat(np.arange(25_000), 3),
            "item": np.arange(75_000),
            "timestamp": np.tile([1, 2, 3], 25_000),
        }
    )
    path = tmp_path_factory.mktemp("wide") / "log.parquet"
    log.write_parquet(path)
    return path


def wide_config(path: Path, **given) -> Config:
    filters = FilterConfig(min_item_interactions=1)
    return Config(DataConfig(dataset=str(path), filters=filters, **given))


def test_users_are_drawn_where_all_would_cost_more_than_an_epoch(wide_log, capsys):
    config = wide_config(wide_log)
    dataset, again = load_dataset(config), load_dataset(config)
    assert dataset.validation_users == PAIRS_RANKED // 75_000 == 13_333
    np.testing.assert_array_equal(dataset.split.validation, again.split.validation)
    assert len(dataset.split.test) == 25_000
    printed = capsys.readouterr().out
    assert "validation on 13,333 of 25,000 users (all would cost more than an epoch)" in printed
    assert "  note: ranking 25,000 test targets among 75,000 items may take longer than" in printed
    other = load_dataset(replace(config, train=TrainConfig(seed=1)))
    assert other.split.validation.tolist() != dataset.split.validation.tolist()


@pytest.mark.parametrize(("requested", "drawn"), [(100, 100), (25_000, 25_000), (10**9, 25_000)])
def test_a_requested_number_of_validation_users_is_kept(wide_log, requested, drawn):
    config = wide_config(wide_log, validation_users=requested)
    dataset = load_dataset(config)
    assert dataset.validation_users == drawn
    assert dataset.split.drawn_from == (25_000 if drawn < 25_000 else None)
    assert "validation on" not in describe_defaults(config, dataset)


@pytest.mark.parametrize(
    ("epochs", "test_users", "is_noted"), [(1, None, True), (2000, None, False), (1, 30_000, False)]
)
def test_a_test_that_costs_more_than_the_training_is_noted(wide_log, epochs, test_users, is_noted):
    config = wide_config(wide_log, test_users=test_users)
    config = replace(config, train=TrainConfig(epochs=epochs))
    assert (describe_test_cost(config, load_dataset(config)) is not None) == is_noted
