"""The study of lists for all users: its log, and the table of a small measurement."""

import numpy as np
import pytest

from experiments.studies.user_lists.user_lists import generate_log, main


def test_every_user_and_item_occurs_and_popularity_has_a_long_tail():
    log = generate_log(400, 50, 10, seed=1)
    assert log.height == 4_000
    assert sorted(log["user"].unique()) == list(range(400))
    counts = np.bincount(log["item"], minlength=50)
    assert counts.min() >= 1
    # 1 / 10 against 1 / 50 and less.
    assert counts[:5].sum() > 3 * counts[40:45].sum()
    assert generate_log(400, 50, 10, seed=1).equals(log)
    assert not generate_log(400, 50, 10, seed=2).equals(log)


@pytest.mark.slow
def test_it_measures_and_keeps_what_is_made(tmp_path, capsys):
    flags = ["--users=200,300", "--items=150", "--train-users=120"]
    flags.append(f"--folder={tmp_path / 'lists'}")
    assert main(flags) == 0
    title, _, _, *rows = capsys.readouterr().out.strip().splitlines()
    assert title.endswith("150 items, lists of 10")
    assert [row.split()[0] for row in rows] == ["200", "300"]
    shares = [[float(cell[:-1]) for cell in row.split() if cell.endswith("%")] for row in rows]
    assert all(len(each) == 4 and 98 <= sum(each) <= 102 for each in shares)
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "lists").rglob("*.*")}
    assert main(flags) == 0
    assert made == {path: path.stat().st_mtime_ns for path in made}


def test_a_mistake_is_one_line(tmp_path, capsys):
    assert main(["--users=many", f"--folder={tmp_path / 'lists'}"]) == 2
    assert capsys.readouterr().err.startswith("error: --users=many is not a list of whole numbers")
    assert not (tmp_path / "lists").exists()
