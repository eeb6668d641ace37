"""Progress off a terminal: lines at growing intervals, and a bar on a terminal."""

import io
import sys

import pytest

from jaxrec.data import progress
from jaxrec.data.progress import show_progress


class Clock:
    """A clock that tests set, in place of the module `time`."""

    def __init__(self):
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_lines_have_count_rate_and_time_left(clock, capsys):
    with show_progress(total=9_000, unit="user", initial=1_000) as bar:
        clock.seconds += 1.9
        bar.update(10)
        assert capsys.readouterr().err == ""
        clock.seconds += 0.1
        bar.update(1_990)
    # 2,000 users in 2 s, and 6,000 are left.
    assert capsys.readouterr().err == "3,000 of 9,000 users, 1,000/s, 00:06 left\n"


def test_slow_units_have_their_seconds_and_a_label(clock, capsys):
    bar = show_progress(total=4, unit="cell")
    bar.set_description("rnn")
    clock.seconds += 90
    bar.update()
    assert capsys.readouterr().err == "rnn: 1 of 4 cells, 90.0 s each, 04:30 left\n"


def test_intervals_grow_to_a_minute(clock, capsys):
    bar, printed = show_progress(unit="row"), []
    for second in range(1, 300):
        clock.seconds += 1
        bar.update()
        if capsys.readouterr().err:
            printed.append(second)
    assert printed == [2, 6, 14, 30, 62, 122, 182, 242]


def test_iteration_yields_all_values_and_counts_them(clock, capsys):
    seen = []
    for value in show_progress(["a", "b", "c"], unit="file"):
        seen.append(value)
        clock.seconds += 3
    assert seen == ["a", "b", "c"]
    assert capsys.readouterr().err == (
        "1 of 3 files, 3.0 s each, 00:06 left\n3 of 3 files, 3.0 s each, 00:00 left\n"
    )


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(show_progress([1, 2], unit="file")) == [1, 2]
    assert "0/2" in terminal.getvalue()
    assert "\n" not in terminal.getvalue().rstrip("\n\r")


def test_without_standard_error_nothing_is_printed(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", None)
    bar = show_progress(total=2, unit="file")
    clock.seconds += 10
    bar.update()
