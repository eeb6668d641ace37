r"""Measure the recall of items that are not in the training data, embedded by features alone.

    python experiments/studies/cold_start/cold_start.py --item-features=genres,year
    python experiments/studies/cold_start/cold_start.py --item-features=genres,year \
        --dataset=ml-1m --epochs=5

Holds out a tenth of the items, trains on the rest, and adds the held-out items by their features.
Each user's first held-out item is then ranked among all items, old and new, given the history
before it. The baselines are the popularity of an item's features, their overlap with those of the
history, and chance.

New items rank below similar items of the training data. So their scores are boosted as an export
does: by the largest boost that costs the validation targets among the other items at most
--new-items-cost of their recall@10.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.cli.command_line import command
from jaxrec.cli.settings import SettingsFlags
from jaxrec.config.experiment import Config
from jaxrec.conversion.boost import compute_margins, describe_boost, find_boost, measure_boost
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.feature_names import feature_names
from jaxrec.data.interactions import Interactions
from jaxrec.data.item_features import ItemFeature, ids_by_name
from jaxrec.data.sources.load import load_interactions
from jaxrec.data.vocabulary import Vocabulary
from jaxrec.errors import UserError
from jaxrec.evaluation.ranking import Histories, Scorer, model_scorer, rank
from jaxrec.evaluation.scores import materialize_scores
from jaxrec.models.folding import append_items
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.heldout import Heldout, draw_heldout
from jaxrec.runs.report import figures_of, plus_minus
from jaxrec.runs.text_table import format_table
from jaxrec.schema import ITEM, PAD
from jaxrec.training.compilation_cache import enable_compilation_cache
from jaxrec.training.fit import init_model
from jaxrec.training.loop import train


@dataclass(frozen=True)
class ColdStartFlags(SettingsFlags):
    """Held-out items, and the boost of their scores."""

    held_out_share: float = 0.1
    """share of the items to hold out"""
    new_items_cost: float = 0.05
    """share of their recall@10 that the other items may lose by the boost"""


@dataclass(frozen=True, eq=False)
class Trial:
    """A ranking task with held-out items.

    Attributes:
        dataset: the whole log, in which the trained items come first, with the ids of the training.
        positions: the position of each user's first held-out item.
        old: V of the training; items with larger ids were held out.
        features: the features of all items.
        counts: how often each item is a training target, 0 for held-out items, [R].
    """

    dataset: Dataset
    positions: Int[np.ndarray, " n"]
    old: int
    features: tuple[ItemFeature, ...]
    counts: Int[np.ndarray, " R"]


def run(flags: ColdStartFlags) -> None:
    """Train without the held-out items, rank them and print the table.

    Raises:
        UserError: an error that the user can fix.
    """
    if not feature_names(flags.data, "item"):
        raise UserError("new items need features; give --item-features=genres,year")
    shares = {"--held-out-share": flags.held_out_share, "--new-items-cost": flags.new_items_cost}
    for flag, value in shares.items():
        if not 0 < value < 1:
            raise UserError(f"{flag}={value} is out of range; give more than 0, less than 1")
    config = flags.settings
    interactions = load_interactions(config.data, seed=config.train.seed)
    complete = prepare(interactions, config.data, seed=config.train.seed)
    rng = np.random.default_rng(config.train.seed)
    count = max(1, round(flags.held_out_share * complete.vocabulary.size))
    held_out = rng.choice(complete.vocabulary.size, count, replace=False)
    new = complete.vocabulary.values.gather(np.sort(held_out))
    old = prepare(_without(interactions, new), config.data, seed=config.train.seed)
    trial = set_up(complete, old, new)
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(Path(folder) / "run")
        directory.begin(config, old)
        trained = train(init_model(old, config), old, config, directory)
    model = nnx.merge(trained.graphdef, trained.params)
    model = append_items(model, ids_by_name(trial.features))
    scorer = model_scorer(*nnx.split(model, nnx.Param))
    validation = validation_histories(trial, config)
    margins = compute_margins(model, validation, trial.old, keep_seen=config.data.keep_seen)
    boost = find_boost(margins, flags.new_items_cost)
    effect = measure_boost(margins, boost, flags.new_items_cost, items=len(new))
    scorers = {
        config.model.encoder: scorer,
        f"{config.model.encoder}, new items + {boost:g}": boosted(scorer, trial.old, boost),
        "features of the history": features_of_the_history(trial.features),
        "popularity of features": popularity_of_features(trial.features, trial.counts),
        "chance": chance(trial.dataset.vocabulary.size, seed=config.train.seed),
    }
    print(
        f"{config.data.name}: {old.vocabulary.size:,} training items, {len(new):,} held out; "
        f"{len(trial.positions):,} users whose next item is held out, ranked among all items; "
        f"history {'included' if config.data.keep_seen else 'excluded'}, "
        f"N = {config.data.history_length}, seed {config.train.seed}, ± is 95%, bootstrap over "
        f"users\non the validation: {describe_boost(effect)}\n"
    )
    print(_table(scorers, trial, config.data))


def set_up(complete: Dataset, old: Dataset, new: pl.Series) -> Trial:
    """Encode the whole log by the vocabulary of the training, with the new items appended."""
    values = pl.concat([old.vocabulary.values, new.alias(old.vocabulary.values.name)])
    counts = np.pad(old.vocabulary.counts, (0, len(new)))
    vocabulary = Vocabulary(values, counts)
    numbers = np.append(PAD, vocabulary.encode(complete.vocabulary.values)).astype(np.int32)
    timelines = complete.timelines
    items = numbers[timelines.items]
    is_new = items > old.vocabulary.size
    users = timelines.users_of(np.arange(len(items)))
    positions = np.flatnonzero(is_new)
    # The first of each user, if the user has a history before it.
    positions = positions[np.unique(users[positions], return_index=True)[1]]
    positions = positions[positions > timelines.offsets[users[positions]]]
    if not len(positions):
        raise UserError("no user has a held-out item; give a larger --held-out-share")
    order = pl.DataFrame({"item": values}).join(
        complete.catalogue, on="item", how="left", maintain_order="left"
    )
    described = {each.name: order[each.name][-len(new) :] for each in old.item_features}
    return Trial(
        replace(
            complete,
            timelines=replace(timelines, activities={**timelines.activities, ITEM: items}),
            vocabulary=vocabulary,
            catalogue=order,
        ),
        positions,
        old.vocabulary.size,
        tuple(each.extend(described[each.name])[0] for each in old.item_features),
        counts,
    )


def features_of_the_history(features: Sequence[ItemFeature]) -> Scorer:
    """Return a scorer by the overlap of an item's feature values, as shares, with the history's."""
    profiles_RF = np.concatenate([_profiles(each) for each in features], axis=1)

    def score(history: Histories) -> Float[np.ndarray, "B R"]:
        return profiles_RF[history[ITEM]].sum(axis=1) @ profiles_RF.T

    return score


def popularity_of_features(
    features: Sequence[ItemFeature], counts: Int[np.ndarray, " R"]
) -> Scorer:
    """Return a scorer by the mean popularity of items with an item's values, for any history."""
    parts = []
    for each in features:
        profiles_RF = _profiles(each)
        popularity_F = (counts @ profiles_RF) / np.maximum(
            (profiles_RF * (counts > 0)[:, None]).sum(0), 1
        )
        parts.append(profiles_RF @ popularity_F)
    scores_R = np.sum(parts, axis=0)
    return lambda history: np.tile(scores_R, (len(history[ITEM]), 1))


def chance(size: int, *, seed: int) -> Scorer:
    """Return a scorer of random scores, drawn for each history and item."""
    rng = np.random.default_rng(seed)
    return lambda history: rng.random((len(history[ITEM]), size + 1))


def _profiles(feature: ItemFeature) -> Float[np.ndarray, "R F"]:
    """Return the share of each value among the values of an item; PAD's row is zero."""
    profiles = np.zeros((len(feature.ids), len(feature.values) + 1), np.float32)
    rows = np.arange(len(feature.ids))[:, None]
    np.add.at(profiles, (rows, feature.ids), 1)
    profiles = profiles[:, 1:]
    return profiles / np.maximum(profiles.sum(axis=1, keepdims=True), 1)


def boosted(scorer: Scorer, old: int, boost: float) -> Scorer:
    """Return a scorer that adds a boost to new items, which have ids above `old`."""

    def score(history: Histories) -> jax.Array:
        return materialize_scores(scorer(history)).at[:, old + 1 :].add(boost)

    return score


def validation_histories(trial: Trial, config: Config) -> Heldout:
    """Return the histories of the validation targets that are not new items."""
    split = trial.dataset.split
    others = replace(split, test=_select_old(trial, split.validation))
    dataset = replace(trial.dataset, split=others)
    return draw_heldout(dataset, config.data.history_length, seed=config.train.seed)


def _select_old(trial: Trial, positions: Int[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
    """Return the positions whose items are not new."""
    return positions[trial.dataset.timelines.items[positions] <= trial.old]


def _exclude_old(scorer: Scorer, old: int) -> Scorer:
    """Return a scorer that excludes all items but the new ones."""

    def score(history: Histories) -> jax.Array:
        return materialize_scores(scorer(history)).at[:, 1 : old + 1].set(-jnp.inf)

    return score


def _table(scorers: Mapping[str, Scorer], trial: Trial, config: DataConfig) -> str:
    others = _select_old(trial, trial.dataset.split.test)

    def cells_of(scorer: Scorer, positions: Int[np.ndarray, " n"]) -> list[str]:
        found = figures_of(rank(scorer, trial.dataset, positions, config), len(trial.counts))
        recall = plus_minus(found.means["recall@10"], found.intervals["recall@10"])
        return [recall, f"{found.means['mean_rank']:,.1f}"]

    head = [
        "",
        "recall@10",
        "mean rank",
        "among the new items only",
        "mean rank",
        "of the other items",
    ]
    cells = [[*head, "mean rank"]]
    cells += [
        [
            name,
            *cells_of(scorer, trial.positions),
            *cells_of(_exclude_old(scorer, trial.old), trial.positions),
            *cells_of(scorer, others),
        ]
        for name, scorer in scorers.items()
    ]
    return format_table(cells)


def _without(interactions: Interactions, items: pl.Series) -> Interactions:
    log = interactions.log.filter(~pl.col("item").is_in(items.implode()))
    return replace(interactions, log=log)


main = command(
    run,
    remedy="give a --data-dir that can be read",
    interrupted="nothing was written",
    before=enable_compilation_cache,
)

if __name__ == "__main__":
    sys.exit(main())
