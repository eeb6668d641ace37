"""Evaluation: ranks of targets, metrics with intervals, and baselines."""
