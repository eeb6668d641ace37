"""Verification of a file against its JAX model."""
