"""Logs that were once misread, from a folder that is not part of the repository."""

import json
from pathlib import Path

import pytest

from jaxrec.cli import train

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FOLDER = ROOT.parent / "shared" / "inputs" / "turn3"

# What the output says of each log, after --dataset and other flags.
READ = {
    "case_ids.csv": ([], "'sku4' and 'SKU4' are different ids"),
    "crlf_trail2.csv": ([], "the separator at the end of each row is ignored"),
    "spaces_data.csv": ([], "a space after each separator is not read as part of the field"),
    "sep_hint.csv": ([], "the first line, 'sep=;', is skipped"),
    "comment.csv": ([], "the first line, '# exported 2024-05-01', is skipped"),
    "t_f32.parquet": ([], "the times are float32, which is exact to 64 at 881256640"),
    "reverse.csv": (["--log.time=none"], "the oldest first; --log.newest-first reverses it"),
    "users_dup.csv": (
        ["--dataset=case_ids.csv", "--users=users_dup.csv", "--user-features=country"],
        "user_country: 2 strings, unknown for 0 of 60 users",
    ),
}
REFUSED = {
    "sci_ids.csv": ([], "480 rows have item ids in scientific notation, such as '4.00638E+12'"),
    "excel_semi.csv": (
        ["--log.time-format=%d.%m.%Y %H:%M", "--log.rating=rating"],
        "write a decimal point, as in 1.4",
    ),
    "excel_serial.csv": ([], "the times are days as spreadsheets count them"),
    "thousands.csv": ([], "omit the thousands separators, as in 1600000000"),
    "nul.csv": ([], "line 482 has NUL bytes"),
    "oneitem.csv": ([], "the log has a single item, 'i0'"),
}


@pytest.fixture(autouse=True)
def _in_the_folder(tmp_path, monkeypatch):
    if not FOLDER.is_dir():
        pytest.skip(f"{FOLDER} is not on this machine")
    for path in FOLDER.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)


def run(name: str, *flags: str) -> int:
    return train.main([f"--dataset={name}", "--encoder=bow", "--epochs=1", *flags])


@pytest.mark.parametrize("name", READ)
def test_a_log_is_read_with_a_note(name, capsys):
    flags, note = READ[name]
    assert run(name, "--dry-run", *flags) == 0
    assert note in capsys.readouterr().out


@pytest.mark.parametrize("name", REFUSED)
def test_a_log_is_refused_in_one_line_that_names_the_cause(name, capsys):
    flags, cause = REFUSED[name]
    assert run(name, *flags) == 2
    error = capsys.readouterr().err
    assert cause in error and error.count("\n") == 1
    assert not Path("runs").exists()


def test_the_order_of_equal_times_decides_a_baseline(capsys):
    """A log that is sorted by item: chance is 0.05."""
    recalls = []
    for flags in ([], ["--break-ties=0"]):
        run_dir = f"run{len(flags)}"
        assert run("ties_sorted.csv", f"--run-dir={run_dir}", *flags) == 0
        summary = json.loads((Path(run_dir) / "summary.json").read_text())
        recalls.append(summary["baselines"]["transitions"]["means"]["recall@10"])
    assert recalls[0] > 0.15 and recalls[1] < 0.08


def test_a_temporal_history_has_the_activities_after_the_cut(capsys):
    assert run("a7.csv", "--split=temporal", "--run-dir=run") == 0
    said = "a history has all earlier activities of its user, those after the cut too"
    assert said in capsys.readouterr().out
