"""Evaluation: where targets rank, what that is worth, and beside what."""
