"""Whether a file says what its model says."""
