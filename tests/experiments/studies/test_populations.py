"""The populations study: splitting a log by a feature of its users or by time."""

import polars as pl
import pytest

from experiments.studies.populations import populations
from tests.exports import call

# No user of north has item 9, so a model trained on them does not know it.
LOG = "user,item,timestamp\n" + "".join(
    f"{user},{item},{time}\n"
    for user in (1, 2, 3, 4, 5, 6, 7)
    for time, item in enumerate((7, 8, 9) if user in (2, 6) else (8, 7))
)
USERS = "user,region\n1,north\n2,south\n3,north\n4,north\n5,north\n6,south\n7,north\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "users.csv").write_text(USERS)
    return tmp_path


def run_populations(folder, *flags):
    common_flags = ["--dataset=log.csv", "--users=users.csv", "--user-features=region", "--out=cut"]
    return call(populations.main, *common_flags, *flags, cwd=folder)


def test_a_user_feature_splits_the_log_into_three_logs(folder):
    process = run_populations(folder, "--first=north", "--second=south")
    assert process.returncode == 0, process.stderr
    rows = {
        name: pl.read_csv(folder / "cut" / f"{name}.csv")["user", "item"].rows()
        for name in ("shipped", "others", "everybody")
    }
    assert rows["shipped"] == [(user, item) for user in (1, 3, 4, 5, 7) for item in (8, 7)]
    assert rows["others"] == [(user, item) for user in (2, 6) for item in (7, 8, 9)]
    assert rows["everybody"] == [*rows["shipped"], *[(u, i) for u in (2, 6) for i in (7, 8)]]
    assert "others.csv: 6 interactions of 2 users" in process.stdout


def test_a_split_by_time_is_at_midnight(folder):
    day, start = 86_400, 1_600_000_000 // 86_400 * 86_400
    times = {1: [0, 5, day + 9], 2: [3, 6], 3: [day + 1, 2 * day], 4: [1, 2, day + 3, 3 * day]}
    # Item 9 is new on the second day.
    rows = [(user, 9 if at > day else 7, start + at) for user, ats in times.items() for at in ats]
    text = "\n".join(",".join(map(str, row)) for row in rows)
    (folder / "log.csv").write_text(f"user,item,timestamp\n{text}\n")
    flags = ["--dataset=log.csv", "--until=0.7", "--out=cut"]
    process = call(populations.main, *flags, cwd=folder)
    assert process.returncode == 0, process.stderr
    found = {
        name: pl.read_csv(folder / "cut" / f"{name}.csv").rows()
        for name in ("shipped", "others", "everybody")
    }
    assert found["shipped"] == [row for row in rows if row[2] < start + day]
    assert found["others"] == [row for row in rows if row[0] in (1, 4)]
    assert found["everybody"] == [row for row in rows if row[1] == 7]


def test_whole_numbers_are_printed_without_decimals():
    assert populations._as_printed(pl.Series([1.0, 45.0])).to_list() == ["1", "45"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--first=north", "--second=west"],
            "no user has the region west; the values are north, south",
        ),
        (["--first=north", "--second=south,north"], "--first and --second both have 'north'"),
        (["--user-features=region,user_age"], "by one column of its users, by time or by drift"),
        (["--until=0.5"], "by one column of its users, by time or by drift"),
        (["--until=1"], "--until=1.0 is out of range"),
    ],
)
def test_an_invalid_split_is_rejected(folder, flags, message):
    process = run_populations(folder, *flags)
    assert process.returncode == 2 and message in process.stderr
    assert process.stderr.count("\n") == 1
