"""Runs: their directories, summaries and reports, and comparisons between them."""
