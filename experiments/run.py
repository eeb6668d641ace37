"""Alias of `jaxrec train`: train a recommender on a log, and evaluate it."""

import sys

from jaxrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
