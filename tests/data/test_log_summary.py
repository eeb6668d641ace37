"""The summary of a log: counts of rows read and dropped, and notes on anomalies."""

from dataclasses import replace

import pytest

from jaxrec.data.dataset import prepare
from jaxrec.data.log_summary import LogSummary, format_summary
from jaxrec.data.sources.log_config import LogConfig
from tests.small_data import data_config, log_of


def summary_of(rows, columns=("user", "item", "timestamp"), **config) -> LogSummary:
    return prepare(
        log_of(rows, columns), data_config(**{"history_length": 1} | config), seed=0
    ).log_summary


def test_a_clean_log_is_one_line():
    summary = summary_of([(user, item, item) for user in (1, 2) for item in range(4)])
    assert summary == LogSummary(8, 8, 2, 4, None, {}, 0.0, ())
    assert format_summary(summary, "log.csv") == (
        "log.csv: 8 rows in, 8 kept: interactions of 2 users with 4 items"
    )


@pytest.mark.parametrize(
    ("ticks", "time", "until"),
    [
        (1, "when", "2020-09-13T12:26:43Z"),
        (1000, "when", "1970-01-19T12:26:40Z"),
        (None, "when", None),
        (1, "none", None),
    ],
)
def test_the_time_of_the_last_kept_activity(ticks, time, until):
    rows = [(user, item, 1_600_000_000 + item) for user in (1, 2) for item in range(4)]
    # A user of a single activity, the last of all, is dropped.
    log = replace(log_of([*rows, (3, 0, 1_700_000_000)]), ticks_per_second=ticks)
    config = data_config(history_length=1, min_user_interactions=2, log=LogConfig(time=time))
    assert prepare(log, config, seed=0).log_summary.until == until


def test_dropped_rows_are_counted_by_flag():
    rows = [(1, item, item, 5.0) for item in range(4)] + [(2, 0, 1, 5.0), (1, 9, 9, 1.0)]
    summary = summary_of(
        [*rows, rows[0]],
        ("user", "item", "timestamp", "rating"),
        drop_duplicates=True,
        min_rating=3,
        min_user_interactions=2,
    )
    dropped = {"--drop-duplicates": 1, "--min-rating=3": 1, "--min-user-interactions=2": 1}
    assert (summary.rows, summary.kept, summary.dropped) == (7, 4, dropped)
    assert "  dropped: 1 by --drop-duplicates, 1 by --min-rating=3, 1 by" in format_summary(
        summary, "log"
    )


@pytest.mark.parametrize(
    ("times", "tied"), [([1, 2, 3, 4], 0), ([1, 1, 2, 3], 1 / 3), ([0, 0, 0, 0], 1)]
)
def test_the_fraction_of_tied_steps(times, tied):
    rows = [(user, item, time) for user in (1, 2) for item, time in enumerate(times)]
    summary = summary_of(rows)
    assert summary.tied_steps == pytest.approx(tied)
    assert bool(summary.notes) == bool(tied)


def test_a_log_in_descending_order_with_ties_is_noted():
    newest_first = [(1, item, 10 - item // 2) for item in range(10)]
    assert "from new to old" in summary_of(newest_first).notes[0]
    assert "from new to old" not in summary_of(newest_first[::-1]).notes[0]


def test_duplicate_rows_are_counted_anywhere_in_the_log():
    rows = [(1, item, item) for item in range(5)]
    note = summary_of([*rows, *rows[:2], (1, 7, 4), rows[4]]).notes[-1]
    assert note.startswith("3 rows repeat the user, the item and the time of another")


def test_a_catalogue_too_small_for_the_history_is_noted():
    rows = [(1, item, item) for item in range(5)]
    (note,) = summary_of(rows, history_length=5).notes
    assert note.startswith("5 items leave none to recommend after a history of 5")
    assert summary_of(rows, history_length=4).notes == ()
    assert summary_of(rows, history_length=5, keep_seen=True).notes == ()
