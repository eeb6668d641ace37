"""Flags of features on the command `train`: one-line errors, and the notes of a dry run."""

import re

import pytest

from tests.exports import run_train

LOG_COLUMNS = "customer,item,bought,stars,one,row,place,gone,user_sex,age,1st\n"
LOG = LOG_COLUMNS + "".join(
    f"{user},i{(user + step) % 7},{1_600_000_000 + step**2},{step % 5 + 1},x,{6 * user + step},"
    f"{step % 2},,{step % 2},{step % 3},{step}\n"
    for user in range(20)
    for step in range(6)
)
USER_ROWS = "customer,sex,one,name\n" + "".join(f"{u},{'fm'[u % 2]},x,n{u}\n" for u in range(20))
LOG_ARGS = ["--dataset=log.csv", "--log.user=customer", "--log.time=bought"]
USER_CSV = ["--users=users.csv", "--user-features=sex"]
SMALL = ["--synthetic.users=90", "--synthetic.items=50"]
FILES = {
    "log.csv": LOG,
    "users.csv": USER_ROWS,
    "few.csv": "\n".join(USER_ROWS.splitlines()[:15]),
    "twice.csv": USER_ROWS + "3,f,x,again\n",
    "strangers.csv": USER_ROWS.replace("\n", "\nu", 20),
    "days.csv": LOG.replace(",16000000", ",2020-01-01T00:00:"),
    "fine.csv": re.sub(r",16000000\d\d", r"\g<0>000", LOG),
}


def with_log(*flags: str) -> list[str]:
    return [*LOG_ARGS, *flags]


MISTAKES = {
    "no such column": (with_log("--activity-features=mood"), "log.csv has no column 'mood', only"),
    "one value": (
        with_log("--activity-features=one"),
        "--activity-features: one has the same value",
    ),
    "no value": (with_log("--activity-features=gone"), "gone has no values"),
    "an id of rows": (with_log("--activity-features=row"), "row is different in each of 120 rows"),
    "twice": (
        with_log("--activity-features=stars,stars"),
        "'stars' is empty, repeated or reserved",
    ),
    "the item": (with_log("--activity-features=item"), "'item' is empty, repeated or reserved"),
    "the user": (
        with_log("--activity-features=customer"),
        "--log.user and --activity-features both name the column 'customer'; omit it",
    ),
    "the time": (
        with_log("--activity-features=bought"),
        "--log.time and --activity-features both name the column 'bought'",
    ),
    "no name of an input": (with_log("--activity-features=1st"), "'1st' cannot be the name of an"),
    "a keyword of Python": (with_log("--activity-features=class"), "not a keyword"),
    "self": (with_log("--activity-features=self"), "'self' cannot be the name of an input"),
    "history": (with_log("--activity-features=History"), "another input is named 'History'"),
    "capitals alone": (
        with_log("--activity-features=stars,Stars"),
        "another input is named 'Stars'",
    ),
    "capitals of users alone": (
        with_log("--user-features=sex,Sex"),
        "another input is named 'Sex'",
    ),
    "age and time": (
        with_log("--activity-features=age", "--time-gaps"),
        "another input is named 'age'",
    ),
    "of activities as of users": (
        with_log("--activity-features=user_sex", *USER_CSV),
        "another input is named 'user_sex'",
    ),
    "no table of users": (with_log("--user-features=sex"), "--user-features needs --users"),
    "a table for nothing": (
        with_log("--users=users.csv"),
        "--users=users.csv needs --user-features",
    ),
    "a key for nothing": (
        with_log("--user-table.key=sex"),
        "--user-table.key=sex needs --users=FILE",
    ),
    "no such column of users": (
        with_log("--users=users.csv", "--user-features=mood"),
        "users.csv has no column 'mood', only 'customer', 'sex', 'one', 'name'",
    ),
    "users of one value": (
        with_log("--users=users.csv", "--user-features=one"),
        "--user-features: one has the same value in all rows",
    ),
    "an id of users": (
        with_log("--users=users.csv", "--user-features=name"),
        "--user-features: name is different in each of 20 rows, as an id is",
    ),
    "users that are missed": (
        with_log("--users=few.csv", "--user-features=sex"),
        "few.csv lacks 6 of 20 users of the log, such as 14; add them",
    ),
    "a user twice": (
        with_log("--users=twice.csv", "--user-features=sex"),
        "twice.csv, line 22: user 3 has another description in an earlier row",
    ),
    "other ids": (
        with_log("--users=strangers.csv", "--user-features=sex"),
        "strangers.csv lacks 20 of 20 users of the log, such as 0; .* whose first value is 'u0'",
    ),
    "no such key": (
        with_log(*USER_CSV, "--user-table.key=id"),
        "has no column 'id', .* --user-table.key",
    ),
    "no file": (
        with_log("--users=x.csv", "--user-features=sex"),
        "x.csv is not a file; give --users",
    ),
    "places as times": (
        [*LOG_ARGS[:2], "--log.time=row", "--time-gaps"],
        "--time-gaps: times from 0 to 119 are not seconds, milli-, micro- or nanoseconds since",
    ),
    "a moment of places": (
        [*LOG_ARGS[:2], "--log.time=row", "--time-features=hour"],
        "--time-features needs times that are dates, or seconds",
    ),
    "no such moment": (
        with_log("--time-features=hour,year"),
        "'year' is unknown or repeated; give hour, weekday, each once",
    ),
    "no such zone": (
        with_log("--time-features=hour", "--time-zone=Mars"),
        "--time-zone=Mars is unknown; give a name such as Europe/Berlin",
    ),
    "a zone of nothing": (
        with_log("--time-zone=Europe/Berlin"),
        "--time-zone=Europe/Berlin needs --time-features",
    ),
    "no times": (
        [*LOG_ARGS[:2], "--log.time=none", "--time-gaps"],
        "--time-gaps and --log.time=none exclude each other; omit one of them",
    ),
    "a unit of no times": (
        [*LOG_ARGS[:2], "--log.time=none", "--log.time-unit=seconds"],
        "--log.time-unit=seconds and --log.time=none exclude each other",
    ),
    "a unit of dates": (
        ["--dataset=days.csv", *LOG_ARGS[1:], "--time-gaps", "--log.time-unit=seconds"],
        "--log.time-unit=seconds is for numbers, and column 'bought' of days.csv has dates",
    ),
    "a unit too fine": (
        with_log("--time-gaps", "--log.time-unit=nanoseconds"),
        "--time-gaps: all gaps between a user's activities are equal",
    ),
    "a unit too coarse": (
        ["--dataset=fine.csv", *LOG_ARGS[1:], "--log.time-unit=seconds"],
        "--log.time-unit=seconds makes the times of fine.csv reach 1600000025000 seconds, which",
    ),
    "MovieLens without users": (
        ["--dataset=ml-20m", "--data-dir=.", "--user-features=age"],
        "ml-20m does not describe its users; omit --user-features",
    ),
    "a table beside MovieLens": (
        ["--dataset=ml-1m", *USER_CSV],
        "--users=users.csv needs --dataset=FILE",
    ),
    "no such feature of the synthetic": (
        [*SMALL, "--user-features=age"],
        "--user-features: unknown column 'age'; available: favourite",
    ),
    "nothing but ratings": (
        [*SMALL, "--activity-features=price"],
        "unknown column 'price'; available: rating",
    ),
    "a table beside the synthetic": (
        USER_CSV,
        "--users=users.csv needs --dataset=FILE",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_in_one_line_before_training(tmp_path, mistake):
    flags, message = MISTAKES[mistake]
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for more in ([], ["--dry-run"]):
        process = run_train(*flags, *more, cwd=tmp_path)
        assert process.returncode == 2, process.stdout
        (line,) = process.stderr.splitlines()
        assert line.startswith("error: ") and re.search(message, line), line
        assert process.stdout == ""
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == FILES


def test_a_dry_run_reports_accepted_features(tmp_path):
    """Check ratings by their column name or as `rating`, dates, and the detected time unit."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for flags, notes in (
        (with_log("--activity-features=stars", "--log.rating=stars"), ["stars: 5 numbers"]),
        (with_log("--activity-features=rating", "--log.rating=stars"), ["rating: 5 numbers"]),
        (
            ["--dataset=days.csv", *LOG_ARGS[1:], "--time-gaps"],
            ["--time-gaps: times are read as seconds"],
        ),
        (
            ["--dataset=fine.csv", *LOG_ARGS[1:], "--time-gaps"],
            ["--time-gaps: times are read as milliseconds"],
        ),
        (
            with_log(*USER_CSV, "--time-gaps"),
            ["--time-gaps: times are", "user_sex: 2 strings, unknown for 0"],
        ),
        (
            [*SMALL, "--user-features=favourite"],
            ["user_favourite: 12 strings, unknown for 0 of 90"],
        ),
    ):
        process = run_train(*flags, "--dry-run", cwd=tmp_path)
        assert process.returncode == 0, process.stderr
        for note in notes:
            assert f"  note: {note}" in process.stdout
