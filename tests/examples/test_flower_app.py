"""The Flower app without Flower: client updates, server aggregation, pinned versions.

`python examples/flower/check.py` runs the app under Flower.
"""

import re
import tomllib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jaxrec_flower import device, server, wire
from packaging.requirements import Requirement

from jaxrec.cli import federate
from jaxrec.cli import train as run_command
from jaxrec.errors import UserError
from jaxrec.federated.averaging import init_server_state, round_keys
from jaxrec.federated.settings import FederatedConfig
from jaxrec.federated.sharing import split_params
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.checkpoint import read_model
from tests import ROOT

APP = ROOT / "examples" / "flower"
PROJECT = tomllib.loads((APP / "pyproject.toml").read_text())
GIVEN = PROJECT["tool"]["flwr"]["app"]["config"]
SETTINGS = FederatedConfig(rounds=1, clients=2, local_steps=3, clip_norm=0.05, seed=4)

SHARED = {"a": jnp.zeros((2, 3)), "b": jnp.zeros(4)}
UPDATE = {name: np.full(leaf.shape, 0.001, np.float32) for name, leaf in SHARED.items()}
COUNTS = {"excluded": 0, "clipped": 1, "targets": 7}


def pins() -> dict[str, str]:
    lines = (APP / "requirements.txt").read_text().splitlines()
    found = [re.fullmatch(r"([\w.-]+)==([\w.+-]+)", line) for line in lines if line[0] != "#"]
    assert all(found), "only versions stand in it, and no address"
    return {each[1].lower().replace("_", "-"): each[2] for each in found if each}


def test_pinned_versions_satisfy_the_project_and_the_app():
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = ours["optional-dependencies"]
    required = ours["dependencies"] + extras["train"] + extras["federated"]
    names = set()
    for each in map(Requirement, required + PROJECT["project"]["dependencies"]):
        if each.name != "jaxrec":
            assert each.specifier.contains(pins()[each.name.lower()]), each
            names.add(each.name)
    assert names >= {"jax", "flax", "numpy", "flwr"}


def test_app_settings_are_parsed_as_those_of_federate():
    settings = wire.settings_of(GIVEN)
    assert settings == FederatedConfig(rounds=1, clients=2, server_learning_rate=1.0)
    assert wire.settings_of({**GIVEN, "seed": 5, "clip-norm": 2.0}).seed == 5
    with pytest.raises(UserError, match="--clip-norm=0 is out of range"):
        wire.settings_of({**GIVEN, "clip-norm": 0.0})


def test_updates_are_summed_unchanged():
    summed, sums = server.aggregate([(UPDATE, COUNTS)] * 2, 3, SHARED, SETTINGS)
    np.testing.assert_allclose(summed["a"], 0.002, rtol=1e-6)
    assert sums == server.RoundSums(asked=3, excluded=1, clipped=2, targets=14)


@pytest.mark.parametrize(
    ("update", "counts"),
    [
        ({**UPDATE, "history": np.ones(3, np.float32)}, COUNTS),
        ({"a": UPDATE["a"]}, COUNTS),
        ({**UPDATE, "b": np.ones(5, np.float32)}, COUNTS),
        ({**UPDATE, "b": np.ones(4, np.float64)}, COUNTS),
        ({**UPDATE, "b": np.full(4, np.nan, np.float32)}, COUNTS),
        (UPDATE, {**COUNTS, "loss": 1.0}),
        (UPDATE, {**COUNTS, "excluded": 1}),
    ],
)
def test_malformed_client_updates_are_excluded(update, counts):
    summed, sums = server.aggregate([(update, counts), (UPDATE, COUNTS)], 2, SHARED, SETTINGS)
    np.testing.assert_allclose(summed["a"], 0.001, rtol=1e-6)
    assert sums == server.RoundSums(asked=2, excluded=1, clipped=1, targets=7)


def test_the_server_clips_updates():
    huge = {name: np.full(leaf.shape, 1e6, np.float32) for name, leaf in SHARED.items()}
    summed, _ = server.aggregate([(huge, COUNTS)], 1, SHARED, SETTINGS)
    length = np.sqrt(sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(summed)))
    assert length == pytest.approx(SETTINGS.clip_norm, rel=1e-5)


def test_rounds_are_reproducible_only_with_a_seed():
    ours, theirs = server.draw_keys(4, 2), round_keys(4, 2)
    assert all(
        map(jnp.array_equal, map(jax.random.key_data, ours), map(jax.random.key_data, theirs))
    )
    drawn = [each for _ in range(2) for each in server.draw_keys(wire.NO_SEED, 0)]
    assert len({jax.random.key_data(each).tobytes() for each in drawn}) == 8


def test_noise_with_a_known_seed_gives_no_privacy_guarantee():
    pytest.importorskip("dp_accounting", reason="needs the extra federated")
    noisy = FederatedConfig(rounds=1, clients=2, noise_multiplier=1.5)
    noise, privacy, _ = server.protection(noisy, wire.NO_SEED, 10)
    assert noise == 1.5 and privacy is not None and privacy.participation == 0.2
    noise, privacy, notes = server.protection(noisy, 4, 10)
    assert (
        noise == 1.5 and privacy is None and notes == ["seed=4 is known, so noise protects no user"]
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Train a run, and write one log per user and one of both users."""
    folder = tmp_path_factory.mktemp("flower")
    flags = ["--synthetic.users=60", "--synthetic.items=40", "--encoder=bow", "--epochs=1"]
    flags += ["--embedding-dim=8", "--hidden-units=8", f"--run-dir={folder / 'run'}"]
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        assert run_command.main(flags) == 0
    items = RunDirectory(folder / "run").vocabulary().values.to_list()
    logs = [[f"{user},{items[user + 2 * n]},{n}" for n in range(9)] for user in range(2)]
    for name, rows in (("0", logs[0]), ("1", logs[1]), ("both", logs[0] + logs[1])):
        (folder / f"{name}.csv").write_text("\n".join(["user,item,timestamp", *rows]))
    return folder


@pytest.mark.slow
def test_devices_and_server_match_a_round_of_federate(world):
    flags = ["--rounds=1", "--clients=2", "--local-steps=3", "--clip-norm=0.05", "--seed=4"]
    flags += [f"--run-dir={world / 'run'}", f"--dataset={world / 'both.csv'}"]
    assert federate.main([*flags, f"--out={world / 'ours'}"]) == 0

    source = server.read_source(world / "run")
    state, keys = init_server_state(source.model.params, SETTINGS), server.draw_keys(4, 0)
    shared, _ = split_params(state.params, SETTINGS.shared_parameters)
    sent = {name: np.asarray(jax.random.key_data(getattr(keys, name))) for name in wire.FOR_DEVICES}
    answers = []
    for number in range(2):
        device_state = device.open_device(world / "run", world / f"{number}.csv", number, SETTINGS)
        answers.append(device.device_update(device_state, wire.to_arrays(shared), sent, SETTINGS))
    summed, sums = server.aggregate(answers, 2, shared, SETTINGS)
    state = server.apply_update(state, summed, keys.noise, SETTINGS, 0.0)
    out = RunDirectory(world / "theirs")
    server.begin_run(out, source, SETTINGS, 4, 2, None, ["nothing"])
    server.finish_run(out, source, state, sums, 1.0)

    assert sums.asked == 2 and sums.excluded == 0 and sums.targets > 0
    ours, theirs = (parameters(world / name) for name in ("ours", "theirs"))
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], rtol=1e-5, atol=1e-7, err_msg=name)
    moved = parameters(world / "run")
    assert any(np.abs(array - moved[name]).max() > 1e-4 for name, array in ours.items())
    assert out.is_finished


def parameters(run: Path) -> dict[str, np.ndarray]:
    source = RunDirectory(run)
    model = read_model(source.checkpoints, source.schema(), source.config().model)
    return wire.to_arrays(nnx.split(model, nnx.Param)[1])


def test_the_log_of_a_device_must_have_one_user(world):
    with pytest.raises(UserError, match=r"both\.csv has 2 users; the log of a device has one"):
        device.open_device(world / "run", world / "both.csv", 0, SETTINGS)
