"""Cohorts: the clients of a round, and the windows of their timelines that they train on.

Whether a user takes part depends on the seed, the round and that user alone. Privacy accounting
relies on this, so no client is dropped because a cohort is large.
"""

import math
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jaxtyping import Int

from jaxrec.data.batching import Batch
from jaxrec.data.excluded_items import items_before
from jaxrec.data.splits import Split
from jaxrec.data.timelines import Timelines, gather
from jaxrec.data.windowing import Windows, WindowShape
from jaxrec.errors import UserError
from jaxrec.schema import PAD

# Clients that are trained in one vectorized chunk; a larger chunk takes more memory.
CLIENTS_PER_CHUNK = 16


def draw_cohort(key: jax.Array, population: int, expected: int) -> Int[np.ndarray, " n"]:
    """Draw a cohort, each user independently with the same probability (Poisson sampling).

    Args:
        population: U, the number of users, who are numbered from 0.
        expected: the mean size of a cohort.
    """
    takes_part_U = jax.random.bernoulli(key, expected / population, (population,))
    return np.flatnonzero(np.asarray(takes_part_U))


def padded_cohort_size(cohort: int, population: int, expected: int) -> int:
    """Return the padded cohort size that a round is compiled for, a multiple of CLIENTS_PER_CHUNK.

    It is the same for all rounds but one in 10^9, by Bernstein's inequality: if a cohort is larger,
    the size is doubled until it fits, and the round is compiled again.
    """
    exponent = 9 * math.log(10)
    margin = exponent / 3 + math.sqrt((exponent / 3) ** 2 + 2 * exponent * expected)
    places = min(math.ceil(expected + margin), population)
    while places < cohort:
        places *= 2
    return math.ceil(places / CLIENTS_PER_CHUNK) * CLIENTS_PER_CHUNK


@dataclass(frozen=True, eq=False)
class Clients:
    """The users with training targets.

    Attributes:
        users: the indices of their timelines, [U].
        shape: W and the overlap of a window; a batch is one window.
        steps: batches of a client in a round, S.
        catalogue_size: the size of the catalogue, if batches carry excluded items; else None.
        first: the client id of the first user; any number on a device that has one user alone.
    """

    timelines: Timelines
    split: Split
    users: Int[np.ndarray, " U"]
    shape: WindowShape
    steps: int
    catalogue_size: int | None
    first: int = 0

    @property
    def count(self) -> int:
        """Return the number of clients, U."""
        return len(self.users)

    def gather(self, cohort: Int[np.ndarray, " P"], key: jax.Array) -> Batch:
        """Gather windows of a cohort, each drawn by the key and the client's id.

        Args:
            cohort: client ids, from `first` on; -1 is padding, which has empty windows.

        Returns:
            Batches of one window, with clients and steps as the leading axes, [P, S, 1, ...].
        """
        starts, firsts, ends = (each[..., None] for each in self._draw_windows(cohort, key))
        shape = self.shape
        history = self.timelines.windows(starts, ends - 1, shape.length + shape.overlap)
        is_target = gather(self.split.is_training_target, firsts, ends, shape.length)
        targets = np.where(
            is_target, gather(self.timelines.items, firsts, ends, shape.length), np.int32(PAD)
        )
        excluded = None
        if self.catalogue_size is not None:
            excluded_items = items_before(self.timelines, firsts.reshape(-1))
            longest = int(self.timelines.lengths[self.users].max())
            excluded = excluded_items.as_batch(self.catalogue_size, longest).reshape(
                *firsts.shape, -1
            )
        return Batch(history, targets, (targets != PAD).astype(np.float32), excluded)

    def _draw_windows(self, cohort: Int[np.ndarray, " P"], key: jax.Array) -> Windows:
        """Draw S windows of each client's training history, each [P, S].

        The end of a window is uniform from the first activity to W - 1 beyond the last, and the
        window is cut to the training history. So every target is trained on equally often.
        """
        users, is_client = self.users[np.maximum(cohort - self.first, 0)], cohort >= 0
        starts = np.where(is_client, self.timelines.offsets[users], 0)[:, None]
        lengths = np.where(is_client, self.split.training_ends[users], 0)[:, None] - starts
        end = (lengths[:, 0] + self.shape.length).astype(np.int32)
        ends = np.asarray(_draw_ends(key, cohort, end, self.steps))
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
    catalogue_size: int | None,
) -> Clients:
    """Return the users with a training target as clients.

    Raises:
        UserError: there are fewer clients than a round expects.
    """
    owners = timelines.users_of(np.flatnonzero(split.is_training_target))
    users = np.unique(owners)
    if expected > len(users):
        raise UserError(
            f"--clients={expected} is more than the {len(users):,} users with training targets; "
            "give fewer"
        )
    return Clients(timelines, split, users, shape, steps, catalogue_size)


@partial(jax.jit, static_argnums=3)
def _draw_ends(
    key: jax.Array, cohort_P: Int[jax.Array, " P"], end_P: Int[jax.Array, " P"], steps: int
) -> Int[jax.Array, "P S"]:
    """Draw integers from 1 to `end` - 1 for each client; 1 if that range is empty."""

    def draw(client: jax.Array, end: jax.Array) -> jax.Array:
        return jax.random.randint(jax.random.fold_in(key, client), (steps,), 1, end)

    return jax.vmap(draw)(cohort_P, end_P)
