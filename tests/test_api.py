"""The public API of `import jaxrec`, and the examples in its docstrings."""

import inspect
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import get_type_hints

import polars as pl
import pytest

import jaxrec
from jaxrec.config.experiment import Config
from jaxrec.config.fields import flag_values
from jaxrec.training.keyword_settings import Settings
from tests.exports import small_log


def small_settings(encoder: str) -> Settings:
    """Return settings that train in seconds."""
    return {
        "encoder": encoder,
        "embedding_dim": 8,
        "hidden_units": 12,
        "history_length": 5,
        "epochs": 2,
    }


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """Return a folder with a log, a run trained on it, and the exported file."""
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    folder = tmp_path_factory.mktemp("shop")
    small_log().rename({"user": "customer", "item": "sku", "timestamp": "bought_at"}).write_csv(
        folder / "log.csv"
    )
    log = jaxrec.read_log(folder / "log.csv", user="customer", item="sku", time="bought_at")
    run = jaxrec.train(log, directory=folder / "runs/shop", **small_settings("rnn"))
    jaxrec.export(run, recipe="float32")
    return folder


def examples() -> dict[str, str]:
    """Return the code under "Example::" in the docstring of each public name."""
    found = {}
    for name in jaxrec.__all__:
        docstring = inspect.getdoc(getattr(jaxrec, name)) or ""
        _, _, block = docstring.partition("Example::\n")
        found[name] = textwrap.dedent(block.partition("\n\n    @")[0])
    return found


@pytest.mark.slow
def test_every_public_name_has_an_example_that_runs(shop, monkeypatch, capsys):
    monkeypatch.chdir(shop)
    code = examples()
    assert all(code.values()), [name for name in code if not code[name]]
    # `train` goes first: another example compares with its run.
    for name in sorted(code, key=lambda name: name != "train"):
        exec(compile(code[name], f"jaxrec.{name}", "exec"), {"jaxrec": jaxrec})
    message = capsys.readouterr().out
    assert "no-such-log.csv is not a file" in message


def test_a_loaded_run_reports_its_saved_metrics(shop):
    run = jaxrec.Run.load(shop / "runs" / "shop")
    recall = run.summary.test.means["recall@10"]
    assert run.summary.model.encoder == "rnn"
    assert f"{recall:.4f}" in run.report() and "popularity" in run.report()


def test_training_with_the_saved_config_reproduces_the_run(shop, tmp_path):
    """Check that training by the config.toml of a run gives the same test metrics."""
    log = jaxrec.read_log(shop / "log.csv", user="customer", item="sku", time="bought_at")
    saved = shop / "runs" / "shop" / "config.toml"
    again = jaxrec.train(log, config=saved, directory=tmp_path / "again")
    assert again.summary.test == jaxrec.Run.load(shop / "runs" / "shop").summary.test


@pytest.mark.slow
def test_a_keyword_argument_overrides_the_config_file(shop, tmp_path):
    log = jaxrec.read_log(shop / "log.csv", user="customer", item="sku", time="bought_at")
    saved = shop / "runs" / "shop" / "config.toml"
    run = jaxrec.train(
        log,
        config=saved,
        encoder="transformer",
        transformer={"blocks": 1},
        epochs=1,
        directory=tmp_path / "run",
    )
    assert run.summary.model.encoder == "transformer"
    assert run.summary.train.epochs == 1


@pytest.mark.parametrize("kind", ["polars", "lazy", "pandas", "arrow"])
def test_a_table_in_memory_is_read_as_a_log(kind, tmp_path, capsys):
    frame = small_log()
    if kind == "pandas":
        pytest.importorskip("pandas")
        table = frame.to_pandas()
    elif kind == "arrow":
        pytest.importorskip("pyarrow")
        table = frame.to_arrow()
    else:
        table = frame.lazy() if kind == "lazy" else frame
    log = jaxrec.read_log(table)
    assert (log.rows, log.users, log.items) == (frame.height, 60, 20)
    assert capsys.readouterr().out.startswith(f"dataframe: {frame.height:,} rows, 60 users")
    if kind == "polars":
        run = jaxrec.train(log, directory=tmp_path / "run", **small_settings("bow"))
        frame.write_csv(tmp_path / "log.csv")
        other = jaxrec.train(
            jaxrec.read_log(tmp_path / "log.csv"),
            directory=tmp_path / "other",
            **small_settings("bow"),
        )
        assert run.summary.test == other.summary.test


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encodr": "rnn"}, "encodr, which is not a setting; did you mean encoder?"),
        ({"encoder": "gru"}, "--encoder=gru is unknown"),
        ({"epochs": 0}, "--epochs=0 is out of range"),
        ({"epochs": "3"}, "epochs is '3'; give a whole number"),
        ({"transformer": {"blocks": 1}}, "--transformer.blocks=1 needs --encoder=transformer"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, tmp_path):
    log = jaxrec.read_log(small_log())
    with pytest.raises(jaxrec.UserError, match=message) as caught:
        jaxrec.train(log, directory=tmp_path / "run", **arguments)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_an_object_that_is_not_a_table_is_rejected():
    with pytest.raises(jaxrec.UserError, match="a log of dict cannot be read; give a path"):
        jaxrec.read_log({"user": [1]})


def test_an_error_names_the_row_of_a_table_in_memory(tmp_path):
    table = pl.DataFrame({"user": ["a", None], "item": [1, 2], "timestamp": [3, 4]})
    with pytest.raises(jaxrec.UserError, match="dataframe, row 2: column 'user' is empty"):
        jaxrec.read_log(table)


def test_settings_are_the_fields_of_the_configuration():
    of_a_log = {"dataset", "items", "users"}
    of_groups = {"log", "item_table", "user_table"}
    flags = [flag[2:].replace("-", "_") for flag in flag_values(Config())]
    groups = {flag.partition(".")[0] for flag in flags if "." in flag} - of_groups
    plain = {flag for flag in flags if "." not in flag} - of_a_log
    assert set(get_type_hints(Settings)) == plain | groups


def test_import_does_not_load_heavy_dependencies():
    code = "import sys, jaxrec; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    )
    names = {name.partition(".")[0] for name in loaded.stdout.split()}
    assert not names & {"jax", "numpy", "polars", "tensorflow", "ai_edge_litert"}


def test_an_unknown_attribute_raises_attribute_error():
    with pytest.raises(AttributeError, match="module 'jaxrec' has no attribute 'fit'"):
        jaxrec.fit  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
    assert set(jaxrec.__all__) <= set(dir(jaxrec))
