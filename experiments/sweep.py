"""Alias of `jaxrec sweep`: train encoders, history lengths and seeds."""

import sys

from jaxrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["sweep", *sys.argv[1:]]))
