"""Sources: where logs come from. All return `Interactions`, but for a prepared folder."""

import glob
from dataclasses import fields, replace
from pathlib import Path

from jaxrec.config import (
    DataConfig,
    FilterConfig,
    ItemsConfig,
    LogConfig,
    UsersConfig,
    feature_names,
    flag_of,
    given,
)
from jaxrec.data.events import require_events
from jaxrec.data.interactions import Interactions
from jaxrec.data.labels import label_columns
from jaxrec.data.ordered import OrderedLog, order
from jaxrec.data.prepared import is_prepared, read_prepared
from jaxrec.data.sources.item_table import require_items
from jaxrec.data.sources.movielens import MOVIELENS, load_movielens
from jaxrec.data.sources.own_log import load_table
from jaxrec.data.sources.synthetic import synthetic_world
from jaxrec.data.sources.table_file import FORMATS
from jaxrec.data.sources.user_table import require_users
from jaxrec.errors import UserError

_OF_A_TABLE = {
    flag_of(spec.name) for part in (LogConfig, ItemsConfig, UsersConfig) for spec in fields(part)
}
_OF_PREPARING = {flag_of(spec.name) for spec in fields(FilterConfig)}
_OF_MOVIELENS = {"--data-dir"}
_OF_THE_SYNTHETIC = {"--synthetic-users", "--synthetic-items"}
_OF_DESCRIPTIONS = {
    flag_of(spec.name) for part in (ItemsConfig, UsersConfig) for spec in fields(part)
}


def load_ordered(config: DataConfig, *, seed: int) -> OrderedLog:
    """Read the log that the configuration names, and order it if that is not done.

    Raises:
        UserError: it is missing, unreadable or unknown, a flag says nothing of it, or nothing is
            left of it.
    """
    if not is_prepared(config.dataset):
        return order(load_interactions(config, seed=seed), config)
    _refuse(
        config,
        _OF_A_TABLE | _OF_PREPARING | _OF_MOVIELENS | _OF_THE_SYNTHETIC,
        ", which is prepared; give it to prepare.py, or leave it out",
    )
    return read_prepared(Path(config.dataset))


def load_interactions(config: DataConfig, *, seed: int) -> Interactions:
    """Read the log that the configuration names.

    Raises:
        UserError: it is missing, unreadable or unknown, or a flag says nothing of it.
    """
    name, columns = config.dataset, label_columns(config)
    require_events(config)
    if is_prepared(name):
        raise UserError(f"--dataset={name} is a prepared folder; give the log that it was made of")
    if name == "synthetic":
        _refuse(config, _OF_A_TABLE | _OF_MOVIELENS)
        return synthetic_world(
            users=config.synthetic_users,
            items=config.synthetic_items,
            seed=seed,
        )
    if name in MOVIELENS:
        _refuse(config, _OF_A_TABLE | _OF_THE_SYNTHETIC)
        return load_movielens(
            name,
            Path(config.data_dir) if config.data_dir else None,
            with_users=config.user_features is not None,
        )
    if Path(name).suffix or Path(name).exists() or glob.has_magic(name):
        _refuse(config, _OF_MOVIELENS | _OF_THE_SYNTHETIC)
        require_items(config)
        require_users(config, feature_names(config, "user"))
        return load_table(
            name,
            config,
            config,
            config,
            item_features=feature_names(config, "item"),
            user_features=feature_names(config, "user"),
            others={
                **dict.fromkeys(columns, "--label-weight"),
                **dict.fromkeys(feature_names(config, "activity"), "--activity-features"),
            },
        )
    raise UserError(
        f"unknown --dataset={name}; give synthetic, {', '.join(MOVIELENS)}, or the path of a "
        f"table: {FORMATS}"
    )


def of_another_log(config: DataConfig, dataset: str) -> DataConfig:
    """Return the configuration of another log, which is read as that of `config`.

    What belongs to one log alone has its default: where it lies, how large it is, and the tables
    that describe its items and users.
    """
    belongs = _OF_DESCRIPTIONS | _OF_MOVIELENS | _OF_THE_SYNTHETIC
    defaults = {
        spec.name: spec.default for spec in fields(DataConfig) if flag_of(spec.name) in belongs
    }
    return replace(config, dataset=dataset, **defaults)


def _refuse(config: DataConfig, flags: set[str], remedy: str = "; leave it out") -> None:
    """Refuse flags of another source: nothing is ignored in silence."""
    for flag, value in given(config, DataConfig).items():
        if flag in flags:
            raise UserError(f"{flag}={value} says nothing of --dataset={config.dataset}{remedy}")
