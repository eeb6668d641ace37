"""Recipes: each is a valid configuration, and README.md lists all of them."""

import re
from pathlib import Path

import pytest

from jaxrec.cli import train as command_of_train
from jaxrec.cli.command_line import parse
from jaxrec.cli.train import RunFlags
from jaxrec.config.experiment import Config
from jaxrec.models.model_config import check_encoder
from jaxrec.runs.directory import RunDirectory
from tests import ROOT
from tests.exports import call, run_train

FOLDER = ROOT / "experiments" / "recipes"
RECIPES = sorted(FOLDER.glob("*.toml"))
TINY = [
    *("--dataset=synthetic", "--synthetic.users=60", "--synthetic.items=30"),
    *("--embedding-dim=4", "--hidden-units=4", "--batch-size=16", "--epochs=1"),
]


def settings_of(path: Path, *flags: str) -> Config:
    return parse(RunFlags, [f"--config={path}", *flags]).settings


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_valid_and_states_its_metrics(path):
    config = settings_of(path)
    check_encoder(config.model)
    assert config != Config()
    figure = re.search(r"recall@10 (0\.\d{4}), NDCG@10 (0\.\d{4})", path.read_text())
    assert figure is not None
    (row,) = [line for line in table() if f"[{path.stem}]({path.name})" in line]
    assert all(each in row for each in figure.groups())


def table() -> list[str]:
    lines = (FOLDER / "README.md").read_text().splitlines()
    return [line for line in lines if line.startswith("| [")]


def test_the_table_lists_exactly_the_recipes():
    named = [name for line in table() for name in re.findall(r"\]\((.*?)\)", line)]
    assert sorted(named) == [path.name for path in RECIPES]


def test_a_flag_overrides_the_recipe(tmp_path):
    path = FOLDER / "ml-1m-small-transformer.toml"
    assert settings_of(path).model.transformer.blocks == 1
    changed = settings_of(path, "--transformer.blocks=3", "--dropout=0.5", "--epochs", "2")
    assert changed.model.transformer.blocks == 3
    assert (changed.model.dropout, changed.train.epochs) == (0.5, 2)
    assert changed.model.hidden_units == 64
    final = FOLDER / "beauty-final.toml"
    assert settings_of(final).data.train_on_validation
    assert not settings_of(final, "--no-train-on-validation").data.train_on_validation


@pytest.mark.slow
def test_a_recipe_distills_from_the_run_of_another(tmp_path):
    for name in ("ml-1m-rnn-n10", "ml-1m-small-transformer"):
        done = run_train(f"--config={FOLDER / name}.toml", *TINY, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    runs = tmp_path / "runs"
    assert {path.name for path in runs.iterdir()} == {"ml-1m-rnn-n10", "ml-1m-small-transformer"}
    taught = RunDirectory(runs / "ml-1m-small-transformer").config()
    assert taught.train.teacher == "runs/ml-1m-rnn-n10"


@pytest.mark.slow
def test_a_run_is_reproduced_from_its_config(tmp_path):
    first = run_train("--encoder=bow", *TINY, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (run,) = (tmp_path / "runs").iterdir()
    again = call(
        command_of_train.main, f"--config={run / 'config.toml'}", "--run-dir=again", cwd=tmp_path
    )
    assert again.returncode == 0, again.stderr
    one, other = RunDirectory(run), RunDirectory(tmp_path / "again")
    assert one.config() == other.config()
    assert (one.path / "ranks.npz").read_bytes() == (other.path / "ranks.npz").read_bytes()
    assert one.summary().test == other.summary().test


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        ("epoch = 3", [], "bad.toml has epoch, which is not a setting; did you mean epochs?"),
        ("epochs = 0", [], "bad.toml: --epochs=0 is out of range; give 1 to 100000"),
        ("run-dir = 'x'", [], "bad.toml has run-dir, which is not a setting"),
        ("epochs = 3", ["--epochs=0"], "--epochs=0 is out of range"),
        ("epochs = 3", ["--speed=9"], "--speed"),
        ("epochs =", [], "bad.toml is not valid TOML"),
        (None, [], "bad.toml is not a file; give --config=FILE"),
        (
            "[transformer]\nblocks = 1",
            [],
            "--transformer.blocks=1 needs --encoder=transformer",
        ),
    ],
)
def test_an_invalid_config_is_one_line_and_trains_nothing(tmp_path, text, flags, message):
    if text is not None:
        (tmp_path / "bad.toml").write_text(text)
    done = run_train("--config=bad.toml", *flags, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
