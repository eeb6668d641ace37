"""Alias of `jaxrec benchmark-training`: measure training."""

import sys

from jaxrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["benchmark-training", *sys.argv[1:]]))
