"""Fixtures and JAX settings of all tests: two devices or more, strict dtypes, shape checks."""

import gc
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

# Many tests train the same model, in this process, in another worker or in a subprocess: all of
# them share one compilation cache.
if "PYTEST_XDIST_WORKER" not in os.environ:
    COMPILATION_CACHE = tempfile.TemporaryDirectory(prefix="jaxrec-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILATION_CACHE.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PLATFORMS"] = "cpu"
# Compilation takes longer than execution in the tests: without optimization and fusion emitters a
# training step compiles in a quarter of the time. Subprocesses of commands use the default flags.
os.environ["XLA_FLAGS"] = (
    f"--xla_force_host_platform_device_count={os.environ.get('JAXREC_TEST_DEVICES', '2')} "
    "--xla_backend_optimization_level=0"
)
# XLA ends the process at a flag that it does not know: JAX 0.12 has no other code generator.
if version("jax").startswith("0.10."):
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"

import hypothesis
import jax
import pytest
from jaxtyping import install_import_hook

import tests.typechecker
from tests import ROOT
from tests.exports import ENCODERS, call, train

# Tracing allocates very many objects; with the default thresholds, collection takes seconds.
gc.set_threshold(50_000, 20, 50)
install_import_hook(["jaxrec"], f"{tests.typechecker.__name__}.check")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# Few examples by default; .ci/run repeats the properties with --hypothesis-profile=ci.
hypothesis.settings.register_profile("quick", max_examples=10, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=100, deadline=None)
hypothesis.settings.load_profile("quick")


@pytest.hookimpl(tryfirst=True)  # run before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group the tests that need the exports on one worker, and all others by file.

    The slow ones take so long that two workers share them, by folder, and both make the exports.
    """
    for item in items:
        path, group = item.path.relative_to(ROOT), "exports"
        if "runs" not in getattr(item, "fixturenames", ()):
            group = path.as_posix()
        elif item.get_closest_marker("slow"):
            group += f" for {path.parent.as_posix()}"
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Train one run of each encoder; tests that modify a run copy it first."""
    folder = tmp_path_factory.mktemp("exports")
    return {encoder: train(folder, encoder) for encoder in ENCODERS}


@pytest.fixture(scope="session")
def conversions(runs):
    """Export each run once, with the recipe that the command chooses."""
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
    """Return the .tflite file of each encoder."""
    return {encoder: run_dir / "export" / "model.tflite" for encoder, run_dir in runs.items()}


@pytest.fixture(scope="module")
def browser():
    """Yield Chromium; close it after each module, since its event loop disturbs other tests."""
    from tests.browser import chromium

    with chromium() as browser:
        yield browser
