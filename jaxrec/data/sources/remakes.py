"""Remakes: new films that take the place of others as time passes, in the simulated log.

Popularity, series and tastes stay those of the film that is replaced, but belong to a new item from
then on. A model that was trained before knows neither the new films nor what they follow.
"""

from dataclasses import replace

import numpy as np
import polars as pl

from jaxrec.data.gaps import DAY
from jaxrec.data.interactions import Interactions

YEAR = 365 * DAY


def with_remakes(
    interactions: Interactions, rate: float, opening: int, rng: np.random.Generator
) -> Interactions:
    """Replace films at random times, some of them repeatedly.

    Args:
        interactions: a log with integer items and times in seconds, and the films in it.
        rate: mean number of replacements of a film in a year.
        opening: the time from which on films are replaced.
    """
    log, films = interactions.log, interactions.items
    times, ids = log["timestamp"].to_numpy() - opening, films["item"].to_numpy()
    duration = times.max() + 1
    counts = rng.poisson(rate * duration / YEAR, len(ids))
    starts = counts.cumsum() - counts
    # One key for film and time: the remakes of a film are contiguous, and in order of time.
    film = np.repeat(np.arange(len(ids)), counts)
    keys = np.sort(film * duration + rng.integers(duration, size=len(film)))
    new_ids = ids.max() + 1 + rng.permutation(len(film))
    remakes = films[film].with_columns(item=new_ids, number=1 + np.arange(len(film)) - starts[film])
    remakes = remakes.with_columns(title=pl.format("{} (remake {})", "title", "number"))

    by_id = np.argsort(ids)
    film_of_row = by_id[np.searchsorted(ids, log["item"].to_numpy(), sorter=by_id)]
    made = np.searchsorted(keys, film_of_row * duration + times, side="right")
    newest = np.append(0, new_ids)[made]
    items = np.where(made > starts[film_of_row], newest, log["item"].to_numpy())
    return replace(
        interactions,
        log=log.with_columns(item=items),
        items=pl.concat([films, remakes.drop("number")]),
    )
