"""Distillation: the influence of teachers on a student, and teachers that are refused."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.sources.load import load_interactions
from jaxrec.data.sources.synthetic import SyntheticConfig
from jaxrec.errors import UserError
from jaxrec.evaluation.ranking import model_scorer
from jaxrec.evaluation.scores import materialize_scores
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.distillation import Teacher, mean_logits, read_teachers
from jaxrec.training.fit import fit, init_model
from jaxrec.training.loop import folded, train
from jaxrec.training.softmax import TEACHER_WEIGHT, LogitFactors
from tests.exports import run_train

WORLD = DataConfig(synthetic=SyntheticConfig(users=300, items=100), item_features="genres")
STUDENT = Config(WORLD, ModelConfig("bow", 4, 8), TrainConfig(epochs=3, learning_rate=0.03))
FLAGS = ["--encoder=bow", "--synthetic.users=300", "--synthetic.items=100"]


def world(seed: int) -> Dataset:
    return prepare(load_interactions(WORLD, seed=seed), WORLD, seed=seed)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    """Train a run with another history length; return its folder, which tests must not change."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    config = replace(STUDENT, data=replace(WORLD, history_length=20))
    fit(world(0), config, RunDirectory(folder))
    return folder


def taught_by(folder: Path) -> Config:
    return replace(STUDENT, train=replace(STUDENT.train, teacher=str(folder)))


def test_the_teacher_has_its_weight_in_the_student(tmp_path):
    """The teacher predicts item 7 for every history."""
    dataset = world(0)
    obsessed = init_model(dataset, STUDENT)
    obsessed.bias[...] = obsessed.bias[...].at[7].set(30.0)
    student = init_model(dataset, STUDENT)
    lessons = Teacher(obsessed, history_length=5)
    trained = train(student, dataset, STUDENT, RunDirectory(tmp_path), [lessons])
    scorer = model_scorer(*folded(trained.graphdef, trained.params, dataset.item_features))
    scores = materialize_scores(scorer(dataset.timelines.histories(dataset.split.test, 10)))
    share = np.asarray(jax.nn.softmax(scores))[:, 7].mean()
    assert share == pytest.approx(TEACHER_WEIGHT, abs=0.1)


def test_the_logits_of_several_teachers_are_averaged():
    """The teachers have different widths."""
    rng = np.random.default_rng(0)

    def factors_of(width):
        shapes = [(3, 2, width), (3, 2, width), (3, 2), (7, width), (7,)]
        return LogitFactors(*(jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes))

    def logits(of):
        target = jnp.sum(of.query_WBD * of.target_WBD, axis=-1) + of.target_bias_WB
        return target, of.query_WBD @ of.candidates_SD.T + of.candidate_bias_S

    wide, narrow = factors_of(5), factors_of(2)
    for got, *each in zip(*map(logits, (mean_logits([wide, narrow]), wide, narrow)), strict=True):
        np.testing.assert_allclose(got, np.mean(each, axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_run_learns_from_two_teachers(tmp_path, teacher):
    """With the same teacher given twice, the result is that of one."""
    learned = []
    for name, folders in {"one": str(teacher), "two": f"{teacher},{teacher}"}.items():
        config = replace(STUDENT, train=replace(STUDENT.train, teacher=folders))
        summary = fit(world(0), config, RunDirectory(tmp_path / name))
        assert summary
        learned.append(summary.test.means["ndcg@10"])
    assert learned[0] == pytest.approx(learned[1], abs=1e-3)


def test_a_teacher_may_have_another_history_length(tmp_path, teacher):
    dataset = world(0)
    (found,) = read_teachers(taught_by(teacher), dataset)
    assert found.history_length == 20
    assert found.model.item_features is None  # they are folded into its tables
    fit(dataset, taught_by(teacher), RunDirectory(tmp_path / "run"))


def refused(*flags: str, cwd: Path) -> str:
    process = run_train(*FLAGS, *flags, cwd=cwd)
    assert process.returncode == 2
    return process.stderr


def test_a_teacher_trained_on_other_targets_is_refused(tmp_path, teacher):
    flags = [f"--teacher={teacher}", "--item-features=genres", "--train-on-validation"]
    assert "was trained on other data (--train-on-validation: False, not True)" in refused(
        *flags, cwd=tmp_path
    )
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "named"),
    [("away", "away"), ("{teacher},away", "away"), ("{teacher},", "."), ("", ".")],
)
def test_an_unfinished_or_missing_teacher_is_refused(tmp_path, teacher, given, named):
    flags = [f"--teacher={given.format(teacher=teacher)}", "--item-features=genres"]
    assert f"--teacher={named} is not a finished run" in refused(*flags, cwd=tmp_path)


def test_a_run_does_not_replace_its_teacher(teacher):
    flags = [f"--teacher={teacher}", f"--run-dir={teacher}", "--item-features=genres"]
    assert "is the run directory too" in refused(*flags, "--overwrite", cwd=teacher.parent)
    assert RunDirectory(teacher).is_finished


def test_a_teacher_of_other_items_is_refused(tmp_path, teacher):
    with pytest.raises(UserError, match="has other items"):
        fit(world(1), taught_by(teacher), RunDirectory(tmp_path / "run"))
    assert not any(tmp_path.iterdir())
