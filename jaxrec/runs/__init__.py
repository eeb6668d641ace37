"""Runs: what training leaves, and whoever asks for it later reads."""
