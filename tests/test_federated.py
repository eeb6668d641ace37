"""Federated rounds: client updates, clipping, noise, aggregation and the privacy guarantee."""

import json
import shutil
import sys
import tomllib
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import polars as pl
import pytest
import tomli_w
from flax import nnx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jaxrec.cli import compare, federate
from jaxrec.cli import train as run_command
from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.data.batching import Batch
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import prepare
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.synthetic import SyntheticConfig
from jaxrec.data.splits import split_timelines
from jaxrec.data.vocabulary import Vocabulary
from jaxrec.data.windowing import WindowShape
from jaxrec.errors import UserError
from jaxrec.federated import accounting, averaging, record, rounds
from jaxrec.federated.averaging import Round, add_noise, init_server_state, make_round, round_keys
from jaxrec.federated.clients import train_locally
from jaxrec.federated.clipping import clip
from jaxrec.federated.cohorts import (
    CLIENTS_PER_CHUNK,
    Clients,
    draw_cohort,
    make_clients,
    padded_cohort_size,
)
from jaxrec.federated.settings import FederatedConfig
from jaxrec.federated.sharing import merge_params, split_params
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.population import drop_unknown_items, encode_items, population_config
from jaxrec.schema import ITEM
from jaxrec.training.checkpoint import open_checkpoints, read_model
from jaxrec.training.fit import init_model
from jaxrec.training.objective import make_objective
from jaxrec.training.sparse_rows import ITEM_TABLES, item_tables
from jaxrec.training.step import name_of
from jaxrec.training.windows import training_batches
from tests.exports import call, convert
from tests.worlds import dataset_of, log_of, no_items, timelines_of

# Seven users; item 90 occurs in the timeline of the last one alone.
WORLD = [
    [10, 20, 30, 40, 50, 60],
    [20, 10, 30, 10, 20],
    [50, 60, 40, 10, 30],
    [10, 20, 30, 40],
    [60, 50, 20, 30, 40],
    [30, 20, 60],
    [20, 90, 90, 40, 10],
]
CONFIG = Config(
    DataConfig(history_length=3, filters=FilterConfig(min_item_interactions=1)),
    ModelConfig(encoder="bow", embedding_dim=4, hidden_units=6, dropout=0.0),
    TrainConfig(window_length=4, lead_in=2, batch_size=8),
)
DATASET = dataset_of(WORLD)
GRAPHDEF, PARAMS = nnx.split(init_model(DATASET, CONFIG), nnx.Param)
OBJECTIVE = make_objective(GRAPHDEF, DATASET, CONFIG)
CLIENTS = make_clients(
    DATASET.timelines,
    DATASET.split,
    WindowShape(4, 2, 1),
    expected=7,
    steps=2,
    catalogue_size=DATASET.vocabulary.size,
)
# A clip norm that no update of this world reaches.
LOOSE = FederatedConfig(clients=7, local_steps=2, local_learning_rate=0.1, clip_norm=100.0)
# Sharing the item tables requires a noise multiplier, but `one_round` adds no noise by default.
EVERYTHING = replace(LOOSE, share="all", noise_multiplier=1.0)


def cohort_of(*clients: int) -> np.ndarray:
    places = CLIENTS_PER_CHUNK * -(-len(clients) // CLIENTS_PER_CHUNK)
    return np.array([*clients, *[-1] * (places - len(clients))], np.int32)


@cache
def compiled(config: FederatedConfig, noise: float) -> Round:
    return make_round(OBJECTIVE, config, noise)


def one_round(config: FederatedConfig, cohort: np.ndarray, batches: Batch | None = None, noise=0.0):
    """Run round 0 from the untrained model; return the new parameters and the round's metrics."""
    state = jax.tree.map(jnp.copy, init_server_state(PARAMS, config))
    if batches is None:
        batches = CLIENTS.gather(cohort, round_keys(config.seed, 0).windows)
    state, told = compiled(config, noise)(state, cohort, batches)
    return state.params, told


def named(params) -> dict[str, np.ndarray]:
    return {name_of(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(params)}


def change(params) -> dict[str, np.ndarray]:
    before = named(PARAMS)
    return {name: leaf - before[name] for name, leaf in named(params).items()}


def assert_same(ours, theirs, **tolerance) -> None:
    ours, theirs = named(ours), named(theirs)
    assert ours.keys() == theirs.keys()
    for name, leaf in ours.items():
        np.testing.assert_allclose(leaf, theirs[name], err_msg=name, **tolerance)


def test_one_client_with_all_data_and_one_step_is_a_central_step():
    batch = jax.tree.map(
        lambda each: jnp.asarray(each[0]),
        training_batches(DATASET, CONFIG.data, CONFIG.train).dispatch(0),
    )
    assert np.count_nonzero(batch.targets) == DATASET.split.is_training_target.sum()
    padding = CLIENTS_PER_CHUNK - 1
    batches = jax.tree.map(
        lambda each: np.pad(each[None, None], [(0, padding), *[(0, 0)] * (each.ndim + 1)]), batch
    )
    config = replace(EVERYTHING, clients=1, local_steps=1)
    ours, told = one_round(config, cohort_of(0), batches)
    # This step has no randomness: no dropout, no negatives, no features.
    value, slopes = jax.jit(jax.value_and_grad(OBJECTIVE))(PARAMS, batch, jax.random.key(5))
    theirs = jax.tree.map(lambda leaf, slope: leaf - 0.1 * slope, PARAMS, slopes)
    assert_same(ours, theirs, atol=1e-6)
    assert float(told.loss) == pytest.approx(float(value), rel=1e-5)
    assert int(told.clients) == 1 and int(told.clipped) == 0
    assert max(np.abs(leaf).max() for leaf in change(ours).values()) > 1e-3


def test_separate_clients_and_a_server_compute_the_same_round():
    config = replace(LOOSE, clip_norm=0.01, noise_multiplier=0.5)
    state, keys = init_server_state(PARAMS, config), round_keys(config.seed, 0)
    shared, kept = split_params(PARAMS, config.share)
    sent, shortened = [], 0
    for number in range(7):
        alone = replace(CLIENTS, users=CLIENTS.users[[number]], first=number)
        windows = alone.gather(np.array([number], np.int32), keys.windows)
        own = jax.tree.map(lambda each: each[0], windows)
        update, told = averaging.client_update(
            OBJECTIVE, shared, kept, keys.learning, config, jnp.int32(number), own
        )
        assert told.clients == 1 and told.excluded == 0
        sent.append(update)
        shortened += int(told.clipped)
    assert 0 < shortened < 7
    summed = jax.tree.map(lambda *each: sum(each), *sent)
    ours = averaging.server_update(state, summed, keys.noise, config, 0.5)
    theirs, _ = one_round(config, cohort_of(*range(7)), noise=0.5)
    assert_same(ours.params, theirs, atol=1e-6)
    assert ours.step == 1


def test_the_average_does_not_depend_on_the_order_of_the_clients():
    ours, told = one_round(LOOSE, cohort_of(*range(7)))
    theirs, _ = one_round(LOOSE, cohort_of(4, 2, 6, 0, 1, 5, 3))
    assert_same(ours, theirs, atol=1e-6)
    # Nor on empty places of the padded cohort.
    more, _ = one_round(LOOSE, np.append(cohort_of(), cohort_of(*range(7))))
    assert_same(ours, more, atol=1e-6)
    assert int(told.clients) == 7 and int(told.targets) > 0


def test_the_sum_of_updates_is_divided_by_the_expected_number_of_clients():
    config = replace(LOOSE, clients=5)
    whole = change(one_round(config, cohort_of(1, 4))[0])
    parts = [change(one_round(config, cohort_of(client))[0]) for client in (1, 4)]
    for name, leaf in whole.items():
        np.testing.assert_allclose(leaf, parts[0][name] + parts[1][name], atol=1e-6)
    halved = change(one_round(replace(LOOSE, clients=10), cohort_of(1, 4))[0])
    for name, leaf in whole.items():
        np.testing.assert_allclose(leaf, 2 * halved[name], atol=1e-6)


def test_a_client_update_has_no_item_rows():
    shared, kept = split_params(PARAMS, "encoder")
    assert set(kept) == {"activities.tables.item", "bias"} <= set(ITEM_TABLES)
    batches = CLIENTS.gather(np.array([6], np.int32), jax.random.key(1))
    own = jax.tree.map(lambda each: each[0], batches)
    canary = int(DATASET.vocabulary.encode(pl.Series([90]))[0])
    assert canary in own.targets
    update, _ = train_locally(OBJECTIVE, shared, kept, own, jax.random.key(2), 0.1)
    assert set(named(update)) == set(named(PARAMS)) - set(ITEM_TABLES)
    assert all(DATASET.vocabulary.size + 1 not in leaf.shape for leaf in named(update).values())
    assert_same(merge_params(shared, kept), PARAMS, rtol=0)


def test_a_table_that_is_not_shared_keeps_its_bits():
    canary = int(DATASET.vocabulary.encode(pl.Series([90]))[0])
    without, with_it = cohort_of(*range(6)), cohort_of(*range(7))
    for cohort in (without, with_it):
        after = named(one_round(LOOSE, cohort)[0])
        for name, table in item_tables(PARAMS).items():
            assert after[name].tobytes() == np.asarray(table).tobytes()
    # If the table is shared, the row of an item that only one client has reveals that client.
    rows = [
        change(one_round(EVERYTHING, cohort)[0])["activities.tables.item"][canary]
        for cohort in (without, with_it)
    ]
    assert np.abs(rows[1] - rows[0]).max() > 1e-4


NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS, min_size=3, max_size=3), st.floats(2**-10, 2**10, width=32))
@example([0.0, 2.1267650467859854e37, 0.03125], 69.0)
@pytest.mark.filterwarnings("ignore:overflow")
def test_clipping_bounds_any_finite_update(numbers, bound):
    update = {"a": jnp.array(numbers[:2], jnp.float32), "b": jnp.array(numbers[2], jnp.float32)}
    clipped = clip(update, bound)
    found = np.array([*np.asarray(clipped.update["a"]), clipped.update["b"]], np.float64)
    asked = np.array(numbers, np.float64)
    norm = np.linalg.norm(asked)
    assert clipped.is_finite
    # Values that are subnormal after division by largest / 8, or in the result, become zero.
    atol = (1 + bound / 8) * np.finfo(np.float32).tiny
    np.testing.assert_allclose(
        found, asked * min(1, bound / max(norm, 1e-30)), rtol=1e-5, atol=atol
    )
    assert np.linalg.norm(found) <= bound * (1 + 1e-6)


def test_hostile_updates_by_hand():
    for worst in (np.nan, np.inf, -np.inf):
        clipped = clip({"a": jnp.array([3.0, worst]), "b": jnp.array([4.0])}, 1.0)
        assert not clipped.is_finite
        assert [leaf.tolist() for leaf in jax.tree.leaves(clipped.update)] == [[0, 0], [0]]
    clipped = clip({"a": jnp.array([3e38, 0]), "b": jnp.array([-3e38])}, 2.0)
    np.testing.assert_allclose(clipped.update["a"], [2**0.5, 0], rtol=1e-6)
    np.testing.assert_allclose(clipped.update["b"], [-(2**0.5)], rtol=1e-6)
    assert clipped.is_finite and clipped.is_shorter


@pytest.mark.parametrize(("weight", "excluded"), [(np.nan, 1), (-1e30, 0)])
def test_the_influence_of_a_hostile_client_is_bounded(weight, excluded):
    config, cohort = replace(LOOSE, clip_norm=0.01, clients=2), cohort_of(3, 4)
    batches = CLIENTS.gather(cohort, round_keys(0, 0).windows)
    batches.weights[0] = np.where(batches.weights[0] > 0, np.float32(weight), 0)
    both, told = one_round(config, cohort, batches)
    assert (int(told.clients), int(told.excluded)) == (2, excluded)
    assert np.isfinite(float(told.loss)) or not excluded
    cohort[0] = -1
    honest = change(one_round(config, cohort, batches)[0])
    squares = [np.square(leaf - honest[name]).sum() for name, leaf in change(both).items()]
    # Half of the clip norm, because two clients are expected.
    assert np.sqrt(sum(squares)) == pytest.approx(0.005 * (1 - excluded), abs=1e-6)


def test_noise_has_the_accounted_standard_deviation():
    noised = add_noise({"a": jnp.zeros(20_000), "b": jnp.ones((200, 100))}, jax.random.key(3), 0.7)
    a, b = np.asarray(noised["a"]), np.asarray(noised["b"]).reshape(-1) - 1
    for each in (a, b):
        # Five standard errors.
        assert abs(each.mean()) < 5 * 0.7 / np.sqrt(20_000)
        assert each.std() == pytest.approx(0.7, rel=5 / np.sqrt(40_000))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(20_000)

    # Noise is added to the sum, which is divided by the expected number of clients: 3 * 100 / 7.
    quiet, loud = (one_round(LOOSE, cohort_of(1, 2), noise=noise)[0] for noise in (0.0, 3.0))
    there = set(named(PARAMS)) - set(item_tables(PARAMS))
    added = np.concatenate([(named(loud)[n] - named(quiet)[n]).reshape(-1) for n in there])
    assert added.std() == pytest.approx(300 / 7, rel=5 / np.sqrt(2 * added.size))
    assert_same(one_round(LOOSE, cohort_of(1, 2), noise=3.0)[0], loud, rtol=0)
    for name, table in item_tables(PARAMS).items():
        assert named(loud)[name].tobytes() == np.asarray(table).tobytes()


def test_cohorts_are_drawn_by_seed_and_round():
    def cohorts(seed):
        return [draw_cohort(round_keys(seed, n).cohort, 200, 30).tolist() for n in range(400)]

    drawn = cohorts(0)
    assert drawn == cohorts(0)
    assert drawn[0] != drawn[1] and drawn[0] != cohorts(1)[0]
    sizes = np.array([len(cohort) for cohort in drawn])
    deviation = np.sqrt(200 * 0.15 * 0.85)
    assert abs(sizes.mean() - 30) < 4 * deviation / np.sqrt(400)
    assert sizes.std() == pytest.approx(deviation, rel=0.2)
    # All users are drawn equally frequent_checkpoints.
    counts = np.bincount(np.concatenate(drawn), minlength=200)
    assert abs(counts - 60).max() < 6 * np.sqrt(400 * 0.15 * 0.85)
    assert draw_cohort(round_keys(0, 0).cohort, 50, 50).tolist() == list(range(50))


@given(st.integers(1, 5000), st.data())
def test_the_padded_size_holds_every_cohort(population, data):
    expected = data.draw(st.integers(1, population))
    cohort = data.draw(st.integers(0, population))
    places, usual = (padded_cohort_size(size, population, expected) for size in (cohort, 0))
    assert places >= cohort and places % CLIENTS_PER_CHUNK == 0
    # The usual size covers six standard deviations; only larger cohorts have another one.
    deviation = np.sqrt(expected * (1 - expected / population))
    assert places == usual or cohort > expected + 6 * deviation


def test_windows_hold_training_targets_alone_with_equal_frequency():
    lengths = [9, 3, 30, 4]
    ends = np.cumsum(lengths)
    # Every position has its own item.
    timelines = timelines_of(
        [range(end - length + 1, end + 1) for length, end in zip(lengths, ends, strict=True)]
    )
    split = split_timelines(timelines, "leave-one-out", seed=0)
    clients = Clients(timelines, split, np.arange(4), WindowShape(5, 2, 1), 400, 46)
    cohort = np.array([2, 0, -1, 1, 3, 2, 0, 1], np.int32)
    batches = clients.gather(cohort, jax.random.key(0))
    learned = set((np.flatnonzero(split.is_training_target) + 1).tolist())
    for place, client in enumerate(cohort):
        targets, history = batches.targets[place, :, 0], batches.history[ITEM][place, :, 0]
        own = range(ends[client] - lengths[client] + 1, ends[client] - 1)
        seen = Counter(targets[targets > 0].tolist())
        if client < 0:
            assert not seen and not history.any()
            continue
        assert set(seen) == learned & set(own) and set(history.reshape(-1)) <= {0, *own}
        # Windows end at any of T + W - 1 positions; W of these windows contain a given target.
        share = 5 / (len(own) + 4)
        deviation = np.sqrt(400 * share * (1 - share))
        assert all(abs(count - 400 * share) <= 5 * deviation for count in seen.values())
        # The column before a target holds the preceding item.
        is_there = (targets[:, 1:] > 0) & (history[:, 1 - targets.shape[1] :] > 0)
        np.testing.assert_array_equal((history[:, -4:] + 1)[is_there], targets[:, 1:][is_there])


def test_more_clients_than_users_are_refused():
    timelines, split = DATASET.timelines, DATASET.split
    with pytest.raises(UserError, match="--clients=8 is more than the 7 users"):
        make_clients(
            timelines, split, WindowShape(4, 2, 1), expected=8, steps=1, catalogue_size=None
        )


def test_epsilon_matches_dp_accounting():
    dp_accounting = pytest.importorskip("dp_accounting", reason="needs the extra federated")
    event = dp_accounting.PoissonSampledDpEvent(0.05, dp_accounting.GaussianDpEvent(1.3))
    accountant = dp_accounting.rdp.RdpAccountant()
    accountant.compose(dp_accounting.SelfComposedDpEvent(event, 120))
    config = FederatedConfig(rounds=120, clients=100, noise_multiplier=1.3, delta=1e-5)
    found = accounting.guarantee(config, 2000)
    assert found is not None
    assert found.epsilon == pytest.approx(accountant.get_epsilon(1e-5), rel=1e-9)
    assert (found.participation, found.noise_multiplier, found.rounds) == (0.05, 1.3, 120)
    # Fewer rounds, smaller cohorts, more noise or a larger delta lower epsilon.
    for change in ({"rounds": 60}, {"clients": 50}, {"noise_multiplier": 2.0}, {"delta": 1e-4}):
        better = accounting.guarantee(replace(config, **change), 2000)
        assert better is not None and better.epsilon < found.epsilon
    by_default = accounting.guarantee(replace(config, delta=None), 2000)
    assert by_default is not None and by_default.delta == pytest.approx(2000**-1.1)

    asked = replace(config, noise_multiplier=0.0, epsilon=3.0)
    calibrated = accounting.guarantee(asked, 2000)
    assert calibrated is not None and 2.97 < calibrated.epsilon <= 3.0
    assert (
        "epsilon = " in calibrated.description[0] and "seed is secret" in calibrated.description[-1]
    )
    assert accounting.guarantee(replace(config, noise_multiplier=0.0, delta=None), 2000) is None


def test_a_meaningless_guarantee_is_refused():
    pytest.importorskip("dp_accounting", reason="needs the extra federated")
    with pytest.raises(UserError, match=r"--epsilon=0\.01 cannot be reached: .* 50 rounds still"):
        accounting.guarantee(FederatedConfig(rounds=50, clients=90, epsilon=0.01), 100)
    with pytest.raises(
        UserError, match=r"--delta=0\.01 would allow the release of all data of one of 100"
    ):
        accounting.guarantee(FederatedConfig(clients=9, epsilon=5.0, delta=0.01), 100)


def test_noise_without_dp_accounting_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(UserError, match=r"noise needs dp-accounting .* '\.\[federated\]'"):
        accounting.guarantee(FederatedConfig(noise_multiplier=1.0), 1000)


def test_a_log_of_other_users_is_read_with_the_settings_of_the_run():
    of_run = DataConfig(
        synthetic=SyntheticConfig(users=100, items=50),
        items="products.csv",
        history_length=7,
        filters=FilterConfig(min_rating=4.0),
        final_fit=True,
    )
    assert population_config(of_run, "log.csv", LogConfig(user="who")) == DataConfig(
        dataset="log.csv",
        log=LogConfig(user="who"),
        history_length=7,
        filters=FilterConfig(min_item_interactions=1, min_rating=4.0),
    )


def test_a_population_has_the_ids_of_the_run():
    vocabulary = Vocabulary(pl.Series("item", [7, 5, 9, 3]), np.array([0, 8, 4, 2, 2]))
    config = DataConfig(filters=FilterConfig(min_item_interactions=1))
    catalogue = no_items(pl.Int64).clear(4).with_columns(item=vocabulary.values)
    rows = [("a", "5", 0), ("a", "8", 1), ("a", "9", 2), ("a", "7", 3), ("a", "7", 4)]
    rows += [("b", "8", 0), ("b", "11", 1), ("c", "3", 0), ("c", "9", 1), ("c", "5", 2)]
    known = drop_unknown_items(log_of(rows), vocabulary, catalogue)
    assert known.dropped == {"the vocabulary of the run": 3}
    assert known.notes == ("2 items are unknown to the run",)
    assert known.log.rows() == [
        *[("a", 0, 5), ("a", 2, 9), ("a", 3, 7), ("a", 4, 7)],
        *[("c", 0, 3), ("c", 1, 9), ("c", 2, 5)],
    ]
    dataset = encode_items(prepare(known, config, seed=0), vocabulary, catalogue)
    assert dataset.timelines.items.tolist() == [2, 3, 1, 1, 4, 3, 2]
    # Counts of training targets: items 5 and 9 of user a, item 3 of user c.
    assert dataset.vocabulary.counts.tolist() == [0, 0, 1, 1, 1]
    assert dataset.vocabulary.digest == vocabulary.digest and dataset.log_summary.rows == 10
    with pytest.raises(
        UserError, match="the run has none of the items of the log: it has 4, such as 7"
    ):
        drop_unknown_items(log_of([("a", "x", 0)]), vocabulary, catalogue)


SMALL = ["--encoder=bow", "--embedding-dim=8", "--hidden-units=8", "--epochs=1"]
SMALL += ["--synthetic.users=120", "--synthetic.items=40", "--batch-size=16"]
ROUNDS = ["--rounds=5", "--clients=30", "--local-steps=2"]
ROUNDS += ["--server-optimizer=fedadam", "--noise-multiplier=0.5"]

pytest_ignore = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("federated")
    process = call(run_command.main, *SMALL, "--run-dir=run", cwd=folder)
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture(autouse=True, scope="module")
def frequent_checkpoints():
    """Save a checkpoint after every second round."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rounds, "ROUNDS_PER_CHECKPOINT", 2)
        yield


@pytest.fixture(scope="module")
def federated(trained):
    """Run five rounds; return the new run directory and the command's output."""
    pytest.importorskip("dp_accounting", reason="needs the extra federated")
    process = run_federate(trained, *ROUNDS)
    assert process.returncode == 0, process.stderr
    return trained / "run-federated", process.stdout


def run_federate(folder: Path, *flags: str):
    return call(federate.main, "--run-dir=run", *flags, cwd=folder)


def parameters_of(run_dir: Path) -> dict[str, np.ndarray]:
    run = RunDirectory(run_dir)
    model = read_model(run.checkpoints, run.schema(), run.config().model)
    return named(nnx.split(model, nnx.Param)[1])


def saved_progress(run: RunDirectory) -> dict[str, Any]:
    with open_checkpoints(run.checkpoints, read_only=True) as manager:
        items = ocp.args.Composite(progress=ocp.args.JsonRestore())
        return manager.restore(manager.latest_step(), args=items)["progress"]


@pytest_ignore
def test_a_federated_run_is_a_complete_run_directory(trained, federated):
    out, said = federated
    assert "120 clients; 30 per round on average" in said and "epsilon = " in said
    assert "before the first round: validation recall@10" in said and "after - before" in said
    run = RunDirectory(out)
    assert [line["epoch"] for line in run.metrics(5)] == [2, 4, 5]
    assert run.summary().train.steps == 5 and "transitions" in run.summary().baselines
    assert saved_progress(run)["best_score"] == run.metrics(5)[-1]["validation"]["ndcg@10"]
    privacy = json.loads((out / "federated.json").read_text())["privacy"]
    assert privacy["noise_multiplier"] == 0.5 and privacy["participation"] == 0.25

    before, after = parameters_of(trained / "run"), parameters_of(out)
    moved = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    assert moved == set(before) - set(ITEM_TABLES)

    process = call(compare.main, str(out), "run", cwd=trained)
    assert process.returncode == 0, process.stderr
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    process = convert(f"--run-dir={out}", cwd=trained)
    assert process.returncode == 0, process.stderr
    assert (out / "export" / "model.tflite").is_file()


@pytest_ignore
def test_a_killed_run_resumes_to_the_same_bits(trained, federated, monkeypatch):
    def stopped(path, value):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(record, "write_json", stopped)
        process = run_federate(trained, *ROUNDS, "--out=killed")
    # Interrupted before the first round: nothing is left.
    assert process.returncode == 130
    assert not [path for path in trained.iterdir() if "killed" in path.name]

    write = RunDirectory.write_metrics

    def killed(self, lines):
        write(self, lines)
        if len(lines) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "write_metrics", killed)
        process = run_federate(trained, *ROUNDS, "--out=killed")
    assert process.returncode == 130 and not (trained / "killed" / "summary.json").exists()
    for changed, why in (
        ("--rounds=6", "--rounds: 5, not 6"),
        ("--seed=1", "--seed: 0, not 1"),
        ("--noise-multiplier=0.6", "--noise-multiplier: 0.5, not 0.6"),
    ):
        process = run_federate(trained, *ROUNDS, "--out=killed", "--resume", changed)
        assert process.returncode == 2 and why in process.stderr
    process = run_federate(trained, *ROUNDS, "--out=killed", "--resume")
    assert process.returncode == 0, process.stderr
    ours, theirs = parameters_of(trained / "killed"), parameters_of(federated[0])
    assert {n: leaf.tobytes() for n, leaf in ours.items()} == {
        n: leaf.tobytes() for n, leaf in theirs.items()
    }
    process = run_federate(trained, *ROUNDS, "--out=killed", "--resume")
    assert process.returncode == 0 and "killed is finished" in process.stdout


@pytest_ignore
def test_a_log_of_other_users_is_encoded_with_the_ids_of_the_run(trained):
    catalogue = RunDirectory(trained / "run").catalogue()["item"].to_list()
    rng = np.random.default_rng(0)
    rows = [(u, i, t) for u in range(20) for t, i in enumerate(rng.choice(catalogue, 8).tolist())]
    rows += [(u, 10_000 + u, 9) for u in range(20)]
    log = pl.DataFrame(rows, schema=["who", "item", "timestamp"], orient="row")
    log.write_csv(trained / "others.csv")
    flags = ["--dataset=others.csv", "--log.user=who", "--rounds=1", "--clients=20"]
    flags += ["--server-learning-rate=0.5"]
    process = run_federate(trained, *flags, "--out=taught")
    assert process.returncode == 0, process.stderr
    assert "dropped: 20 by the vocabulary of the run" in process.stdout
    assert "20 items are unknown to the run" in process.stdout
    taught, source = RunDirectory(trained / "taught"), RunDirectory(trained / "run")
    for name in ("vocabulary.json", "schema.json"):
        assert (taught.path / name).read_bytes() == (source.path / name).read_bytes()
    assert taught.catalogue().equals(source.catalogue())
    protocol = taught.summary().protocol
    assert (protocol.dataset, protocol.test_users) == ("others", 20)
    assert set(taught.heldout().target.tolist()) <= set(range(1, len(catalogue) + 1))


def copy_of(run_dir: Path, target: Path, file: str, **changes) -> Path:
    """Copy a run with changed fields in one of its files."""
    shutil.copytree(run_dir, target)
    read, write = (
        (tomllib.loads, tomli_w.dumps) if file == "config.toml" else (json.loads, json.dumps)
    )
    saved = read((target / file).read_text())
    (target / file).write_text(write({**saved, **changes}))
    return target


def assert_refused(folder: Path, flags: list[str], why: str) -> None:
    before = sorted(folder.iterdir())
    process = run_federate(folder, "--out=never", *flags)
    assert process.returncode == 2, (flags, process.stdout, process.stderr)
    assert process.stderr.count("\n") == 1 and why in process.stderr, process.stderr
    assert sorted(folder.iterdir()) == before


@pytest_ignore
def test_an_epsilon_out_of_reach_is_one_line_and_leaves_nothing(trained):
    pytest.importorskip("dp_accounting", reason="needs the extra federated")
    why = "--epsilon=0.01 cannot be reached"
    assert_refused(trained, ["--epsilon=0.01", "--clients=100"], why)


@pytest_ignore
def test_each_refusal_is_one_line_and_leaves_nothing(trained, tmp_path):
    weighted = copy_of(
        trained / "run", tmp_path / "weighted", "config.toml", **{"target-weight": "rating"}
    )
    unfinished = tmp_path / "unfinished"
    shutil.copytree(trained / "run", unfinished)
    (unfinished / "summary.json").unlink()
    feature = {"name": "hour", "of": "moment", "kind": "id", "size": 24}
    features = copy_of(trained / "run", tmp_path / "told", "schema.json", features=[feature])
    (tmp_path / "strange.csv").write_text("user,item,timestamp\na,nothing,1\n")
    for flags, why in (
        ([f"--run-dir={unfinished}"], "is not finished; finish it with --resume"),
        ([f"--run-dir={tmp_path}"], "is not a run directory"),
        ([f"--run-dir={weighted}"], "cannot be federated: it has target weights"),
        ([f"--run-dir={features}"], "cannot be federated: it has features"),
        (["--clients=121"], "--clients=121 is more than the 120 users"),
        (["--share=all"], "--share=all sends the item table"),
        (["--epsilon=1", "--noise-multiplier=1"], "omit one of them"),
        (["--delta=0.001"], "--delta=0.001 needs --noise-multiplier"),
        (["--clip-norm=nan"], "--clip-norm=nan is out of range"),
        (["--out=run"], "--out=run is the run that is continued"),
        (["--log.user=who"], "--log.user=who needs --dataset"),
        (["--out=run/checkpoints"], "--out=run/checkpoints contains other files and no run"),
        ([f"--dataset={tmp_path / 'strange.csv'}"], "the run has none of the items of the log"),
        (["--dataset=nowhere.csv"], "nowhere.csv is not a file"),
    ):
        assert_refused(trained, flags, why)
