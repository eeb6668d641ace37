"""Sources: where logs come from. All return `Interactions`."""

from pathlib import Path

from jaxrec.config import DataConfig
from jaxrec.data.interactions import Interactions
from jaxrec.data.sources.movielens import MOVIELENS, load_movielens
from jaxrec.data.sources.own_log import Columns, load_table
from jaxrec.data.sources.synthetic import synthetic_world
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
    if Path(name).suffix:
        columns = Columns(
            config.user_column, config.item_column, config.time_column, config.rating_column
        )
        return load_table(Path(name), columns, Path(config.items) if config.items else None)
    raise UserError(
        f"unknown --dataset={name}; give synthetic, {', '.join(MOVIELENS)}, or the path of a "
        ".csv or .parquet file"
    )
