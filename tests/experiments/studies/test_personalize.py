"""The study of on-device adaptation: adapted scores, and the command."""

import shutil

import numpy as np
import pytest
from flax import nnx

from experiments.studies.personalization import personalize
from jaxrec.data.timelines import Timelines
from jaxrec.errors import UserError
from jaxrec.evaluation.adapted import adapted_scorer
from jaxrec.evaluation.ranking import model_scorer
from jaxrec.evaluation.scores import materialize_scores
from jaxrec.models.adapter import AdaptConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.schema import ITEM
from tests.exports import call
from tests.small_models import make_model

N, M = 4, 6


def test_short_histories_have_the_scores_of_the_shipped_model():
    model = make_model("rnn")
    histories = np.zeros((3, M), np.int32)
    histories[1:, -1], histories[2, -3:] = 5, [7, 8, 9]
    config = AdaptConfig(activities=M, held_out=3)
    adapted = materialize_scores(adapted_scorer(model, config, history_length=N)({ITEM: histories}))
    shipped = materialize_scores(model_scorer(*nnx.split(model))({ITEM: histories[:, -N:]}))
    # Two programs, whose sums XLA may order differently.
    np.testing.assert_allclose(adapted, shipped, rtol=1e-5, atol=1e-6)
    # Longer histories may have an adapter.
    many = np.full((1, M), 5, np.int32)
    always = AdaptConfig(activities=M, held_out=0)
    moved = materialize_scores(adapted_scorer(model, always, history_length=N)({ITEM: many}))
    assert (
        moved[0, 5]
        > materialize_scores(model_scorer(*nnx.split(model))({ITEM: many[:, -N:]}))[0, 5]
    )


@pytest.mark.slow
def test_the_command_reports_gains_and_losses(runs, tmp_path):
    # A log of other users with one unknown item.
    items = RunDirectory(runs["bow"]).vocabulary().values.to_list()
    rows = [f"{user},{items[user + 3 * step]},{step}" for user in range(40) for step in range(9)]
    log = tmp_path / "others.csv"
    log.write_text("\n".join(["user,item,timestamp", *rows, "3,-7,100"]))
    flags = [f"--run-dir={runs['bow']}", f"--dataset={log}", "--activities=12", "--held-out=2"]
    process = call(personalize.main, *flags, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "1 items are unknown to the run" in process.stdout
    assert "all users: 40" in process.stdout
    assert "users with fewer than 50: 40" in process.stdout
    assert "50 activities or more" not in process.stdout
    _, *gains = process.stdout.split("minus shipped")
    for gain in gains:
        for row in gain.strip().splitlines()[1:3]:
            shares = [float(word.rstrip("%")) for word in row.split()[-3:]]
            assert sum(shares) == pytest.approx(100, abs=0.2)
    again = call(personalize.main, *flags, "--judge=validation", cwd=tmp_path)
    assert "validation, trained on up to 12" in again.stdout


def test_the_first_activity_of_the_last_day_by_hand():
    day = 86_400
    times = [[0, 1, day, day + 1], [5], [0, day - 1], [0, 2 * day, 9 * day]]
    offsets = np.cumsum([0, *map(len, times)])
    stamps = np.concatenate(times) * 1000
    timelines = Timelines({}, offsets, stamps, ticks_per_second=1000)
    # All activities of the second and the third user are on one day.
    assert personalize.first_of_last_day(timelines).tolist() == [2, 9]
    with pytest.raises(UserError, match=r"give --log\.time-unit"):
        personalize.first_of_last_day(Timelines({}, offsets, stamps))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--judge=day"], "--judge=day has targets that the run was trained on"),
        (["--held-out=100"], "--held-out=100 is out of range"),
        (["--activities=10", "--held-out=2"], "not more than the 10 items that the model reads"),
        (["--log.item=thing"], "--dataset"),
        (["--dataset=nowhere.csv"], "nowhere.csv"),
    ],
)
def test_a_mistake_is_one_line(runs, tmp_path, flags, words):
    process = call(personalize.main, f"--run-dir={runs['bow']}", *flags, cwd=tmp_path)
    assert process.returncode == 2
    (line,) = process.stderr.strip().splitlines()
    assert words in line


def test_a_missing_or_unfinished_run_is_refused(runs, tmp_path):
    shutil.copytree(runs["bow"], tmp_path / "half")
    (tmp_path / "half" / "summary.json").unlink()
    for name, words in (("half", "is not finished"), ("none", "is not a run directory")):
        process = call(personalize.main, f"--run-dir={name}", cwd=tmp_path)
        assert process.returncode == 2
        assert words in process.stderr
