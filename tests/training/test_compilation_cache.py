"""The persistent compilation cache: reuse by other processes, damaged entries, eviction."""

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
from tests import ROOT

# Compile one small program, and print its exact result.
COMMAND = """
from jaxrec.training.compilation_cache import enable_compilation_cache
enable_compilation_cache()
import jax, jax.numpy as jnp
x = jnp.linspace(-1, 1, 64 * 64).reshape(64, 64)
print(float(jax.jit(lambda x: (jnp.sin(x) @ x.T).sum())(x)).hex())
"""

# Variables by which a user, or the test suite, may have configured JAX.
JAX_VARIABLES = {
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES",
}


def run_python(*arguments: str, home: Path, **environment: str) -> str:
    """Run Python with the given home directory and return its stdout; stderr must be empty."""
    process = subprocess.run(
        [sys.executable, *arguments],
        cwd=home.parent,
        env={name: value for name, value in os.environ.items() if name not in JAX_VARIABLES}
        | {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), **environment},
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
def filled_cache(tmp_path_factory):
    """Return a home directory in which the command ran once, and its output."""
    home = tmp_path_factory.mktemp("person") / "home"
    home.mkdir()
    return home, run_python("-c", COMMAND, home=home)


@pytest.mark.slow
def test_the_second_run_of_a_command_compiles_nothing_and_is_bit_identical(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    flags = ["--encoder=bow", "--epochs=1", "--embedding-dim=8", "--hidden-units=8"]
    flags += ["--synthetic.users=80", "--synthetic.items=40"]
    # Reuse the font cache of Matplotlib instead of building it again.
    fonts = {"MPLCONFIGDIR": matplotlib.get_cachedir()}

    def train(name: str) -> tuple[set[Path], list[np.ndarray]]:
        run_python(
            str(ROOT / "experiments/run.py"), *flags, f"--run-dir={name}", home=home, **fonts
        )
        model = restore_run(tmp_path / name).model
        leaves = jax.tree.leaves(nnx.state(model, nnx.Param))
        return set(entries(home)), [np.asarray(leaf) for leaf in leaves]

    (first, learned), (second, again) = train("first"), train("second")
    assert first and second == first
    for one, other in zip(learned, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_entries_are_in_the_cache_directory_of_the_user(filled_cache):
    home, _ = filled_cache
    assert entries(home)
    assert {path.parent.name for path in entries(home)} == {"compiled"}


@pytest.mark.parametrize("damage", [lambda old: old[:-20], lambda old: b"", lambda old: b"\1" * 99])
def test_a_damaged_entry_is_recompiled(filled_cache, damage):
    home, answer = filled_cache
    for path in entries(home):
        path.write_bytes(damage(path.read_bytes()))
    assert run_python("-c", COMMAND, home=home) == answer


def test_no_cache_is_used_if_its_directory_cannot_be_created(filled_cache, tmp_path):
    home = tmp_path / "a file, no folder"
    home.write_text("")
    assert run_python("-c", COMMAND, home=home) == filled_cache[1]


def test_without_a_home_nothing_is_written_to_the_working_directory(filled_cache, tmp_path):
    # For a user unknown to the system, the home expands to ~: a relative path.
    unknown = {"HOME": "~", "XDG_CACHE_HOME": ""}
    assert run_python("-c", COMMAND, home=tmp_path / "home", **unknown) == filled_cache[1]
    assert not any(tmp_path.iterdir())


def test_a_cache_directory_from_the_environment_has_priority(filled_cache, tmp_path):
    home, environment = tmp_path / "home", tmp_path / "told"
    home.mkdir()
    keep_all = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    for cache_dir in (str(environment), ""):
        arguments = {"JAX_COMPILATION_CACHE_DIR": cache_dir, **keep_all}
        assert run_python("-c", COMMAND, home=home, **arguments) == filled_cache[1]
    assert entries(environment) and not any(home.iterdir())
    # An empty value names no directory.
    assert {path.name for path in tmp_path.iterdir()} == {"home", "told"}


def test_the_least_recently_read_entries_are_evicted_first(tmp_path):
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
