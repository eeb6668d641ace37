"""Training: recall on synthetic chains, determinism, resumption, early stopping, checkpoints."""

import json
import shutil
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrec.data import excluded_items
from jaxrec.data.dataset import prepare
from jaxrec.errors import UserError
from jaxrec.runs.directory import RunDirectory
from jaxrec.training import loop, negatives
from jaxrec.training.checkpoint import open_checkpoints, restore_best
from tests.training.chain import (
    CONFIG,
    FINAL_FIT,
    ITEMS,
    SHORT,
    arrays_of,
    fit,
    make_chain,
    recall_at_1,
)


# The CNN is not tested at 50% noise, where it needs more steps.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "noise"),
    [
        ("rnn", 0.1),
        pytest.param("rnn", 0.5, marks=pytest.mark.slow),
        pytest.param("cnn", 0.1, marks=pytest.mark.slow),
    ],
)
def test_recall_on_a_noisy_chain_approaches_the_optimum(tmp_path, encoder, noise):
    config = replace(CONFIG, model=replace(CONFIG.model, encoder=encoder))
    trained, dataset = fit(tmp_path, config, noise)
    reachable = 1 - noise + noise / ITEMS
    assert recall_at_1(trained, dataset, config) > reachable - 0.12


@pytest.mark.slow
def test_recall_on_pure_noise_is_at_chance_level(tmp_path):
    trained, dataset = fit(tmp_path, CONFIG, noise=1.0)
    # The chance level is 1/20; for 400 users, three standard errors are 0.033.
    assert recall_at_1(trained, dataset, CONFIG) < 1 / ITEMS + 0.035


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "full-softmax"},
        {"sampler": "batch"},
        pytest.param({"sampler": "log-uniform"}, marks=pytest.mark.slow),
        pytest.param({"window_length": 1}, marks=pytest.mark.slow),
        {"table_optimizer": "rowwise-adagrad"},
    ],
    ids=str,
)
def test_every_loss_learns_the_chain(tmp_path, changes):
    config = replace(CONFIG, train=replace(CONFIG.train, **changes))
    trained, dataset = fit(tmp_path, config)
    assert recall_at_1(trained, dataset, config) > 0.75


@pytest.mark.slow
def test_a_model_with_untied_embeddings_learns_the_chain(tmp_path):
    config = replace(CONFIG, model=replace(CONFIG.model, tie_embeddings=False))
    trained, dataset = fit(tmp_path, config)
    assert recall_at_1(trained, dataset, config) > 0.75


@pytest.mark.slow
def test_training_is_deterministic_given_the_seed(tmp_path, uninterrupted_run):
    _, first = uninterrupted_run
    second, _ = fit(tmp_path / "again", SHORT)
    other, _ = fit(tmp_path / "other", replace(SHORT, train=replace(SHORT.train, seed=4)))
    for ours, same, different in zip(
        *map(arrays_of, (first.params, second.params, other.params)), strict=True
    ):
        np.testing.assert_array_equal(ours, same)
        assert (ours != different).any()


def test_training_on_two_devices_matches_one_device(tmp_path, monkeypatch, uninterrupted_run):
    """Check results within rounding: with a sharded batch, only the order of sums differs."""
    assert len(jax.devices()) == 2
    _, on_two_devices = uninterrupted_run
    one_device = jax.devices()[:1]
    monkeypatch.setattr(jax, "devices", lambda: one_device)
    on_one_device, _ = fit(tmp_path / "one", SHORT)
    for ours, theirs in zip(
        arrays_of(on_two_devices.params), arrays_of(on_one_device.params), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.slow
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
    nothing_excluded, _ = fit(tmp_path / "nothing", replace(config, data=CONFIG.data))
    for ours, same, other in zip(
        *map(arrays_of, (bits.params, ids.params, nothing_excluded.params)), strict=True
    ):
        np.testing.assert_array_equal(ours, same)
        assert (ours != other).any()


def test_early_stopping_restores_the_best_epoch(tmp_path, monkeypatch):
    """With the third epoch as the best and patience 2, the fifth epoch is the last."""
    scores = iter([0.1, 0.2, 0.5, 0.3, 0.4, 0.9])
    saved_params = []
    original = loop.save

    def record(manager, state, progress, score):
        saved_params.append(arrays_of(state.params))
        original(manager, state, progress, score)

    def validate(*_):
        return {"ndcg@10": next(scores), "recall@10": 0.0}

    monkeypatch.setattr(loop, "_validate", validate)
    monkeypatch.setattr(loop, "save", record)
    config = replace(CONFIG, train=replace(CONFIG.train, patience=2))
    trained, _ = fit(tmp_path, config)
    assert len(trained.epochs) == 5
    assert trained.progress.best_epoch == 3
    for best, kept in zip(saved_params[2], arrays_of(trained.params), strict=True):
        np.testing.assert_array_equal(best, kept)


def test_a_final_fit_trains_all_epochs_and_keeps_the_last(tmp_path, monkeypatch):
    """Ignore falling validation scores, since validation targets are part of the training."""
    scores = iter([0.9, 0.5, 0.4, 0.3])
    monkeypatch.setattr(loop, "_validate", lambda *_: {"ndcg@10": next(scores), "recall@10": 0.0})
    trained, dataset = fit(tmp_path, FINAL_FIT)
    without_final_fit = prepare(make_chain(0.1), CONFIG.data, seed=0)
    assert trained.progress.best_epoch == len(trained.epochs) == 4
    assert trained.progress.best_score == 0.3
    additional = (
        dataset.split.is_training_target.sum() - without_final_fit.split.is_training_target.sum()
    )
    assert additional == len(without_final_fit.split.validation)
    with open_checkpoints(RunDirectory(tmp_path).checkpoints) as manager:
        assert manager.best_step() == manager.latest_step()


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
