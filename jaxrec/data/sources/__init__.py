"""Sources: where logs come from. All return `Interactions`."""

import glob
from pathlib import Path

from jaxrec.config import DataConfig
from jaxrec.data.interactions import Interactions
from jaxrec.data.sources.movielens import MOVIELENS, load_movielens
from jaxrec.data.sources.own_log import load_table
from jaxrec.data.sources.synthetic import synthetic_world
from jaxrec.data.sources.table_file import FORMATS
from jaxrec.errors import UserError


def load_interactions(config: DataConfig, *, seed: int) -> Interactions:
    """Read the log that the configuration names.

    Raises:
        UserError: it is missing, unreadable or unknown.
    """
    name = config.dataset
    if name == "synthetic":
        return synthetic_world(
            users=config.synthetic_users, items=config.synthetic_items, seed=seed
        )
    if name in MOVIELENS:
        return load_movielens(name, Path(config.data_dir) if config.data_dir else None)
    if Path(name).suffix or Path(name).exists() or glob.has_magic(name):
        return load_table(name, config, config)
    raise UserError(
        f"unknown --dataset={name}; give synthetic, {', '.join(MOVIELENS)}, or the path of a "
        f"table: {FORMATS}"
    )
