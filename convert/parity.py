"""Alias of `jaxrec verify`: compare a .tflite file with its JAX model."""

import sys

from jaxrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["verify", *sys.argv[1:]]))
