"""Alias of `jaxrec compare`: compare finished runs and their lists."""

import sys

from jaxrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["compare", *sys.argv[1:]]))
