"""Ties: the order of activities with equal times, drawn by a seed."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.log_summary import format_summary
from jaxrec.data.sources.load import load_ordered
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.ties import break_ties, mask_ties
from jaxrec.errors import UserError
from jaxrec.evaluation.baselines import make_baselines
from jaxrec.evaluation.metrics import means, target_values
from jaxrec.evaluation.ranking import rank
from jaxrec.runs.population import population_config
from tests.exports import run_train
from tests.prepared_logs import KEEP_ALL, prepare_and_read, run_prepare, write_log
from tests.small_data import data_config, log_of

COLUMNS = ("user", "item", "timestamp", "event")


def by_user_and_time(rows: list[tuple]) -> pl.DataFrame:
    log = pl.DataFrame(rows, schema=list(COLUMNS), orient="row")
    return log.sort("user", "timestamp", maintain_order=True)


rows_of_logs = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from("abcde"), st.integers(0, 2), st.sampled_from(["buy", ""])
    ),
    min_size=1,
    max_size=30,
)


@given(rows=rows_of_logs, seed=st.integers(0, 2**31 - 1), data=st.data())
def test_the_order_depends_on_the_rows_and_not_on_their_order(rows, seed, data):
    drawn = break_ties(by_user_and_time(rows), seed)
    again = break_ties(by_user_and_time(data.draw(st.permutations(rows))), seed)
    assert drawn.equals(again)
    assert sorted(drawn.rows()) == sorted(rows)
    assert drawn.select("user", "timestamp").equals(
        by_user_and_time(rows).select("user", "timestamp")
    )


@given(rows=rows_of_logs, others=rows_of_logs)
def test_the_order_of_a_user_does_not_depend_on_other_users(rows, others):
    alone = break_ties(by_user_and_time(rows), 0)
    others = [(user + 10, *rest) for user, *rest in others]
    together = break_ties(by_user_and_time([*others, *rows]), 0)
    assert together.filter(pl.col("user") < 10).equals(alone)


def test_every_item_comes_first_equally_often():
    """Of 6,000 users with the items 1 to 3, a third begins with each; one percent is 1.6 sigma."""
    log = pl.DataFrame(
        {"user": np.repeat(np.arange(6000), 3), "item": [1, 2, 3] * 6000, "timestamp": 0}
    )
    orders = break_ties(log, 0)["item"].to_numpy().reshape(-1, 3)
    for place in range(3):
        np.testing.assert_allclose(np.bincount(orders[:, place])[1:] / 6000, 1 / 3, atol=0.025)
    other = break_ties(log, 1)["item"].to_numpy().reshape(-1, 3)
    # Two orders of three are equal in one of six cases.
    assert np.mean((orders == other).all(axis=1)) == pytest.approx(1 / 6, abs=0.025)


def test_a_user_has_another_order_at_another_time():
    log = pl.DataFrame({"user": 1, "item": [*range(8)] * 2, "timestamp": np.repeat([1, 2], 8)})
    first, second = break_ties(log, 0)["item"].to_numpy().reshape(2, 8).tolist()
    assert sorted(first) == sorted(second) and first != second


def test_the_order_is_that_of_earlier_versions_on_every_machine():
    golden = "[5, 2, 1, 7, 4, 6, 0, 3]"
    program = (
        "import polars as pl; from jaxrec.data.ties import break_ties; "
        "log = pl.DataFrame({'user': 'u', 'item': [*range(8)], 'timestamp': 1600000000}); "
        "print(break_ties(log, 7)['item'].to_list())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == golden


def test_rows_are_tied_within_a_user_only():
    log = by_user_and_time([(1, "a", 5, ""), (1, "b", 5, ""), (2, "a", 5, ""), (2, "b", 6, "")])
    assert mask_ties(log).to_list() == [False, True, False, False]
    untied = by_user_and_time([(1, "b", 1, ""), (1, "a", 2, ""), (2, "a", 1, "")])
    assert break_ties(untied, 0).equals(untied)


def sorted_baskets(break_ties: int | None) -> Dataset:
    """Prepare 800 users with 20 of 200 items each, at one time, sorted by item."""
    rng = np.random.default_rng(0)
    rows = [
        (user, item, 1_600_000_000)
        for user in range(800)
        for item in np.sort(rng.choice(200, 20, replace=False)).tolist()
    ]
    return prepare(log_of(rows), data_config(break_ties=break_ties), seed=0)


def transitions_recall(dataset: Dataset) -> float:
    baselines, _ = make_baselines(dataset, "leave-one-out")
    ranking = rank(baselines["transitions"], dataset, dataset.split.test, data_config())
    return means(target_values(ranking.ranks))["recall@10"]


def test_items_are_predicted_by_chance_where_only_the_order_of_the_log_predicts_them():
    """Ten of the 181 items that are not in a history are recommended: chance is 0.055."""
    assert transitions_recall(sorted_baskets(break_ties=None)) > 0.2
    chance = 10 / 181
    error = np.sqrt(chance * (1 - chance) / 800)
    assert abs(transitions_recall(sorted_baskets(break_ties=0)) - chance) < 3 * error


def test_the_summary_says_who_chose_the_order():
    (kept,), (drawn,) = (sorted_baskets(seed).log_summary.notes for seed in (None, 3))
    assert kept.endswith(
        "have equal times, and keep the order of the source; --break-ties=0 draws another order"
    )
    assert drawn.endswith("have equal times, and are in an order drawn by --break-ties=3")
    assert drawn in format_summary(sorted_baskets(3).log_summary, "log")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_and_prepared_folders_have_the_order_of_the_log_in_memory(tmp_path, suffix):
    write_log(tmp_path)
    table = pl.read_csv(tmp_path / "log.csv")
    config = data_config(break_ties=5, dataset="a table in memory")
    expected = load_ordered(config, seed=0, table=table)
    shuffled = table.sample(fraction=1, shuffle=True, seed=1)
    name = tmp_path / f"shuffled.{suffix}"
    (shuffled.write_csv if suffix == "csv" else shuffled.write_parquet)(name)
    from_file = load_ordered(data_config(break_ties=5, dataset=str(name)), seed=0)
    flags = ("--break-ties=5", "--buckets=1", *KEEP_ALL)
    prepared = prepare_and_read(tmp_path, *flags, log=name.name)
    for log in (from_file, prepared):
        assert log.tie_seed == 5
        assert log.users["user"].sort().equals(expected.users["user"].sort())
        assert orders(log) == orders(expected)
    unbroken = load_ordered(data_config(dataset=str(name)), seed=0)
    assert orders(unbroken) != orders(expected)


def orders(log) -> dict[str, list[int]]:
    parts = np.split(log.items, log.offsets[1:-1])
    return {user: part.tolist() for user, part in zip(log.users["user"], parts, strict=True)}


def test_another_order_is_another_preparation(tmp_path):
    write_log(tmp_path)
    prepare_and_read(tmp_path, *KEEP_ALL, "--break-ties=5")
    done = run_prepare("--dataset=log.csv", "--out=prepared", *KEEP_ALL, cwd=tmp_path)
    assert done.returncode == 2
    assert "was prepared from other inputs (--break-ties: 5, not None)" in done.stderr


def test_a_prepared_log_keeps_its_order(tmp_path):
    write_log(tmp_path)
    prepare_and_read(tmp_path, *KEEP_ALL)
    config = DataConfig(dataset=str(tmp_path / "prepared"), break_ties=1)
    with pytest.raises(UserError, match="--break-ties=1 does not apply to"):
        load_ordered(config, seed=0)


def test_a_log_without_times_has_no_ties(tmp_path):
    message = "error: --break-ties=1 and --log.time=none exclude each other"
    flags = ("--dataset=log.csv", "--break-ties=1", "--log.time=none")
    write_log(tmp_path)
    for done in (
        run_train(*flags, cwd=tmp_path),
        run_prepare(*flags, "--out=prepared", cwd=tmp_path),
    ):
        assert done.returncode == 2
        assert message in done.stderr
    assert not (tmp_path / "prepared").exists()


def test_another_log_without_times_is_read_in_its_own_order():
    of_run = DataConfig(dataset="log.csv", break_ties=4)
    assert population_config(of_run, "other.csv", LogConfig()).break_ties == 4
    assert population_config(of_run, "other.csv", LogConfig(time="none")).break_ties is None
