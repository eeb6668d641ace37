"""Distillation: the influence of teachers on a student, and teachers that are refused."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.data.batching import Batch
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.item_features import ids_by_name
from jaxrec.data.sources.load import load_interactions
from jaxrec.data.sources.synthetic import SyntheticConfig
from jaxrec.errors import UserError
from jaxrec.evaluation.ranking import model_scorer
from jaxrec.evaluation.scores import materialize_scores
from jaxrec.models.folding import fold_features
from jaxrec.models.model import PAD_BIAS
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.earlier_run import data_differences
from jaxrec.schema import ITEM, PAD, UNKNOWN
from jaxrec.training import objective
from jaxrec.training.checkpoint import read_model
from jaxrec.training.distillation import Teacher, distill, mean_logits, read_teachers
from jaxrec.training.fit import fit, init_model
from jaxrec.training.loop import folded, train
from jaxrec.training.negatives import all_items
from jaxrec.training.softmax import LogitFactors
from tests.exports import run_train
from tests.small_models import SIZE, make_batch, make_model
from tests.training.shop_logs import (
    FEATURES,
    PLAIN,
    TODAY,
    dataset_of_shop,
    shop_log,
    train_yesterday,
)

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


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.5, 0.9])
def test_the_teacher_has_its_weight_in_the_student(tmp_path, weight):
    """The teacher predicts item 7 for every history."""
    dataset = world(0)
    config = replace(STUDENT, train=replace(STUDENT.train, teacher="given", teacher_weight=weight))
    obsessed = init_model(dataset, STUDENT)
    obsessed.bias[...] = obsessed.bias[...].at[7].set(30.0)
    student = init_model(dataset, STUDENT)
    lessons = Teacher(obsessed, history_length=5)
    trained = train(student, dataset, config, RunDirectory(tmp_path), [lessons])
    scorer = model_scorer(*folded(trained.graphdef, trained.params, dataset.item_features))
    scores = materialize_scores(scorer(dataset.timelines.histories(dataset.split.test, 10)))
    share = np.asarray(jax.nn.softmax(scores))[:, 7].mean()
    assert share == pytest.approx(weight, abs=0.1)


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


@pytest.mark.slow
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


def test_a_teacher_weight_needs_a_teacher(tmp_path):
    assert "--teacher-weight=0.2 needs --teacher" in refused("--teacher-weight=0.2", cwd=tmp_path)


KNOWN = jnp.arange(SIZE + 1) % 3 > 0
"""Mask of the items that a teacher knows: all but every third."""


def teacher_in_part(encoder="bow") -> Teacher:
    model = make_model(encoder, seed=1)
    model.bias[...] = jnp.where(KNOWN, model.item_bias, PAD_BIAS)
    return Teacher(model, 5, KNOWN)


def items_and_candidates(seed: int) -> Batch:
    """Return a batch of items whose candidates are all items."""
    batch = make_batch(seed)
    history = {ITEM: batch.history[ITEM]}
    return batch._replace(history=history, candidates=all_items(SIZE), excluded=None)


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_the_loss_by_a_teacher_that_lacks_items_by_hand(weight):
    """An unknown item has no share of the teacher; an unknown target has no teacher."""
    student, teacher, batch = make_model("bow", seed=2), teacher_in_part(), items_and_candidates(3)
    plain = partial(objective.loss, history_length=5)
    found = distill(plain, [teacher], weight)(student, batch, None)[ITEM]

    def log_softmax(model, is_candidate):
        query = model.encode_positions(batch.history, batch.targets.shape[1], 5)
        logits = np.asarray(model.scores(query), np.float64)
        logits = np.where(is_candidate, logits, -np.inf)
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))

    ours = log_softmax(student, np.arange(SIZE + 1) > 0)
    items = np.where(KNOWN[batch.history[ITEM]], batch.history[ITEM], PAD)
    batch = batch._replace(history={ITEM: jnp.asarray(items)})
    theirs = np.exp(log_softmax(teacher.model, np.asarray(KNOWN)))
    losses = []
    for (user, place), target in np.ndenumerate(batch.targets):
        mine = ours[place, user]
        if target != PAD:
            share = weight if KNOWN[target] else 0
            soft = sum(theirs[place, user, i] * mine[i] for i in range(1, SIZE + 1) if KNOWN[i])
            losses.append(-(1 - share) * mine[target] - share * soft)
    unknown = [int(target) for target in batch.targets.ravel() if not KNOWN[target]]
    assert PAD in unknown and len(unknown) > 1 and len(losses) > len(unknown)
    np.testing.assert_allclose(found, np.mean(losses), rtol=1e-5)


TAUGHT_TODAY = replace(PLAIN, data=FEATURES)


@pytest.fixture(scope="module")
def yesterday(tmp_path_factory) -> RunDirectory:
    """Return a run on yesterday's log of a shop; tests must not change it."""
    return train_yesterday(tmp_path_factory.mktemp("yesterday") / "run", TAUGHT_TODAY)


def taught_by_yesterday(run: RunDirectory, **settings) -> Config:
    train_config = replace(TAUGHT_TODAY.train, teacher=str(run.path), **settings)
    return replace(TAUGHT_TODAY, train=train_config)


@pytest.mark.slow
def test_a_teacher_of_yesterday_scores_items_of_today_by_their_own_ids(yesterday, capsys):
    """Items, and the values of features, have other ids today."""
    config = taught_by_yesterday(yesterday)
    log = shop_log(TODAY, seed=1, devices=("tv", "app", "web"), brands=5, countries=("fr", "de"))
    dataset = dataset_of_shop(config, log)
    (teacher,) = read_teachers(config, dataset)
    assert "knows 26 of 34 items; targets teach the others" in capsys.readouterr().out
    known = yesterday.vocabulary()
    numbers = known.encode(dataset.vocabulary.values)
    assert (numbers > 0).sum() == 26 and list(numbers[numbers > 0]) != sorted(numbers[numbers > 0])
    np.testing.assert_array_equal(teacher.is_known_R, [True, *(numbers > 0)])
    earlier = read_model(yesterday.checkpoints, yesterday.schema(), config.model)
    earlier = fold_features(earlier, ids_by_name(yesterday.item_features()))
    is_known = np.asarray(teacher.is_known_R)
    ids = np.append(0, numbers)[is_known]
    np.testing.assert_array_equal(teacher.model.item_table[is_known], earlier.item_table[ids])
    np.testing.assert_array_equal(teacher.model.item_bias[is_known], earlier.item_bias[ids])
    assert np.all(np.asarray(teacher.model.item_bias)[~is_known] == PAD_BIAS)
    for feature in dataset.features:
        part = "activities" if feature.of == "activity" else "context_features"
        tables = [
            getattr(model, part).tables[feature.name][...] for model in (teacher.model, earlier)
        ]
        (was,) = (each for each in yesterday.schema().features if each.name == feature.name)
        if feature.kind == "id":
            for number, value in enumerate(feature.values, start=1):
                row = 1 + was.values.index(value) if value in was.values else UNKNOWN
                np.testing.assert_array_equal(tables[0][number], tables[1][row])
    fit_directory = yesterday.path.parent / "taught"
    assert fit(dataset, config, RunDirectory(fit_directory))


@pytest.mark.slow
def test_a_teacher_of_another_file_is_no_other_data(yesterday, tmp_path):
    """Only the split, the filters and the features must be the same."""
    earlier = replace(yesterday.config().data, dataset="monday.csv", items="items.csv")
    later = replace(earlier, dataset="tuesday.csv", items=None)
    assert data_differences(earlier, later) == []
    temporal = replace(later, split="temporal")
    assert data_differences(earlier, temporal) == ["--split: leave-one-out, not temporal"]
    pairs = replace(later, split="random-pairs")
    assert "--dataset: monday.csv, not tuesday.csv" in data_differences(
        replace(earlier, split="random-pairs"), pairs
    )
    movies = replace(earlier, dataset="ml-1m")
    assert "--dataset: ml-1m, not ml-100k" in data_differences(
        movies, replace(movies, dataset="ml-100k")
    )


@pytest.mark.slow
def test_a_teacher_without_a_common_item_is_refused(yesterday, tmp_path):
    config = taught_by_yesterday(yesterday)
    dataset = dataset_of_shop(config, shop_log(range(100, 130)))
    with pytest.raises(UserError, match=r"knows none of the items: it has 'sku\d+', and the log"):
        fit(dataset, config, RunDirectory(tmp_path / "run"))
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_a_teacher_whose_items_are_text_is_refused_for_numbers(yesterday, tmp_path):
    config = taught_by_yesterday(yesterday)
    log = shop_log(TODAY)
    as_number = pl.col("item").str.strip_prefix("sku").cast(pl.Int64)
    log = replace(log, log=log.log.with_columns(as_number), items=log.items.with_columns(as_number))
    with pytest.raises(
        UserError, match=r"has text as items, such as 'sku\d+', and the log has whol"
    ):
        fit(dataset_of_shop(config, log), config, RunDirectory(tmp_path / "run"))


@pytest.mark.slow
def test_shuffled_pairs_of_a_changed_log_are_refused(tmp_path):
    pairs = replace(PLAIN, data=replace(PLAIN.data, split="random-pairs"))
    run = train_yesterday(tmp_path / "yesterday", pairs)
    config = replace(pairs, train=replace(pairs.train, teacher=str(run.path)))
    with pytest.raises(UserError, match="has other items: the data has changed"):
        fit(dataset_of_shop(config, shop_log(TODAY)), config, RunDirectory(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
