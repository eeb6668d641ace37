"""Data pipeline from interaction logs to training batches; NumPy and Polars only, never JAX."""
