"""Cohorts: who takes part in a round, and which windows of their timelines they learn from.

Whether a user takes part depends on the seed, the round and that user alone. This is what the
accountant counts on, so nobody is left out because a cohort is large.
"""

import math
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jaxtyping import Int

from jaxrec.data.batching import Batch
from jaxrec.data.seen import seen_before
from jaxrec.data.splits import Split
from jaxrec.data.timelines import Timelines, gather
from jaxrec.data.windowing import Windows, WindowShape
from jaxrec.errors import UserError
from jaxrec.schema import PAD

# Clients that learn side by side; more take more memory.
CLIENTS_AT_A_TIME = 16


def draw_cohort(key: jax.Array, population: int, expected: int) -> Int[np.ndarray, " n"]:
    """Draw who takes part: each with the same probability, whoever else does (Poisson sampling).

    Args:
        population: U; users are numbered from 0.
        expected: how many take part on average.
    """
    takes_part_U = jax.random.bernoulli(key, expected / population, (population,))
    return np.flatnonzero(np.asarray(takes_part_U))


def places_for(cohort: int, population: int, expected: int) -> int:
    """Give how many places a round is compiled with: a multiple of CLIENTS_AT_A_TIME.

    It is the same for all rounds, but for one in 10^9 by Bernstein's inequality, whose cohort is
    larger: its round is compiled with twice as many, as often as need be.
    """
    doubt = 9 * math.log(10)
    more = doubt / 3 + math.sqrt((doubt / 3) ** 2 + 2 * doubt * expected)
    places = min(math.ceil(expected + more), population)
    while places < cohort:
        places *= 2
    return math.ceil(places / CLIENTS_AT_A_TIME) * CLIENTS_AT_A_TIME


@dataclass(frozen=True, eq=False)
class Clients:
    """The users who have something to learn from.

    Attributes:
        users: which of the timelines are theirs, [U].
        shape: W and the lead-in of a window; a batch is one.
        steps: batches of a client in a round, S.
        seen_of: the size of the catalogue, to tell what was seen; None tells nothing.
        first: the number of the first of them. A device that holds one user alone is any number.
    """

    timelines: Timelines
    split: Split
    users: Int[np.ndarray, " U"]
    shape: WindowShape
    steps: int
    seen_of: int | None
    first: int = 0

    @property
    def count(self) -> int:
        """How many there are, U."""
        return len(self.users)

    def gather(self, cohort: Int[np.ndarray, " P"], key: jax.Array) -> Batch:
        """Gather the windows of some clients, each drawn by the key and the client's number.

        Args:
            cohort: their numbers, from `first` on; -1 is nobody, who has empty windows.

        Returns:
            Batches of one window, with axes of clients and steps before all others, [P, S, 1, ...].
        """
        starts, firsts, ends = (each[..., None] for each in self._windows(cohort, key))
        shape = self.shape
        history = self.timelines.windows(starts, ends - 1, shape.length + shape.lead_in)
        is_target = gather(self.split.is_training_target, firsts, ends, shape.length)
        targets = np.where(
            is_target, gather(self.timelines.items, firsts, ends, shape.length), np.int32(PAD)
        )
        seen = None
        if self.seen_of is not None:
            met = seen_before(self.timelines, firsts.reshape(-1))
            longest = int(self.timelines.lengths[self.users].max())
            seen = met.as_batch(self.seen_of, longest).reshape(*firsts.shape, -1)
        return Batch(history, targets, (targets != PAD).astype(np.float32), seen)

    def _windows(self, cohort: Int[np.ndarray, " P"], key: jax.Array) -> Windows:
        """Draw S windows of each client's training history, each [P, S].

        A window ends anywhere from its timeline's first activity on to W - 1 beyond its last, and
        is cut at both: so every target is learned as often as any other.
        """
        users, is_there = self.users[np.maximum(cohort - self.first, 0)], cohort >= 0
        starts = np.where(is_there, self.timelines.offsets[users], 0)[:, None]
        lengths = np.where(is_there, self.split.training_ends[users], 0)[:, None] - starts
        most = (lengths[:, 0] + self.shape.length).astype(np.int32)
        ends = np.asarray(_draw_ends(key, cohort, most, self.steps))
        firsts = np.minimum(np.maximum(ends - self.shape.length, 0), lengths)
        starts = np.broadcast_to(starts, ends.shape)
        return Windows(starts, starts + firsts, starts + np.minimum(ends, lengths))


def make_clients(
    timelines: Timelines,
    split: Split,
    shape: WindowShape,
    *,
    expected: int,
    steps: int,
    seen_of: int | None,
) -> Clients:
    """Take the users with a training target as clients.

    Raises:
        UserError: there are fewer than a round asks for.
    """
    owners = timelines.users_of(np.flatnonzero(split.is_training_target))
    users = np.unique(owners)
    if expected > len(users):
        raise UserError(
            f"--clients={expected} are more than the {len(users):,} users who have something to "
            "learn from; ask for fewer"
        )
    return Clients(timelines, split, users, shape, steps, seen_of)


@partial(jax.jit, static_argnums=3)
def _draw_ends(
    key: jax.Array, cohort_P: Int[jax.Array, " P"], most_P: Int[jax.Array, " P"], steps: int
) -> Int[jax.Array, "P S"]:
    """Draw numbers from 1 to `most` - 1 for each client; 1 where there are none."""

    def draw(client: jax.Array, most: jax.Array) -> jax.Array:
        return jax.random.randint(jax.random.fold_in(key, client), (steps,), 1, most)

    return jax.vmap(draw)(cohort_P, most_P)
