"""The command `recommend` in parts: interruptions, memory, and progress off a terminal."""

import errno
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from jaxrec.cli import recommend, user_lists
from jaxrec.cli.table_parts import TableParts
from jaxrec.cli.user_lists import UserLists
from jaxrec.data import progress
from tests import ROOT
from tests.cli.user_logs import make_log, write_lists
from tests.exports import call


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return make_log()


@pytest.fixture
def small_parts(monkeypatch):
    """Write parts of 30 users: four, of which the last has ten."""
    monkeypatch.setattr(recommend, "_MAX_USERS", 30)


def fail_at(monkeypatch, failing: int) -> None:
    """Raise an error, as on a full disk, when a part is written."""
    write = TableParts.write

    def failing_write(self, number, rows):
        if number == failing:
            raise OSError(errno.ENOSPC, "No space left on device", str(self.path(number)))
        write(self, number, rows)

    monkeypatch.setattr(TableParts, "write", failing_write)


def test_an_interrupted_command_continues_after_its_last_part(
    log, models, tmp_path, monkeypatch, small_parts
):
    expected = write_lists(log, models["rnn"], tmp_path)
    flags = [f"--model={models['rnn']}", "--log=log.parquet", "--out=lists.parquet"]
    (tmp_path / "lists.parquet").unlink()
    with monkeypatch.context() as patch:
        fail_at(patch, failing=2)
        process = call(recommend.main, *flags, cwd=tmp_path)
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert line.startswith("error: lists.parquet.parts/000002.part: No space left on device; ")
    assert line.endswith("the same command continues")
    assert not (tmp_path / "lists.parquet").exists()

    ranked = []
    of_users = UserLists.of_users
    with monkeypatch.context() as patch:
        patch.setattr(
            UserLists, "of_users", lambda *args: ranked.append(args[1:]) or of_users(*args)
        )
        process = call(recommend.main, *flags, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "  continues after 60 users, from lists.parquet.parts\n" in process.stdout
    assert ranked == [(60, 90), (90, 100)]
    assert pl.read_parquet(tmp_path / "lists.parquet").equals(expected)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["lists.parquet", "log.parquet"]


def test_a_command_killed_while_it_removes_its_parts_continues(
    log, models, tmp_path, monkeypatch, small_parts
):
    expected = write_lists(log, models["rnn"], tmp_path)
    unlinked = []

    def unlink_twice(path):
        if len(unlinked) == 2:
            raise KeyboardInterrupt
        unlinked.append(path.name)
        path.rename(tmp_path / "removed")

    flags = [f"--model={models['rnn']}", "--log=log.parquet", "--out=lists.parquet"]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink_twice)
        assert call(recommend.main, *flags, cwd=tmp_path).returncode == 130
    assert len(unlinked) == 2
    process = call(recommend.main, *flags, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "  continues after " in process.stdout
    assert pl.read_parquet(tmp_path / "lists.parquet").equals(expected)
    assert not (tmp_path / "lists.parquet.parts").exists()


CHANGES = {
    "k": (["--k=4"], "--k: 10, not 4"),
    "column": (["--log.time=none"], "--log.time: timestamp, not none"),
    "log": ([], "the log has changed"),
    "model": ([], "the model has changed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_parts_of_other_inputs_are_not_mixed(
    log, models, tmp_path, monkeypatch, small_parts, change
):
    flags, message = CHANGES[change]
    start = [f"--model={models['rnn']}", "--log=log.parquet", "--out=lists.parquet"]
    log.write_parquet(tmp_path / "log.parquet")
    with monkeypatch.context() as patch:
        fail_at(patch, failing=2)
        assert call(recommend.main, *start, cwd=tmp_path).returncode == 2
    if change == "log":
        log.reverse().write_parquet(tmp_path / "log.parquet")
    model = models["cnn" if change == "model" else "rnn"]
    again = [f"--model={model}", *start[1:], *flags]
    process = call(recommend.main, *again, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    line = f"  lists.parquet.parts has unfinished lists of other inputs ({message}); starting again"
    assert line in process.stdout.splitlines()
    assert "continues" not in process.stdout
    found = pl.read_parquet(tmp_path / "lists.parquet")
    assert call(recommend.main, *again, cwd=tmp_path).returncode == 0
    assert pl.read_parquet(tmp_path / "lists.parquet").equals(found)


def test_a_moved_model_continues(log, models, tmp_path, monkeypatch, small_parts):
    """Its content counts, not its path."""
    log.write_parquet(tmp_path / "log.parquet")
    flags = ["--log=log.parquet", "--out=lists.csv"]
    with monkeypatch.context() as patch:
        fail_at(patch, failing=1)
        assert call(recommend.main, f"--model={models['bow']}", *flags, cwd=tmp_path).returncode
    shutil.copy(models["bow"], tmp_path / "copy.tflite")
    process = call(recommend.main, "--model=copy.tflite", *flags, cwd=tmp_path)
    assert "  continues after 30 users" in process.stdout


def test_memory_has_one_part_at_a_time(log, models, tmp_path, monkeypatch):
    """A part has at most the rows of one, however long the lists."""
    heights = []
    write = TableParts.write

    def measured_write(self, number, rows):
        heights.append(rows.height)
        write(self, number, rows)

    monkeypatch.setattr(TableParts, "write", measured_write)
    monkeypatch.setattr(recommend, "_MAX_ROWS", 250)
    lists = write_lists(log, models["bow"], tmp_path, "--k=7")
    assert heights == [245, 245, 210]
    assert lists.height == 700


def test_progress_is_printed_off_a_terminal(log, models, tmp_path, monkeypatch, small_parts):
    monkeypatch.setattr(progress, "_FIRST_INTERVAL", 0.0)
    log.write_parquet(tmp_path / "log.parquet")
    flags = [f"--model={models['rnn']}", "--log=log.parquet", "--out=lists.parquet"]
    process = call(recommend.main, *flags, cwd=tmp_path)
    assert process.returncode == 0
    lines = process.stderr.splitlines()
    assert [line.split(" users, ")[0] for line in lines] == [
        f"{done} of 100" for done in (30, 60, 90, 100)
    ]
    assert all(re.fullmatch(r".*, [\d,.]+( s each|/s), \d\d:\d\d left", line) for line in lines)


def test_slower_lists_are_announced(log, models, tmp_path, monkeypatch):
    log.write_parquet(tmp_path / "log.parquet")
    flags = [f"--model={models['rnn']}", "--log=log.parquet", "--out=lists.parquet"]
    process = call(recommend.main, *flags, "--k=120", cwd=tmp_path)
    assert (
        "  lists take longer: --k=120 is more than the file's own 100; export it with --top-k=120"
        in process.stdout.splitlines()
    )
    assert "longer" not in call(recommend.main, *flags, cwd=tmp_path).stdout
    expected = pl.read_parquet(tmp_path / "lists.parquet")
    monkeypatch.setattr(user_lists, "read_item_matrix", lambda *_: None)
    process = call(recommend.main, *flags, cwd=tmp_path)
    assert (
        "  lists take longer: the file computes every score, as NumPy rounds otherwise here"
        in process.stdout.splitlines()
    )
    assert pl.read_parquet(tmp_path / "lists.parquet").equals(expected)


@pytest.mark.slow
def test_a_killed_command_continues_with_the_same_result(log, models, tmp_path):
    expected = write_lists(log, models["rnn"], tmp_path)
    flags = [f"--model={models['rnn']}", "--log=log.parquet", "--out=again.parquet"]
    script = (
        "import sys; from jaxrec.cli import recommend; recommend._MAX_USERS = 1;"
        f"sys.exit(recommend.main({flags!r}))"
    )
    words = [sys.executable, "-c", script]
    environment = {"PYTHONPATH": str(ROOT)}
    killed = 0
    for wanted in (10, 50):
        process = subprocess.Popen(
            words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        )
        while (
            process.poll() is None
            and not (tmp_path / "again.parquet.parts" / f"{wanted:06}.part").exists()
        ):
            time.sleep(0.001)
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        process.communicate()
        assert not (tmp_path / "again.parquet").exists()
    assert killed == 2
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    found = re.search(r"  continues after (\d+) users, from again\.parquet\.parts", done.stdout)
    assert found and 51 <= int(found[1]) < 100
    assert pl.read_parquet(tmp_path / "again.parquet").equals(expected)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "again.parquet",
        "lists.parquet",
        "log.parquet",
    ]
