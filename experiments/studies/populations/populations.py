r"""Split a log into two populations: one to train a model on, and one to adapt it to.

    python experiments/studies/populations/populations.py --dataset=ml-1m --user-features=age \
        --out=populations
    python experiments/studies/populations/populations.py --dataset=log.csv --until=0.8 \
        --out=populations
    python experiments/studies/populations/populations.py --drift=1 --out=populations

Splits by a column of the users: of MovieLens 1M, the first population is under 35, and the second
45 and older. By time: the first log is the earliest 80% of the interactions, and the second has all
interactions of the users who continue afterwards. Or by drift: in the synthetic log, every other
user prefers other genres than the first population, as often as --drift says. Writes shipped.csv,
others.csv, and everybody.csv with both, all with the columns user, item and timestamp. The last has
only the items of a run on shipped.csv, so that a model trained on it ranks the same candidates
(train it with --min-item-interactions=1).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from experiments.studies.populations.drifted_world import POPULATIONS, drifted_world
from jaxrec.cli.command_line import command
from jaxrec.config.fields import Flat
from jaxrec.data.data_config import DataConfig
from jaxrec.data.feature_names import feature_names
from jaxrec.data.gaps import DAY
from jaxrec.data.interactions import FilterConfig, Interactions, count_items, frequent_items
from jaxrec.data.sources.load import load_interactions
from jaxrec.errors import UserError
from jaxrec.files import replacing


@dataclass(frozen=True)
class PopulationFlags:
    """Log, and the split into two populations."""

    data: Flat[DataConfig] = field(default_factory=DataConfig)
    first: str = "1,18,25"
    """values of the column of --user-features, as printed, of the first population"""
    second: str = "45,50,56"
    """its values of the second population"""
    until: float | None = None
    """split by time instead: the share of the interactions, the earliest, in the first log"""
    drift: float | None = None
    """split the synthetic log instead: how often every other user prefers another genre than the
    first population, from 0 to 1"""
    out: Path = Path("populations")
    """folder of the logs"""


def run(flags: PopulationFlags) -> None:
    """Read a log, cut it into populations and write them.

    Raises:
        UserError: an error that the user can fix.
    """
    logs = load_and_cut(flags)
    flags.out.mkdir(parents=True, exist_ok=True)
    for name, log in logs.items():
        path = flags.out / f"{name}.csv"
        with replacing(path) as file:
            log.select("user", "item", "timestamp").write_csv(file)
        print(f"{path}: {log.height:,} interactions of {log['user'].n_unique():,} users")


def load_and_cut(flags: PopulationFlags) -> Mapping[str, pl.DataFrame]:
    """Load the log, and cut it in the one way that the flags select.

    Raises:
        UserError: the flags select no way or several, or the log cannot be read or cut.
    """
    data, names = flags.data, feature_names(flags.data, "user")
    if flags.until is not None and not 0 < flags.until < 1:
        raise UserError(f"--until={flags.until} is out of range; give more than 0 and less than 1")
    ways = (len(names) == 1, flags.until is not None, flags.drift is not None)
    if sum(ways) != 1 or len(names) > 1:
        raise UserError(
            "a log is split by one column of its users, by time or by drift; give one of "
            "--user-features=age, --until=0.8 and --drift=1"
        )
    if flags.drift is not None:
        interactions = load_drifted(data, flags.drift)
        return cut(interactions, "population", *([name] for name in POPULATIONS))
    interactions = load_interactions(data, seed=0)
    if flags.until is not None:
        return cut_by_time(interactions, flags.until)
    return cut(interactions, names[0], flags.first.split(","), flags.second.split(","))


def load_drifted(data: DataConfig, drift: float) -> Interactions:
    """Generate the synthetic world with a drift.

    Raises:
        UserError: the drift is not from 0 to 1, or flags of another log are given.
    """
    if not 0 <= drift <= 1:
        raise UserError(f"--drift={drift:g} is out of range; give 0 to 1")
    world = data.synthetic
    if data != DataConfig(synthetic=world):
        raise UserError(
            f"--drift={drift:g} is for the synthetic log; of the flags of a log, give only "
            "--synthetic.users and --synthetic.items"
        )
    return drifted_world(users=world.users, items=world.items, drift=drift)


def cut(
    interactions: Interactions, column: str, first: list[str], second: list[str]
) -> Mapping[str, pl.DataFrame]:
    """Return the logs of the first users, the second, and both with the items known to the first.

    Raises:
        UserError: a population is empty, or a value is given for both.
    """
    if both := set(first) & set(second):
        raise UserError(f"--first and --second both have {min(both)!r}; give each value once")
    users = interactions.users
    assert users is not None
    parts = {}
    for name, values in (("shipped", first), ("others", second)):
        own = users.filter(_as_printed(users[column]).is_in(values))
        parts[name] = interactions.log.join(own, on="user", how="semi", maintain_order="left")
        if parts[name].is_empty():
            present = ", ".join(_as_printed(users[column]).unique().sort().head(8))
            raise UserError(
                f"no user has the {column} {', '.join(values)}; the values are {present}"
            )
    return {**parts, "everybody": _of_known_items(pl.concat(parts.values()), parts["shipped"])}


def cut_by_time(interactions: Interactions, share: float) -> Mapping[str, pl.DataFrame]:
    """Return the log before a moment, that of users active before and after it, and the whole log.

    The moment is the start of a day (UTC) if the log has times in a known unit. The whole log is
    limited to the items that a run on the first would know.

    Raises:
        UserError: no user is active before and after the moment.
    """
    log, ticks = interactions.log, interactions.ticks_per_second
    day = DAY * ticks if ticks else 1
    moment = log["timestamp"].quantile(share, "lower")
    assert moment is not None
    is_before = pl.col("timestamp") < int(moment) // day * day
    shipped, later = log.filter(is_before), log.filter(~is_before)
    go_on = shipped.join(later, on="user", how="semi")
    if go_on.is_empty():
        raise UserError(f"--until={share} leaves no user who continues; give another share")
    others = log.join(go_on, on="user", how="semi", maintain_order="left")
    return {"shipped": shipped, "others": others, "everybody": _of_known_items(log, shipped)}


def _of_known_items(log: pl.DataFrame, shipped: pl.DataFrame) -> pl.DataFrame:
    """Keep the rows of items that a run on the log `shipped` would know."""
    known = frequent_items(count_items(shipped), FilterConfig())
    return log.join(known.to_frame("item"), on="item", how="semi", maintain_order="left")


def _as_printed(values: pl.Series) -> pl.Series:
    """Format values as strings, with whole numbers without a fraction."""
    if values.dtype.is_float():
        values = values.cast(pl.Int64)
    return values.cast(pl.String).alias("value")


main = command(
    run,
    remedy="free disk space or change permissions, or give another --out",
    interrupted="files that were written are complete",
)

if __name__ == "__main__":
    sys.exit(main())
