"""From a model to a file."""
