"""Alias of `jaxrec federate`: continue a run by federated rounds."""

import sys

from jaxrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["federate", *sys.argv[1:]]))
