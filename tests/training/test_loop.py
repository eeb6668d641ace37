"""Training: recall on synthetic chains, determinism, resumption, early stopping, checkpoints."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from flax import nnx

from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.data import excluded_items
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import prepare
from jaxrec.data.interactions import ITEM_COLUMNS, Interactions
from jaxrec.errors import UserError
from jaxrec.evaluation.ranking import model_scorer, rank
from jaxrec.models.model import RecommenderModel
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.training import loop, negatives
from jaxrec.training.checkpoint import open_checkpoints, restore_best
from jaxrec.training.loop import train

ITEMS = 20
CONFIG = Config(
    DataConfig(history_length=4, keep_seen=True),
    ModelConfig(embedding_dim=16, hidden_units=32, dropout=0.0),
    TrainConfig(batch_size=16, negatives=32, epochs=8, learning_rate=0.02, seed=3),
)
# For tests that do not check the recall.
SHORT = replace(CONFIG, train=replace(CONFIG.train, epochs=4))


def make_chain(noise: float, users: int = 400, length: int = 12, seed: int = 0) -> Interactions:
    """Generate a chain x -> (3x + 7) mod ITEMS, where a share `noise` of the steps is random."""
    rng = np.random.default_rng(seed)
    items = np.empty((users, length), np.int64)
    items[:, 0] = rng.integers(0, ITEMS, users)
    for step in range(1, length):
        jumps = rng.random(users) < noise
        onward = (items[:, step - 1] * 3 + 7) % ITEMS
        items[:, step] = np.where(jumps, rng.integers(0, ITEMS, users), onward)
    log = pl.DataFrame(
        {
            "user": np.repeat(np.arange(users), length),
            "item": items.ravel(),
            "timestamp": np.tile(np.arange(length), users),
        }
    )
    described = pl.DataFrame(
        schema=dict(
            zip(ITEM_COLUMNS, (pl.Int64, pl.String, pl.List(pl.String), pl.Int32), strict=True)
        )
    )
    return Interactions(log, described)


def fit(run_dir: Path, config: Config, noise: float = 0.1):
    dataset = prepare(make_chain(noise), config.data, seed=0)
    schema = dataset.schema(config.model.embedding_dim)
    model = RecommenderModel(schema, config.model, dataset.vocabulary.counts, rngs=nnx.Rngs(0))
    return train(model, dataset, config, RunDirectory(run_dir)), dataset


@pytest.fixture(scope="module")
def uninterrupted_run(tmp_path_factory):
    """Return the folder and the result of an uninterrupted run; tests must not modify it."""
    folder = tmp_path_factory.mktemp("whole")
    trained, _ = fit(folder, SHORT)
    return folder, trained


def recall_at_1(trained, dataset, config) -> float:
    scorer = model_scorer(trained.graphdef, trained.params)
    ranking = rank(scorer, dataset, dataset.split.test, config.data)
    return float((ranking.ranks == 1).mean())


def leaves(params) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(params)]


# The CNN is not tested at 50% noise, where it needs more steps.
@pytest.mark.parametrize(("encoder", "noise"), [("cnn", 0.1), ("rnn", 0.1), ("rnn", 0.5)])
def test_recall_on_a_noisy_chain_approaches_the_optimum(tmp_path, encoder, noise):
    config = replace(CONFIG, model=replace(CONFIG.model, encoder=encoder))
    trained, dataset = fit(tmp_path, config, noise)
    reachable = 1 - noise + noise / ITEMS
    assert recall_at_1(trained, dataset, config) > reachable - 0.12


def test_recall_on_pure_noise_is_at_chance_level(tmp_path):
    trained, dataset = fit(tmp_path, CONFIG, noise=1.0)
    # The chance level is 1/20; for 400 users, three standard errors are 0.033.
    assert recall_at_1(trained, dataset, CONFIG) < 1 / ITEMS + 0.035


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "full-softmax"},
        {"sampler": "log-uniform"},
        {"sampler": "batch"},
        {"window_length": 1},
        {"table_optimizer": "rowwise-adagrad"},
    ],
    ids=str,
)
def test_every_loss_learns_the_chain(tmp_path, changes):
    config = replace(CONFIG, train=replace(CONFIG.train, **changes))
    trained, dataset = fit(tmp_path, config)
    assert recall_at_1(trained, dataset, config) > 0.75


def test_a_model_with_untied_embeddings_learns_the_chain(tmp_path):
    config = replace(CONFIG, model=replace(CONFIG.model, tie_embeddings=False))
    trained, dataset = fit(tmp_path, config)
    assert recall_at_1(trained, dataset, config) > 0.75


def test_training_is_deterministic_given_the_seed(tmp_path, uninterrupted_run):
    _, first = uninterrupted_run
    second, _ = fit(tmp_path / "again", SHORT)
    other, _ = fit(tmp_path / "other", replace(SHORT, train=replace(SHORT.train, seed=4)))
    for ours, same, different in zip(
        *map(leaves, (first.params, second.params, other.params)), strict=True
    ):
        np.testing.assert_array_equal(ours, same)
        assert (ours != different).any()


def test_training_on_two_devices_matches_one_device(tmp_path, monkeypatch, uninterrupted_run):
    """Check results within rounding: with a sharded batch, only the order of sums differs."""
    assert len(jax.devices()) == 2
    _, both = uninterrupted_run
    one_device = jax.devices()[:1]
    monkeypatch.setattr(jax, "devices", lambda: one_device)
    one, _ = fit(tmp_path / "one", SHORT)
    for ours, theirs in zip(leaves(both.params), leaves(one.params), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.parametrize("loss", ["full-softmax", "sampled-softmax"])
def test_bitsets_and_id_lists_of_excluded_items_are_bit_identical(tmp_path, monkeypatch, loss):
    config = replace(
        CONFIG,
        data=replace(CONFIG.data, keep_seen=False),
        train=replace(CONFIG.train, loss=loss, epochs=1),
    )
    bits, _ = fit(tmp_path / "bits", config)
    monkeypatch.setattr(excluded_items, "MAX_BITSET_SIZE", ITEMS - 1)
    ids, _ = fit(tmp_path / "ids", config)
    everything, _ = fit(tmp_path / "nothing", replace(config, data=CONFIG.data))
    for ours, same, other in zip(
        *map(leaves, (bits.params, ids.params, everything.params)), strict=True
    ):
        np.testing.assert_array_equal(ours, same)
        assert (ours != other).any()


class SimulatedCrashError(Exception):
    """A simulated crash of a run."""


@pytest.mark.parametrize(
    "place", ["_train_epoch", "_validate", "write_metrics", "save", "_report_epoch"]
)
def test_a_resumed_run_is_bit_identical_wherever_it_crashed(
    tmp_path, monkeypatch, uninterrupted_run, place
):
    _, never_died = uninterrupted_run
    room = RunDirectory if place == "write_metrics" else loop
    original, calls = getattr(room, place), []

    def dies_at_the_third_call(*arguments):
        calls.append(place)
        if len(calls) == 3:
            raise SimulatedCrashError
        return original(*arguments)

    monkeypatch.setattr(room, place, dies_at_the_third_call)
    with pytest.raises(SimulatedCrashError):
        fit(tmp_path / "killed", SHORT)
    resumed, _ = fit(tmp_path / "killed", SHORT)
    for ours, theirs in zip(leaves(never_died.params), leaves(resumed.params), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    losses = [[line["loss"] for line in run.epochs] for run in (never_died, resumed)]
    assert losses[0] == losses[1]
    assert [line["epoch"] for line in resumed.epochs] == list(range(1, SHORT.train.epochs + 1))


def test_the_state_of_rowwise_adagrad_is_resumed(tmp_path, monkeypatch):
    by_rows = replace(CONFIG.train, table_optimizer="rowwise-adagrad", epochs=3)
    config = replace(CONFIG, train=by_rows)
    never_died, _ = fit(tmp_path / "whole", config)

    def dies(*_):
        raise SimulatedCrashError

    with monkeypatch.context() as patched, pytest.raises(SimulatedCrashError):
        patched.setattr(loop, "_report_epoch", dies)
        fit(tmp_path / "killed", config)
    resumed, _ = fit(tmp_path / "killed", config)
    for ours, theirs in zip(leaves(never_died.params), leaves(resumed.params), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_early_stopping_restores_the_best_epoch(tmp_path, monkeypatch):
    """Make the third epoch the best, so that with patience 2 the fifth is the last."""
    scores = iter([0.1, 0.2, 0.5, 0.3, 0.4, 0.9])
    states = []
    original = loop.save

    def remember(manager, state, progress, score):
        states.append(leaves(state.params))
        original(manager, state, progress, score)

    def validate(*_):
        return {"ndcg@10": next(scores), "recall@10": 0.0}

    monkeypatch.setattr(loop, "_validate", validate)
    monkeypatch.setattr(loop, "save", remember)
    config = replace(CONFIG, train=replace(CONFIG.train, patience=2))
    trained, _ = fit(tmp_path, config)
    assert len(trained.epochs) == 5
    assert trained.progress.best_epoch == 3
    for best, kept in zip(states[2], leaves(trained.params), strict=True):
        np.testing.assert_array_equal(best, kept)


FINAL_FIT = replace(
    CONFIG,
    data=replace(CONFIG.data, final_fit=True),
    train=replace(CONFIG.train, epochs=4, patience=1),
)


def test_a_final_fit_trains_all_epochs_and_keeps_the_last(tmp_path, monkeypatch):
    """Ignore falling validation scores, since validation targets are part of the training."""
    scores = iter([0.9, 0.5, 0.4, 0.3])
    monkeypatch.setattr(loop, "_validate", lambda *_: {"ndcg@10": next(scores), "recall@10": 0.0})
    trained, dataset = fit(tmp_path, FINAL_FIT)
    plain = prepare(make_chain(0.1), CONFIG.data, seed=0)
    assert trained.progress.best_epoch == len(trained.epochs) == 4
    assert trained.progress.best_score == 0.3
    more = dataset.split.is_training_target.sum() - plain.split.is_training_target.sum()
    assert more == len(plain.split.validation)
    with open_checkpoints(RunDirectory(tmp_path).checkpoints) as manager:
        assert manager.best_step() == manager.latest_step()


def test_a_resumed_final_fit_keeps_the_last_epoch(tmp_path, monkeypatch):
    never_died, _ = fit(tmp_path / "whole", FINAL_FIT)
    tell, calls = loop._report_epoch, []

    def dies_at_the_second_call(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise SimulatedCrashError
        tell(*arguments)

    with monkeypatch.context() as patched, pytest.raises(SimulatedCrashError):
        patched.setattr(loop, "_report_epoch", dies_at_the_second_call)
        fit(tmp_path / "killed", FINAL_FIT)
    resumed, _ = fit(tmp_path / "killed", FINAL_FIT)
    assert resumed.progress == never_died.progress
    assert resumed.progress.best_score == resumed.epochs[-1]["validation"]["ndcg@10"]
    for ours, theirs in zip(leaves(never_died.params), leaves(resumed.params), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_nan_loss_stops_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(negatives, "log_popularity", lambda _: jnp.full(ITEMS + 1, jnp.nan))
    config = replace(CONFIG, train=replace(CONFIG.train, sampler="batch"))
    with pytest.raises(UserError, match=r"the loss is nan at step 1; .*--learning-rate"):
        fit(tmp_path, config)


def test_the_error_names_the_step_of_the_first_nonfinite_loss():
    losses = jnp.array([2.0, 1.0, jnp.inf, jnp.nan])
    with pytest.raises(UserError, match="the loss is inf at step 43;"):
        loop._finite(losses, first_step=40)


def test_an_incompatible_checkpoint_raises_an_error_with_the_shapes(uninterrupted_run):
    folder, trained = uninterrupted_run
    wider = replace(SHORT, model=replace(SHORT.model, hidden_units=33))
    with pytest.raises(UserError, match=r"layers.0.kernel has shape \(48, 128\), not"):
        fit(folder, wider)
    assert trained.epochs == RunDirectory(folder).metrics(trained.progress.step)


def test_a_damaged_checkpoint_raises_user_error(tmp_path, uninterrupted_run):
    folder, trained = uninterrupted_run
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "checkpoints").rglob("*"):
        if path.is_file() and "params" in path.parts and path.name != "_METADATA":
            path.write_bytes(b"damage")
    with (
        open_checkpoints(RunDirectory(tmp_path).checkpoints) as manager,
        pytest.raises(UserError, match="is damaged"),
    ):
        restore_best(manager, trained.params)


def test_metrics_are_written_for_each_epoch_and_to_tensorboard(uninterrupted_run):
    folder, trained = uninterrupted_run
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == trained.epochs
    assert lines[0].keys() >= {"epoch", "step", "loss", "targets", "seconds", "validation"}
