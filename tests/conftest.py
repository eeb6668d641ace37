"""The same ground for every test: two devices or more, strict types, shapes checked as they run."""

import gc
import os
import tempfile
from pathlib import Path

# Many tests train the same model, here, in another worker or by a command: compile it once.
if "PYTEST_XDIST_WORKER" not in os.environ:
    CACHE = tempfile.TemporaryDirectory(prefix="jaxrec-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = CACHE.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PLATFORMS"] = "cpu"
# Compiling takes longer than running here: without optimization and fusion emitters a training
# step compiles in a quarter of the time. Commands are compiled as for people.
os.environ["XLA_FLAGS"] = (
    f"--xla_force_host_platform_device_count={os.environ.get('JAXREC_TEST_DEVICES', '2')} "
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)

import jax
import pytest
from jaxtyping import install_import_hook

import tests.typechecker
from tests.exports import ENCODERS, call, train

# Traced programs are made of very many objects, and collecting them often takes seconds.
gc.set_threshold(50_000, 20, 50)
install_import_hook(["jaxrec"], f"{tests.typechecker.__name__}.check")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give what needs the exports to one worker, and each other file to whichever is free."""
    for item in items:
        needs_exports = "runs" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("exports" if needs_exports else item.path.name))


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Train one run of each encoder; tests that change one work on a copy."""
    folder = tmp_path_factory.mktemp("exports")
    return {encoder: train(folder, encoder) for encoder in ENCODERS}


@pytest.fixture(scope="session")
def conversions(runs):
    """Convert each run once, with the recipe that the command chooses."""
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    from jaxrec.cli import export

    done = {
        encoder: call(export.main, f"--run-dir={run_dir}", cwd=run_dir.parent)
        for encoder, run_dir in runs.items()
    }
    for process in done.values():
        assert process.returncode == 0, process.stderr
    return done


@pytest.fixture(scope="session")
def models(runs, conversions) -> dict[str, Path]:
    """The .tflite file of each encoder."""
    return {encoder: run_dir / "export" / "model.tflite" for encoder, run_dir in runs.items()}


@pytest.fixture(scope="module")
def browser():
    """Chromium. Closed after each module: its event loop would be in the way of others."""
    from tests.browser import chromium

    with chromium() as browser:
        yield browser
