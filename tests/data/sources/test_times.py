"""Times of a log: formats, precision and units."""

from datetime import datetime

import polars as pl
import pytest

from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.own_log import load_table
from jaxrec.errors import UserError

HEADER = "user,item,timestamp\n"


def read(folder, times, time_format=None):
    text = HEADER + "".join(f"1,a,{time}\n" for time in times)
    (folder / "log.csv").write_text(text)
    return load_table(str(folder / "log.csv"), LogConfig(time_format=time_format))


@pytest.mark.parametrize(
    ("written", "time_format"),
    [
        ("Thu Jan 01 00:01:00 +0000 1970", "%a %b %d %H:%M:%S %z %Y"),
        ("Thu Jan 01 01:01:00 +0100 1970", "%a %b %d %H:%M:%S %z %Y"),
        ("01.01.1970 00:01", "%d.%m.%Y %H:%M"),
        ("1/1/1970 12:01 AM", "%m/%d/%Y %I:%M %p"),
        ("1970-1-1 0:01:00", "%Y-%m-%d %H:%M:%S"),
    ],
)
def test_dates_in_a_given_format(tmp_path, written, time_format):
    assert read(tmp_path, [written], time_format).log["timestamp"].to_list() == [60.0]


def test_dates_without_a_time_in_a_given_format(tmp_path):
    assert read(tmp_path, ["02/01/1970"], "%d/%m/%Y").log["timestamp"].to_list() == [86400.0]


def test_dates_in_another_format_are_refused_with_example_and_count(tmp_path):
    with pytest.raises(UserError) as error:
        read(tmp_path, ["2024-05-01", "1.5.2024", "2.5.2024", "2024-05-02"])
    assert "line 3: column 'timestamp' has '1.5.2024'" in str(error.value)
    assert "2024-05-01T12:30:59+02:00 (in 1 more of 4 rows too)" in str(error.value)
    assert "--log.time-format='%d.%m.%Y %H:%M'" in str(error.value)


def test_a_format_that_does_not_match_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"line 3: .* has 'soon', not a time as '%d\.%m\.%Y'"):
        read(tmp_path, ["01.05.2024", "soon"], "%d.%m.%Y")
    with pytest.raises(UserError, match=r"--log.time-format=%Y matches no time .* has 'May'"):
        read(tmp_path, ["May"], "%Y")
    with pytest.raises(UserError, match=r"--log.time-format=%Q"):
        read(tmp_path, ["May"], "%Q")


def test_nanoseconds_keep_their_order(tmp_path):
    later = pl.Series([1_700_000_000_000_000_002, 1_700_000_000_000_000_001])
    for times in (later, later.cast(pl.Datetime("ns")), later.cast(pl.Datetime("ns", "UTC"))):
        pl.DataFrame({"user": [1, 1], "item": [1, 2], "timestamp": times}).write_parquet(
            tmp_path / "log.parquet"
        )
        log = load_table(str(tmp_path / "log.parquet"), LogConfig()).log
        assert log["timestamp"].to_list() == later.to_list()
    written = ["2023-11-14T22:13:20.000000002Z", "2023-11-14T22:13:20.000000001Z"]
    assert read(tmp_path, written).log["timestamp"].to_list() == later.to_list()


def test_whole_seconds_of_a_nanosecond_type_are_seconds(tmp_path):
    times = pl.Series([datetime(1970, 1, 1, 0, 1)], dtype=pl.Datetime("ns"))
    pl.DataFrame({"user": [1], "item": [1], "timestamp": times}).write_parquet(
        tmp_path / "log.parquet"
    )
    log = load_table(str(tmp_path / "log.parquet"), LogConfig()).log
    assert log["timestamp"].to_list() == [60.0]


def test_fractions_of_seconds_after_a_comma(tmp_path):
    assert read(tmp_path, ['"1970-01-01 00:01:00,5"']).log["timestamp"].to_list() == [60.5]


def test_times_of_several_units_are_noted(tmp_path):
    (note,) = read(tmp_path, [1338670935, 1340402458000, 1345597265]).notes
    assert note == (
        "times in several units: 2 look like seconds, 1 look like milliseconds; convert all to one"
    )


@pytest.mark.parametrize("times", [[0, 1, 2], [1338670935, 1345597265], [20120602, 1345597265000]])
def test_times_of_one_unit_have_no_note(tmp_path, times):
    assert read(tmp_path, times).notes == ()


@pytest.mark.parametrize(
    ("times", "ticks"),
    [
        ([978_300_000, 1_046_454_590], 1),
        ([978_300_000.25, 1_046_454_590.5], 1),
        ([1_600_000_000_000, 1_700_000_000_000], 10**3),
        ([1_600_000_000_000_000, 1_700_000_000_000_000], 10**6),
        ([1_600_000_000_000_000_000, 1_700_000_000_000_000_000], 10**9),
        ([0, 1, 2], None),
        ([20_240_501, 20_240_630], None),
        (["2024-05-01"], 1),
        ([-5.0, 1_600_000_000.0], None),
        ([1_600_000_000, 1_700_000_000_000], None),
        ([10**11 - 1, 10**11], None),
    ],
    ids=str,
)
def test_the_unit_of_times_is_inferred_from_their_magnitude(tmp_path, times, ticks):
    assert read(tmp_path, times).ticks_per_second == ticks


def test_the_unit_of_times_is_set_by_a_flag(tmp_path):
    config = LogConfig(time_unit="milliseconds")
    (tmp_path / "log.csv").write_text(HEADER + "1,a,0\n1,b,1\n")
    assert load_table(str(tmp_path / "log.csv"), config).ticks_per_second == 1000
    (tmp_path / "log.csv").write_text(HEADER + "1,a,2024-05-01\n")
    with pytest.raises(UserError, match=r"--log\.time-unit=milliseconds is for numbers, and"):
        load_table(str(tmp_path / "log.csv"), config)


def test_dates_and_numbers_in_one_column_are_both_located(tmp_path):
    with pytest.raises(UserError) as error:
        read(tmp_path, ["2012-06-22", "2012-06-23", "1340402458"])
    assert "line 4: column 'timestamp' has a number, '1340402458'" in str(error.value)
    assert "line 2 has a date, '2012-06-22'; write all times in one form" in str(error.value)
    with pytest.raises(UserError, match=r"line 3: .* has a date, '2012-06-22', and .* line 2 has"):
        read(tmp_path, ["1340402458", "2012-06-22"])


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ('"1,600,000,000"', "omit the thousands separators, as in 1600000000"),
        ('"1600000000,5"', "write a decimal point, as in 1600000000.5"),
        ('"44087,51851"', "days as spreadsheets count them: format the column as a date"),
    ],
)
def test_numbers_with_commas_are_explained(tmp_path, written, remedy):
    with pytest.raises(UserError) as error:
        read(tmp_path, [written])
    assert remedy in str(error.value) and "--log.time-format" not in str(error.value)


def test_times_of_too_few_digits_are_noted(tmp_path):
    times = pl.Series("timestamp", [881_256_448, 881_256_512], dtype=pl.Float32)
    log = pl.DataFrame({"user": [1, 1], "item": [1, 2]}).with_columns(times)
    (note,) = load_table(log, LogConfig()).notes
    assert note.startswith("the times are float32, which is exact to 64 at 881256512")
    assert load_table(log.cast({"timestamp": pl.Float64}), LogConfig()).notes == ()
