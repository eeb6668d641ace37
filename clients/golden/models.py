"""The model files of the golden cases: tiny runs on generated logs, exported by the public API."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import jaxrec
from jaxrec.models.adapter import AdaptConfig

GENRES = ("Comedy", "Drama", "Ärger & Liebe")
DEVICES = ("phone", "tv", "web")
COUNTRIES = ("DE", "FR", "JP")

# Widths that keep a file below 60 KB; a list of 8 items is too short for most calls of the cases.
_SMALL = {"embedding_dim": 8, "hidden_units": 8, "epochs": 6, "learning_rate": 0.02, "seed": 7}
_TOP_K = 8


def plain(folder: Path) -> Path:
    """Train an LSTM on string items with titles, genres and years."""
    names = [f"A{number:02}" for number in range(1, 37)]
    items = pl.DataFrame(
        {
            "item": names,
            "title": [None if i % 9 == 8 else f"Film „{i}“, Teil {i % 3}" for i in range(36)],
            "genres": [None if i % 7 == 6 else "|".join(GENRES[: i % 3 + 1]) for i in range(36)],
            "year": [None if i % 5 == 4 else 1950 + i for i in range(36)],
        }
    )
    items.write_csv(folder / "items.csv")
    log = jaxrec.read_log(_log(names), items=folder / "items.csv")
    return _export(log, folder, "int8", encoder="rnn", history_length=4)


def features(folder: Path) -> Path:
    """Train a bag of words on features of activities, users and moments, with predicted ratings."""
    rng = np.random.default_rng(3)
    table = _log([f"F{number:02}" for number in range(1, 25)])
    table = table.with_columns(
        device=pl.Series(rng.choice(DEVICES, table.height)),
        price=pl.Series(np.round(rng.uniform(1, 90, table.height), 2)),
        rating=pl.Series(rng.integers(1, 6, table.height) / 2 + 1),
    )
    users = pl.DataFrame({"user": sorted(set(table["user"]))})
    users = users.with_columns(country=pl.Series(rng.choice(COUNTRIES, users.height)))
    users.write_csv(folder / "users.csv")
    log = jaxrec.read_log(table, users=folder / "users.csv", rating="rating")
    return _export(
        log,
        folder,
        "int8",
        encoder="bow",
        history_length=4,
        activity_features="device,price",
        user_features="country",
        time_gaps=True,
        time_features="hour,weekday",
        predict_ratings=True,
    )


def adapter(folder: Path) -> Path:
    """Train a bag of words on integer items, for a file that adapts to its user."""
    log = jaxrec.read_log(_log(list(range(101, 131))))
    adapt = AdaptConfig(activities=12, held_out=3, half_life=4.0, steps=8, l2_penalty=1.0)
    return _export(log, folder, "float32", adapt, encoder="bow", history_length=6)


def keep_seen(folder: Path) -> Path:
    """Train convolutions on a log in which users return to items, which it may recommend."""
    log = jaxrec.read_log(_log([f"R{number}" for number in range(1, 21)]))
    return _export(log, folder, "float32", encoder="cnn", history_length=5, keep_seen=True)


MODELS: dict[str, Callable[[Path], Path]] = {
    each.__name__: each for each in (plain, features, adapter, keep_seen)
}
"""The model of each file, by its name."""


def build(name: str) -> bytes:
    """Train and export a model in a temporary folder, and return the content of its file."""
    with tempfile.TemporaryDirectory() as folder:
        return MODELS[name](Path(folder)).read_bytes()


def _log(items: Sequence[str | int]) -> pl.DataFrame:
    """Return a log of 80 users who walk through the items in order, with jumps to popular ones."""
    rng = np.random.default_rng(5)
    rows = []
    for user in range(80):
        place, time = int(rng.integers(len(items))), 1_600_000_000 + 1000 * user
        for _ in range(int(rng.integers(8, 16))):
            rows.append((f"u{user:02}", items[place], time))
            jumps = rng.random() < 0.2
            place = int(len(items) * rng.random() ** 2) if jumps else (place + 1) % len(items)
            time += int(rng.exponential(40_000)) + 1
    return pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row")


def _export(
    log: jaxrec.Log, folder: Path, recipe: Any, adapt: AdaptConfig | None = None, **settings: Any
) -> Path:
    run = jaxrec.train(log, directory=folder / "run", **_SMALL, **settings)
    return jaxrec.export(run, recipe=recipe, top_k=_TOP_K, candidates=_TOP_K, adapt=adapt)
