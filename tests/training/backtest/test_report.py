"""The report of a backtest: its tables, its JSON and its plot."""

import pytest

from jaxrec.config.experiment import Config
from jaxrec.data.splits import Period
from jaxrec.files import read_json
from jaxrec.training.backtest.backtest_config import BacktestConfig
from jaxrec.training.backtest.backtest_directory import FIGURES, PLOT, BacktestDirectory
from jaxrec.training.backtest.backtest_report import Backtest, save_report
from jaxrec.training.backtest.figures import NEVER, SCRATCH, WARM
from tests.training.backtest.small_judgements import judgement

DAY = 86_400
MAY = 1_714_521_600  # 2024-05-01


def week(number: int) -> Period:
    return Period(MAY + 7 * number * DAY, MAY + 7 * (number + 1) * DAY)


@pytest.fixture(scope="module")
def backtest() -> Backtest:
    empty = Backtest(Config(), BacktestConfig(weeks=2), 1)
    first = judgement(period=week(0), users=[1, 2], unknown={SCRATCH: 1, WARM: 1, NEVER: 1})
    second = judgement(
        period=week(1),
        users=[1, 1, 1, 2],
        ranks={SCRATCH: [1, 1, 1, 99], WARM: [1, 1, 1, 1], NEVER: [99] * 4},
        unknown={NEVER: 3},
        lists={SCRATCH: ([1, 2], 0.25), WARM: ([1, 2], 0.875)},
        seconds={SCRATCH: 120.0, WARM: 30.0, NEVER: 0.0},
    )
    return empty.add(first).add(second)


def test_the_tables_by_hand(backtest):
    head, _, recall, _, costs, after, total = backtest.report().split("\n\n")
    assert head.startswith("synthetic, rnn, N = 10: 2 periods of 7d until 2024-05-15, ")
    assert [line.split() for line in recall.splitlines()] == [
        ["targets", "users", "scratch", "warm", "never"],
        ["2024-05-01", "2", "2", *["1.0000", "±0.0000"] * 3],
        ["2024-05-08", "4", "2", "0.7500", "±0.5000", "1.0000", "±0.0000", "0.0000", "±0.0000"],
    ]
    assert [line.split() for line in costs.splitlines()[1:]] == [
        ["2024-05-01", "1.0", "1.0", "1", "1"],
        ["2024-05-08", "0.2500", "±0.0000", "0.8750", "±0.0000", "2.0", "0.5", "0", "3"],
    ]
    assert after.startswith(
        "after the first date: 4 targets of 2 users, up to 75.0% of them of one"
    )
    _, scratch, warm, never = (line.split() for line in total.splitlines())
    assert scratch[-2:] == ["2.0", "100%"]
    assert warm[5:8] == ["+0.2500", "[+0.0000,", "+1.0000]"] and warm[-2:] == ["0.5", "25%"]
    assert never[5:8] == ["-0.7500", "[-1.0000,", "+0.0000]"] and never[-2:] == ["0.0", "0%"]


def test_a_difference_whose_interval_excludes_zero_is_marked(backtest):
    other = judgement(
        period=week(2), users=[1, 2], ranks={SCRATCH: [1, 1], WARM: [1, 1], NEVER: [99, 99]}
    )
    *_, total = Backtest(Config(), BacktestConfig(), 1).add(other).add(other).report().split("\n\n")
    _, _, warm, never = total.splitlines()
    assert "-1.0000 [-1.0000, -1.0000]*" in never and "*" not in warm


def test_one_period_has_no_total(backtest):
    alone = Backtest(backtest.config, backtest.settings, 1).add(backtest.judgements[0])
    assert "after the first date" not in alone.report()


def test_the_files_have_the_figures_and_the_settings(backtest, tmp_path):
    save_report(backtest, BacktestDirectory(tmp_path))
    saved = read_json(tmp_path / FIGURES)
    assert saved["settings"]["--weeks"] == 2 and saved["settings"]["--every"] == "7d"
    assert saved["settings"]["--history-length"] == 10
    assert [each["from"] for each in saved["periods"]] == ["2024-05-01", "2024-05-08"]
    after = saved["after_first"]
    assert (after["from"], after["until"], after["targets"]) == ("2024-05-08", "2024-05-15", 4)
    warm = after["variants"]["warm"]
    assert warm["minus_scratch"]["recall@10"] == {"mean": 0.25, "low": 0.0, "high": 1.0}
    assert warm["churn"]["overlap@10"]["mean"] == 0.875
    assert after["variants"]["never"]["unknown_targets"] == 3
    assert (tmp_path / PLOT).stat().st_size > 10_000
