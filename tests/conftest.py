"""The same ground for every test: two devices, strict types, shapes checked as they run."""

import os
import tempfile

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import jax
from jaxtyping import install_import_hook

import tests.typechecker

# Many tests train the same model: compile it once a session.
jax.config.update("jax_compilation_cache_dir", tempfile.mkdtemp(prefix="jaxrec-tests-"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

install_import_hook("jaxrec", f"{tests.typechecker.__name__}.check")
jax.config.update("jax_numpy_dtype_promotion", "strict")
