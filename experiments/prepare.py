"""Alias of `jaxrec prepare`: prepare a log larger than memory."""

import sys

from jaxrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["prepare", *sys.argv[1:]]))
