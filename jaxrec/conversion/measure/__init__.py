"""Measurements of a file: recall, latency and memory."""
