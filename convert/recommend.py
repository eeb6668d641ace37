"""Alias of `jaxrec recommend`: recommend to all users of a log."""

import sys

from jaxrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["recommend", *sys.argv[1:]]))
