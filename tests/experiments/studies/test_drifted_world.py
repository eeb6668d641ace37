"""The synthetic world with two populations, of which the second one drifts."""

import hashlib

import numpy as np
import polars as pl
import pytest

from experiments.studies.populations import populations
from experiments.studies.populations.drifted_world import drifted_world, shift_genres
from jaxrec.data.interactions import Interactions
from jaxrec.data.sources.synthetic import synthetic_world
from jaxrec.data.sources.titles import GENRES
from tests.exports import call


@pytest.mark.parametrize(
    ("drift", "digest"),
    [
        (0.5, "2efbf79207898974f471d54897aeb2f0f3d8c2de18631629049aaf19242c28ac"),
        (1.0, "670a3c893c3ac1247f0864ba6cdee5ae5da3b5baf759399318745fc127c4c748"),
    ],
)
def test_a_seed_gives_the_same_log_in_every_version(drift, digest) -> None:
    log = drifted_world(users=20, items=50, seed=1, drift=drift).log
    assert hashlib.sha256(log.write_csv().encode()).hexdigest() == digest


def test_without_drift_it_is_the_synthetic_world() -> None:
    ours, theirs = (
        drifted_world(users=20, items=50, drift=0, seed=1),
        synthetic_world(users=20, items=50, seed=1),
    )
    assert ours.log.equals(theirs.log) and ours.items.equals(theirs.items)
    assert ours.users is not None and theirs.users is not None
    assert ours.users.drop("population").equals(theirs.users)


def test_a_share_of_a_distribution_moves_to_the_genre_half_the_list_away() -> None:
    wish = np.zeros((2, 12))
    wish[0, 1], wish[1, [2, 9]] = 1, (0.25, 0.75)
    moved = np.zeros((2, 12))
    moved[0, [1, 7]], moved[1, [2, 8, 9, 3]] = (0.75, 0.25), (0.1875, 0.0625, 0.5625, 0.1875)
    np.testing.assert_array_equal(shift_genres(wish, 0.25), moved)
    np.testing.assert_array_equal(shift_genres(wish, 0), wish)


def test_every_other_user_is_of_the_second_population() -> None:
    world = drifted_world(users=301, items=100, drift=0, seed=2)
    assert world.users is not None
    assert world.users["population"].value_counts(sort=True).rows() == [
        ("first", 151),
        ("second", 150),
    ]
    lengths = world.users.join(world.log.group_by("user").len(), on="user")
    first, second = (
        lengths.group_by("population").agg(pl.col("len").mean()).sort("population")["len"]
    )
    assert abs(first / second - 1) < 0.02


def genre_transitions(world: Interactions, population: str) -> np.ndarray:
    """Count the transitions between genres in the histories of a population, [G, G]."""
    assert world.users is not None
    genres = world.items.select("item", genre=pl.col("genres").list.first())
    users = world.users.filter(pl.col("population") == population)
    log = world.log.join(users, on="user", how="semi", maintain_order="left")
    log = log.join(genres, on="item", maintain_order="left")
    numbers = {genre: number for number, genre in enumerate(GENRES)}
    counts = np.zeros((len(GENRES), len(GENRES)))
    for genres_of_one in log.group_by("user", maintain_order=True).agg("genre")["genre"]:
        steps = [numbers[genre] for genre in genres_of_one]
        np.add.at(counts, (steps[:-1], steps[1:]), 1)
    return counts


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return chi-square per degree of freedom, of the hypothesis of one common distribution."""
    both = one + other
    occurs = both > 0
    chi = 0.0
    for part in (one, other):
        expected = both * part.sum() / both.sum()
        chi += ((part - expected)[occurs] ** 2 / expected[occurs]).sum()
    return chi / (occurs.sum() - 1)


def test_the_second_population_drifts_and_the_first_stays() -> None:
    still, half, gone = (
        drifted_world(users=600, items=400, seed=3, drift=drift) for drift in (0, 0.5, 1)
    )
    first, second = (genre_transitions(still, name) for name in ("first", "second"))
    assert distance(first, second) < 1.5
    for world in (half, gone):
        assert distance(genre_transitions(world, "first"), first) < 1.5
    drifted = [distance(genre_transitions(world, "second"), second) for world in (half, gone)]
    assert 4 < drifted[0] < drifted[1] / 2


def test_the_command_separates_the_populations(tmp_path) -> None:
    size = ["--synthetic.users=60", "--synthetic.items=30", "--out=cut"]
    process = call(populations.main, *size, "--drift=0.5", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    logs = {name: pl.read_csv(tmp_path / "cut" / f"{name}.csv") for name in ("shipped", "others")}
    assert [log["user"].n_unique() for log in logs.values()] == [30, 30]
    drifted = drifted_world(users=60, items=30, drift=0.5).log.drop("rating")
    assert (
        pl.concat(logs.values())
        .sort("user", "timestamp", "item")
        .equals(drifted.sort("user", "timestamp", "item"))
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--drift=-0.1"], "--drift=-0.1 is out of range; give 0 to 1"),
        (["--drift=2"], "--drift=2 is out of range; give 0 to 1"),
        (["--drift=nan"], "--drift=nan is out of range; give 0 to 1"),
        (["--drift=1", "--dataset=ml-1m"], "--drift=1 is for the synthetic log"),
        (["--drift=1", "--until=0.5"], "by one column of its users, by time or by drift"),
    ],
)
def test_an_invalid_drift_is_refused(tmp_path, flags, message) -> None:
    process = call(populations.main, *flags, cwd=tmp_path)
    assert process.returncode == 2 and message in process.stderr
    assert process.stderr.count("\n") == 1 and not any(tmp_path.iterdir())
