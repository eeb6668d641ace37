"""Logs with many repeated items: training, comparison and export count the same missed targets."""

import json

import numpy as np
import pytest

from jaxrec.cli import compare, export
from jaxrec.runs.directory import RunDirectory
from tests.exports import call, run_train

pytest.importorskip("tensorflow", reason="needs the extra convert")

USERS, ITEMS, STEPS = 60, 14, 30


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunDirectory:
    """Train on a café's log, in which users have seen almost all items after 29 visits."""
    folder = tmp_path_factory.mktemp("cafe")
    rng = np.random.default_rng(0)
    rows = ["user,item,timestamp"]
    for user in range(USERS):
        # For two users, the last item is new.
        drinks = rng.integers(0, ITEMS - (user < 2), STEPS)
        drinks[-1] = ITEMS - 1 if user < 2 else drinks[-1]
        rows += [f"{user},{item},{step}" for step, item in enumerate(drinks)]
    (folder / "cafe.csv").write_text("\n".join(rows) + "\n")
    flags = ["--encoder=bow", "--dataset=cafe.csv", "--epochs=1", "--history-length=4"]
    trained = run_train(*flags, cwd=folder)
    assert trained.returncode == 0, trained.stderr
    return RunDirectory(folder / "runs" / "cafe-bow-n4")


def test_excluded_targets_are_never_hits(run):
    summary = run.summary()
    reachable = 1 - summary.protocol.test_targets_seen_before / USERS
    assert 0 < reachable < 0.2
    for figures in (summary.test, *summary.baselines.values()):
        assert figures.means["recall@50"] == pytest.approx(reachable)
        assert figures.means["recall@10"] <= reachable + 1e-9


def test_saved_ranks_count_excluded_targets_as_missed(run):
    ranks = run.ranks().ranks
    assert (ranks <= 50).mean() == pytest.approx(run.summary().test.means["recall@50"])
    process = call(compare.main, str(run.path), str(run.path), cwd=run.path)
    assert f"{run.summary().test.means['recall@10']:.4f}" in process.stdout


def test_export_measures_exactly_the_same_recall(run):
    process = call(export.main, f"--run-dir={run.path}", cwd=run.path)
    assert process.returncode == 0, process.stderr
    recipes = json.loads((run.model_file.parent / "model.json").read_text())["recipes"]
    assert recipes["float32"]["recall@10"] == run.summary().test.means["recall@10"]
