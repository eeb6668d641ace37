"""Comparison of runs of one log and of several: recall where users agree, and churn of lists."""

import re
import shutil
from itertools import combinations

import jax.numpy as jnp
import numpy as np
import pytest

import jaxrec
from jaxrec.cli.compare import main
from jaxrec.conversion.restore import restore_run
from jaxrec.errors import UserError
from jaxrec.runs.directory import RunDirectory
from jaxrec.schema import ITEM, PAD
from jaxrec.training.run_lists import churn_of_pairs
from tests.exports import train_without

# It trains several runs.
pytestmark = pytest.mark.slow

# Users have seen more than half of the twenty items: without these, few lists could differ.
BOW = ("--encoder=bow", "--history-length=4", "--keep-seen")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Train two seeds on one log, and a run on the log of another week."""
    folder = tmp_path_factory.mktemp("compared")
    train_without(["A1"], folder / "seed0", *BOW)
    train_without(["A1"], folder / "seed1", f"--dataset={folder / 'seed0.csv'}", *BOW, "--seed=1")
    train_without(["A2", "B7"], folder / "other", *BOW)
    return folder


def raw_lists(run_dir) -> list[list]:
    """Return the ten best raw items of the held-out histories, by sorting all scores."""
    run = restore_run(run_dir)
    history = {ITEM: jnp.asarray(run.heldout.history[ITEM])}
    scores = np.array(run.model.scores(run.model.encode_last(history)))
    scores[:, PAD] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    return [[run.vocabulary.values[number - 1] for number in row] for row in order.tolist()]


def test_runs_of_one_log_have_recall_differences_and_churn(folder, capsys):
    first, second = folder / "seed0", folder / "seed1"
    assert main([str(first), str(second)]) == 0
    text = capsys.readouterr().out
    assert f"{first} - {second}" in text and "no difference" not in text
    pairs = list(zip(raw_lists(first), raw_lists(second), strict=True))
    overlap = np.mean([len({*a} & {*b}) / 10 for a, b in pairs])
    same_first = np.mean([a[0] == b[0] for a, b in pairs])
    changed = [np.mean([{*a} != {*b} for a, b in pairs]), np.mean([a != b for a, b in pairs])]
    figures = " +".join(rf"{each:.4f} ±[\d.]+" for each in (overlap, same_first, *changed))
    assert re.search(rf"{re.escape(f'{first} and {second}')} +{figures}\n", text)
    assert 0 < overlap < 1
    assert "60 users" in text and "changed though the history did not" in text
    assert text.rstrip().endswith(
        f"{first} and {second} are two seeds of the same training: they share {overlap:.1%} of "
        "the items of their lists, without any new data"
    )


def test_a_run_has_no_churn_since_itself(folder):
    text = jaxrec.compare(folder / "seed0", folder / "seed0")
    one, none = r"1\.0000 ±0\.0000", r"0\.0000 ±0\.0000"
    assert re.search(rf"{one} +{one} +{none} +{none}$", text)
    assert "two seeds" not in text


def test_runs_of_different_logs_still_have_a_churn(folder):
    runs = [folder / name for name in ("seed0", "other", "seed1")]
    text = jaxrec.compare(*runs)
    assert f"no difference in recall: {runs[1]} has dataset other, {runs[0]} seed0" in text
    # The runs that can be compared still are.
    assert f"{runs[0]} - {runs[2]}" in text
    for first, second in combinations(runs, 2):
        assert re.search(rf"\n{re.escape(f'{first} and {second}')} +0\.\d+ ±", text)
    assert text.count("two seeds of the same training") == 1
    counts = "only in the first and 1 only in the second"
    assert f"17 items are in both {runs[0]} and {runs[1]}, 2 {counts}" in text
    assert text.count("items are in both") == 2


def test_the_histories_are_those_of_the_first_run(folder):
    runs = [RunDirectory(folder / name) for name in ("seed0", "other")]
    churn = churn_of_pairs(runs)
    backward = churn_of_pairs(runs[::-1])
    assert churn.keys() == {(str(folder / "seed0"), str(folder / "other"))}
    (there,), (back,) = churn.values(), backward.values()
    assert 0 < there.means["overlap@10"] < 1
    # Both have the items and the users of the other, but other histories.
    assert there.means != back.means


def test_a_run_without_its_checkpoint_has_figures_but_no_churn(folder, tmp_path):
    copy = shutil.copytree(folder / "seed1", tmp_path / "copy")
    shutil.rmtree(copy / "checkpoints")
    text = jaxrec.compare(folder / "seed0", copy)
    assert f"{folder / 'seed0'} - {copy}" in text
    assert f"no churn: {copy}/checkpoints is missing" in text


def test_runs_without_common_items_cannot_be_compared(folder, tmp_path):
    log = (folder / "seed0.csv").read_text()
    (tmp_path / "shop.csv").write_text(re.sub(r",[AB](\d+),", r",shoe\1,", log))
    other = train_without([], tmp_path / "run", f"--dataset={tmp_path / 'shop.csv'}", *BOW)
    with pytest.raises(UserError, match="run has dataset shop"):
        jaxrec.compare(folder / "seed0", other)
    with pytest.raises(UserError, match="run has none of the items of"):
        churn_of_pairs([RunDirectory(folder / "seed0"), RunDirectory(other)])
