"""What was compiled once is found by the next process; a cache in any state harms nobody."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import matplotlib
import numpy as np
import pytest
from flax import nnx

from jaxrec.conversion.restore import restore_run
from jaxrec.training.compilation_cache import evict_oldest
from tests.exports import ROOT

# A command that compiles one small program; its answer to the last bit.
COMMAND = """
from jaxrec.training.compilation_cache import enable_compilation_cache
enable_compilation_cache()
import jax, jax.numpy as jnp
x = jnp.linspace(-1, 1, 64 * 64).reshape(64, 64)
print(float(jax.jit(lambda x: (jnp.sin(x) @ x.T).sum())(x)).hex())
"""

# By these a person, or the suite, may have told JAX something.
TOLD = {
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES",
}


def start(*words: str, home: Path, **told: str) -> str:
    """Start Python for a person with a home; nothing is said but the answer."""
    process = subprocess.run(
        [sys.executable, *words],
        cwd=home.parent,
        env={name: value for name, value in os.environ.items() if name not in TOLD}
        | {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), **told},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, "")
    return process.stdout


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*-cache") if path.is_file())


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A home in which a command was started once, and what it answered."""
    home = tmp_path_factory.mktemp("person") / "home"
    home.mkdir()
    return home, start("-c", COMMAND, home=home)


def test_the_second_start_of_a_command_compiles_nothing_and_says_the_same_to_the_bit(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    flags = ["--encoder=bow", "--epochs=1", "--embedding-dim=8", "--hidden-units=8"]
    flags += ["--synthetic.users=80", "--synthetic.items=40"]
    # Its fonts are looked for but once, at the place that knows them.
    fonts = {"MPLCONFIGDIR": matplotlib.get_cachedir()}

    def train(name: str) -> tuple[set[Path], list[np.ndarray]]:
        start(str(ROOT / "experiments/run.py"), *flags, f"--run-dir={name}", home=home, **fonts)
        model = restore_run(tmp_path / name).model
        leaves = jax.tree.leaves(nnx.state(model, nnx.Param))
        return set(entries(home)), [np.asarray(leaf) for leaf in leaves]

    (first, learned), (second, again) = train("first"), train("second")
    assert first and second == first
    for one, other in zip(learned, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_entries_lie_in_the_cache_directory_of_the_person(kept):
    home, _ = kept
    assert entries(home)
    assert {path.parent.name for path in entries(home)} == {"compiled"}


@pytest.mark.parametrize("damage", [lambda old: old[:-20], lambda old: b"", lambda old: b"\1" * 99])
def test_a_damaged_entry_is_compiled_again(kept, damage):
    home, answer = kept
    for path in entries(home):
        path.write_bytes(damage(path.read_bytes()))
    assert start("-c", COMMAND, home=home) == answer


def test_without_a_place_there_is_no_cache(kept, tmp_path):
    home = tmp_path / "a file, no folder"
    home.write_text("")
    assert start("-c", COMMAND, home=home) == kept[1]


def test_without_a_home_nothing_is_left_where_one_works(kept, tmp_path):
    # Whom the system does not know has a home of the name ~: a relative one.
    unknown = {"HOME": "~", "XDG_CACHE_HOME": ""}
    assert start("-c", COMMAND, home=tmp_path / "home", **unknown) == kept[1]
    assert not any(tmp_path.iterdir())


def test_where_jax_was_told_a_place_that_is_the_place(kept, tmp_path):
    home, told = tmp_path / "home", tmp_path / "told"
    home.mkdir()
    keep_all = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    for place in (str(told), ""):
        words = {"JAX_COMPILATION_CACHE_DIR": place, **keep_all}
        assert start("-c", COMMAND, home=home, **words) == kept[1]
    assert entries(told) and not any(home.iterdir())
    # An empty word is no place.
    assert {path.name for path in tmp_path.iterdir()} == {"home", "told"}


def test_what_was_read_longest_ago_is_forgotten_first(tmp_path):
    for name, read_at in (("old", 100), ("new", 300), ("middle", 200)):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, (read_at, 400 - read_at))
    (tmp_path / "folder").mkdir()
    evict_oldest(tmp_path, 30)
    assert len(list(tmp_path.iterdir())) == 4
    evict_oldest(tmp_path, 29)
    assert {path.name for path in tmp_path.iterdir()} == {"middle", "new", "folder"}
    evict_oldest(tmp_path, 10)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "folder"}
