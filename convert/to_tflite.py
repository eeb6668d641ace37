"""Alias of `jaxrec export`: convert a run to a verified .tflite file."""

import sys

from jaxrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
