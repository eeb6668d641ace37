"""From a log of interactions to batches of histories; NumPy and Polars only, never JAX."""
