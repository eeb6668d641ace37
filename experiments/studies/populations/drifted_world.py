"""The synthetic world with two populations, whose distributions over genres differ by a drift.

Every other user belongs to the second population. For these, the drift is the probability that a
genre chosen by mood or taste (jaxrec/data/sources/synthetic.py) is replaced by the one half the
list away.
"""

from dataclasses import replace

import numpy as np
import polars as pl

from jaxrec.data.interactions import Interactions
from jaxrec.data.sources.synthetic import World, draw_tastes, simulate
from jaxrec.data.sources.titles import GENRES

POPULATIONS = ("first", "second")


def drifted_world(*, users: int, items: int, drift: float, seed: int = 0) -> Interactions:
    """Generate the catalogue and the log of both populations.

    The catalogue is that of `synthetic_world`, and so is the log with a drift of 0.

    Args:
        drift: probability that the second population chooses another genre, from 0 to 1.

    Returns:
        The interactions, whose table of users has a column `population`, "first" or "second".
    """
    catalogue_rng, log_rng = np.random.default_rng(seed).spawn(2)
    world = World(items, catalogue_rng)
    taste = draw_tastes(users, log_rng)
    population = np.arange(users) % 2
    taste = np.where(population[:, None] == 1, shift_genres(taste, drift), taste)
    moods = np.stack([world.mood, shift_genres(world.mood, drift)])
    interactions = simulate(world, moods, taste, log_rng)
    assert interactions.users is not None
    names = pl.Series("population", np.array(POPULATIONS)[population])
    return replace(interactions, users=interactions.users.with_columns(names))


def shift_genres(distribution: np.ndarray, share: float) -> np.ndarray:
    """Move a share of a distribution over genres to the genres half the list away, [..., G].

    No genre is moved to itself. With a share of 0 the distribution is unchanged bit for bit.
    """
    other = np.roll(distribution, len(GENRES) // 2, axis=-1)
    return (1 - share) * distribution + share * other
