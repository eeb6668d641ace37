"""A log of users, and the lists that the command `recommend` writes for them."""

from pathlib import Path

import polars as pl

from jaxrec.cli import recommend
from jaxrec.data.sources.synthetic import synthetic_world
from tests.exports import call


def make_log() -> pl.DataFrame:
    """Return the log of the first 100 users in the training data of the runs, with unique times."""
    log = synthetic_world(users=600, items=150, seed=0).log.select("user", "item")
    log = log.with_columns(timestamp=pl.int_range(pl.len()))
    return log.filter(pl.col("user").is_in(log["user"].unique().sort()[:100].implode()))


def write_lists(log: pl.DataFrame, model: Path, folder: Path, *flags: str) -> pl.DataFrame:
    """Run the command on a log with Parquet output, and return the lists."""
    log.write_parquet(folder / "log.parquet")
    flags = (f"--model={model}", "--log=log.parquet", "--out=lists.parquet", *flags)
    process = call(recommend.main, *flags, cwd=folder)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return pl.read_parquet(folder / "lists.parquet")
