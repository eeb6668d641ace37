"""A seeded simulation of film viewers that runs anywhere and has the difficulties of real logs.

Popularity has a long tail, history lengths vary, and order matters: the next item depends on the
last two items and on their order. At each step a user follows one of five habits:

- FOLLOW: watch a successor of the last item: the next part of its series, or a related film;
- RESUME: the same for the item before the last, as when an interrupted series is continued;
- MOOD: watch a film of a genre drawn given the ordered pair of the last two genres;
- TASTE: watch a film of a genre that the user likes;
- NOISE: watch any film. In MOOD, TASTE and NOISE the film is drawn by popularity.

A film that the user has seen is redrawn, together with the habit, so no user sees a film twice.

recall@10 in the default world (seed 0). The target is the last item of each of the 2,000 users,
ranked against all items that the user has not seen (95% interval at most ±.022):

    popularity                                                                        .074
    counts of transitions from the last item, ties by popularity                      .171
    the true process, averaged over the orders of the last ten items                  .409
    the true process, given their order                                               .546

The true process infers a user's taste from the genres of the history alone, as a model could.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from jaxrec.config.fields import check, setting
from jaxrec.data.gaps import DAY
from jaxrec.data.interactions import Interactions
from jaxrec.data.sources.remakes import with_remakes
from jaxrec.data.sources.titles import GENRES, invent_films
from jaxrec.errors import UserError

# The habits and their probabilities.
FOLLOW, RESUME, MOOD, TASTE, NOISE = range(5)
HABITS = (0.10, 0.38, 0.34, 0.12, 0.06)
SUCCESSORS = (0.7, 0.3)  # probabilities of the first and the second successor

ZIPF_EXPONENT, ZIPF_SHIFT = 1.5, 100  # popularity of rank r: (r + shift) ** -exponent
MOOD_SPREAD, TASTE_SPREAD = 0.1, 0.3  # Dirichlet over genres; near 0: a single genre

MIN_LENGTH, MEAN_LENGTH, LENGTH_SIGMA = 5, 70, 0.8  # lognormal, clipped
MIN_ITEMS = 2 * MIN_LENGTH  # a history covers at most half of the catalogue
MAX_ITEMS = 10_000_000
MAX_DRAWS = 8  # of films already seen; then any unseen film is drawn
MAX_SCANNED_ITEMS = 1 << 16  # up to this size, unseen films are drawn by scanning the catalogue

OPENING = 1_640_995_200  # 2022-01-01 UTC; users arrive within the next two years


@dataclass(frozen=True)
class SyntheticConfig:
    """The generated log of --dataset=synthetic."""

    group: ClassVar = "synthetic"
    users: int = setting(2000, 10, 1_000_000)
    """number of users"""
    items: int = setting(1000, 20, 10_000_000)
    """number of films"""
    drift: float = setting(0.0, 0.0, 100.0)
    """how often in a year a new film takes the place of each film, so that tastes and items change
    over time, and a model ages"""

    def __post_init__(self) -> None:
        check(self)


class World:
    """A catalogue, and the process by which users choose from it.

    Attributes:
        films: [I], the item table.
        genre: [I], the main genre of each item; items of a genre are contiguous.
        popularity: [I], cumulative, so that each genre is an interval of it.
        edges: [G + 1], the ends of these intervals: edges[genre] to edges[genre + 1].
        successors: [I, S], the successors of each item.
        mood: [G, G, G], genre before the last, last genre -> distribution of the next genre.
    """

    def __init__(self, items: int, rng: np.random.Generator):
        films, self.genre, next_part = invent_films(items, rng)
        self.films = films.select(pl.Series("item", _sparse_ids(items, rng)), pl.all())
        genres = len(GENRES)
        weight = rng.permutation((np.arange(items) + ZIPF_SHIFT) ** -ZIPF_EXPONENT)
        self.popularity = weight.cumsum() / weight.sum()
        starts = np.searchsorted(self.genre, np.arange(genres + 1))
        self.edges = np.append(0, self.popularity)[starts]
        # Successors share the genre. The next part of a series, if any, replaces the first of them.
        successor_genre = np.repeat(self.genre[:, None], len(SUCCESSORS), axis=1)
        low, high = self.edges[successor_genre], self.edges[successor_genre + 1]
        self.successors = _by_popularity(self.popularity, low, high, rng)
        self.successors[:, 0] = np.where(next_part < 0, self.successors[:, 0], next_part)
        self.mood = rng.dirichlet([MOOD_SPREAD] * genres, (genres, genres))

    def draw(
        self,
        moods: np.ndarray,
        mood_of: np.ndarray,
        taste: np.ndarray,
        recent: np.ndarray,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Draw the next item of each user, who may have seen it already.

        Args:
            moods: [M, G, G, G], cumulative over the last axis.
            mood_of: [U], the index into `moods` of each user.
            taste: [U, G], cumulative over the last axis.
            recent: [2, U], the item before the last and the last item.
        """
        before, last = recent
        users = len(last)
        habit = rng.choice(len(HABITS), users, p=HABITS)
        rank = rng.choice(len(SUCCESSORS), users, p=SUCCESSORS)
        successor = self.successors[np.where(habit == FOLLOW, last, before), rank]

        mood = moods[mood_of, self.genre[before], self.genre[last]]
        wish = np.where(habit[:, None] == MOOD, mood, taste)
        genre = (wish[:, :-1] < rng.random((users, 1))).sum(-1)
        low = np.where(habit == NOISE, 0, self.edges[genre])
        high = np.where(habit == NOISE, 1, self.edges[genre + 1])
        popular = _by_popularity(self.popularity, low, high, rng)
        return np.where(habit <= RESUME, successor, popular)


def synthetic_world(
    *, users: int = 2000, items: int = 1000, seed: int = 0, drift: float = 0.0
) -> Interactions:
    """Generate a catalogue and the log of its users, sorted by time as a server would write it.

    Timestamps are in seconds. Those of a user have ties, where the order of the log is the order of
    events. The catalogue does not depend on the number of users. The user table has the favourite
    genre of each user.

    Args:
        drift: how often in a year a new film takes the place of each film.

    Raises:
        UserError: if there is no user, or the catalogue is too small or too large.
    """
    if users < 1:
        raise UserError(f"--synthetic.users={users} is below the minimum of 1; raise it")
    if not MIN_ITEMS <= items <= MAX_ITEMS:
        raise UserError(
            f"--synthetic.items={items} is outside {MIN_ITEMS:,}..{MAX_ITEMS:,}; choose one within"
        )
    catalogue_rng, log_rng, drift_rng = np.random.default_rng(seed).spawn(3)
    world = World(items, catalogue_rng)
    interactions = simulate(world, world.mood[None], draw_tastes(users, log_rng), log_rng)
    return with_remakes(interactions, drift, OPENING, drift_rng) if drift else interactions


def draw_tastes(users: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the taste of each user: a distribution over genres, [U, G]."""
    return rng.dirichlet([TASTE_SPREAD] * len(GENRES), users)


def simulate(
    world: World, moods: np.ndarray, taste: np.ndarray, rng: np.random.Generator
) -> Interactions:
    """Simulate the users of a world.

    Args:
        moods: [M, G, G, G]; user u has the mood u % M.
        taste: [U, G].

    Returns:
        The log, the catalogue, and the user table in the order of `taste`.
    """
    users, items = len(taste), len(world.genre)
    # History lengths fall with the index of the user; cyclic moods get the same mix of lengths.
    mood_of = np.arange(users) % len(moods)
    mu = np.log(MEAN_LENGTH) - LENGTH_SIGMA**2 / 2
    lengths = rng.lognormal(mu, LENGTH_SIGMA, users).clip(MIN_LENGTH, items // 2).astype(int)
    lengths = -np.sort(-lengths)  # longest first: the users active at a step are a slice
    user = np.repeat(np.arange(users), lengths)
    film = _histories(world, moods, mood_of, taste, lengths, rng)
    liking = np.log1p(len(GENRES) * taste[user, world.genre[film]])
    ids = _sparse_ids(users, rng)
    log = pl.DataFrame(
        {
            "user": ids[user],
            "item": world.films["item"][film],
            "timestamp": _timestamps(lengths, rng),
            "rating": (2.8 + liking + rng.normal(0, 0.7, len(film))).round().clip(1, 5),
        }
    )
    log = log.sort("timestamp", maintain_order=True)
    favourites = [GENRES[favourite] for favourite in taste.argmax(axis=1)]
    user_table = pl.DataFrame({"user": ids, "favourite": favourites})
    return Interactions(log, world.films, user_table, ticks_per_second=1)


def _histories(
    world: World,
    moods: np.ndarray,
    mood_of: np.ndarray,
    taste: np.ndarray,
    lengths: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the items that the users see, concatenated by user; `lengths` is descending."""
    users, items = len(lengths), len(world.genre)
    moods, taste = moods.cumsum(-1), taste.cumsum(-1)
    starts = lengths.cumsum() - lengths
    history = np.empty(lengths.sum(), np.int64)
    recent = rng.integers(items, size=(2, users))  # items before the log begins
    for step in range(lengths[0]):
        active = np.count_nonzero(lengths > step)
        chosen = np.empty(active, np.int64)
        redraw = np.arange(active)

        def seen(who: np.ndarray, step: int = step) -> np.ndarray:
            return history[starts[who, None] + np.arange(step)]

        for _ in range(MAX_DRAWS):
            chosen[redraw] = world.draw(
                moods, mood_of[redraw], taste[redraw], recent[:, redraw], rng
            )
            redraw = redraw[(seen(redraw) == chosen[redraw, None]).any(-1)]
        chosen[redraw] = _draw_unseen(items, seen(redraw), rng)
        history[starts[:active] + step] = chosen
        recent = np.stack([recent[1, :active], chosen])
    return history


def _draw_unseen(items: int, seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw, for each row of `seen`, [n, _], a uniformly random item that is not in it."""
    if items <= MAX_SCANNED_ITEMS:
        lots = rng.random((len(seen), items))
        np.put_along_axis(lots, seen, -1, axis=1)
        return lots.argmax(-1)
    drawn = rng.integers(items, size=len(seen))
    while (again := (seen == drawn[:, None]).any(-1)).any():
        drawn[again] = rng.integers(items, size=again.sum())
    return drawn


def _by_popularity(
    popularity: np.ndarray, low: np.ndarray, high: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw films from intervals of the cumulative popularity."""
    film = np.searchsorted(popularity, rng.uniform(low, high), side="right")
    return film.clip(max=len(popularity) - 1)  # the interval of the last genre may be empty


def _timestamps(lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return seconds, nondecreasing per user: minutes within a session, days between, and ties."""
    steps = lengths.sum()
    gap = np.where(
        rng.random(steps) < 0.12, rng.exponential(6 * DAY, steps), 1 + rng.exponential(120, steps)
    )
    gap[rng.random(steps) < 0.05] = 0
    elapsed = gap.astype(np.int64).cumsum()
    arrival = OPENING + rng.integers(2 * 365 * DAY, size=len(lengths))
    return elapsed + np.repeat(arrival - elapsed[lengths.cumsum() - lengths], lengths)


def _sparse_ids(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return distinct integers with gaps between them, in random order."""
    return rng.permutation(1000 + rng.integers(1, 10, count).cumsum())
