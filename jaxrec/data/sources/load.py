"""Loading of the log that a configuration names, from any source."""

import glob
from pathlib import Path

import polars as pl

from jaxrec.config.fields import changed_flags, refuse_unused
from jaxrec.data.data_config import DataConfig
from jaxrec.data.events import require_events
from jaxrec.data.feature_names import feature_names
from jaxrec.data.interactions import Interactions
from jaxrec.data.ordered import OrderedLog, order_log
from jaxrec.data.prepared import is_prepared, read_prepared
from jaxrec.data.sources.movielens import MOVIELENS, load_movielens
from jaxrec.data.sources.own_log import SideTables, load_table
from jaxrec.data.sources.synthetic import synthetic_world
from jaxrec.data.sources.table_file import FORMATS, IN_MEMORY
from jaxrec.data.target_weights import weight_columns
from jaxrec.errors import UserError

# Settings that only some sources read, and the flag that selects such a source.
_READERS = {
    "data_dir": "--dataset=ml-1m or another MovieLens release",
    "synthetic": "--dataset=synthetic",
    "log": "--dataset=FILE",
    "items": "--dataset=FILE",
    "item_table": "--items=FILE",
    "users": "--dataset=FILE",
    "user_table": "--users=FILE",
}
_LOG_FILE_SETTINGS = {"log", "items", "item_table", "users", "user_table"}


def load_ordered(config: DataConfig, *, seed: int, table: pl.DataFrame | None = None) -> OrderedLog:
    """Load the log that the configuration names, ordered by user and time.

    Args:
        table: the log itself, if it is in memory; the configuration then says how to read it.

    Raises:
        UserError: if the log is missing, unreadable or unknown, if a flag does not apply to it, or
            if the filters drop every row.
    """
    if not is_prepared(config.dataset):
        interactions = load_interactions(config, seed=seed, table=table)
        return order_log(interactions, config.filters, config.break_ties)
    config.requested_heads()
    for flag, value in changed_flags(config, "filters", "break_ties", *_READERS).items():
        raise UserError(
            f"{flag}={value} does not apply to --dataset={config.dataset}, which is prepared; give "
            "it to `jaxrec prepare`, or omit it"
        )
    return read_prepared(Path(config.dataset))


def load_interactions(
    config: DataConfig, *, seed: int, table: pl.DataFrame | None = None
) -> Interactions:
    """Load the rows of the log that the configuration names, in the order of the source.

    Args:
        table: the log itself, if it is in memory; the configuration then says how to read it.

    Raises:
        UserError: if the log is missing, unreadable or unknown, or a flag does not apply to it.
    """
    name, columns = config.dataset, weight_columns(config)
    require_events(config)
    config.requested_heads()
    if is_prepared(name):
        raise UserError(
            f"--dataset={name} is a prepared folder; give the log that it was made from"
        )
    if name == "synthetic":
        _refuse_all_but(config, {"synthetic"})
        world = config.synthetic
        return synthetic_world(users=world.users, items=world.items, seed=seed, drift=world.drift)
    if name in MOVIELENS:
        _refuse_all_but(config, {"data_dir"})
        return load_movielens(
            name,
            Path(config.data_dir) if config.data_dir else None,
            with_users=config.user_features is not None,
        )
    if table is not None or Path(name).suffix or Path(name).exists() or glob.has_magic(name):
        _refuse_all_but(config, _LOG_FILE_SETTINGS)
        tables = SideTables(
            config.items,
            config.item_table,
            feature_names(config, "item"),
            config.users,
            config.user_table,
            feature_names(config, "user"),
        )
        return load_table(
            name if table is None else table,
            config.log,
            tables,
            others={
                **dict.fromkeys(columns, "--target-weight"),
                **dict.fromkeys(feature_names(config, "activity"), "--activity-features"),
            },
        )
    if name == IN_MEMORY:
        raise UserError(
            f"--dataset={name} was a table in memory; write it to a file, and give its path"
        )
    raise UserError(
        f"unknown --dataset={name}; give synthetic, {', '.join(MOVIELENS)}, or the path of a "
        f"table: {FORMATS}"
    )


def _refuse_all_but(config: DataConfig, read: set[str]) -> None:
    """Raise for a changed setting outside `read`, so that none is ignored silently."""
    for name, reader in _READERS.items():
        if name not in read:
            refuse_unused(config, reader, name)
