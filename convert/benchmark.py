"""Alias of `jaxrec benchmark`: time .tflite files in one process."""

import sys

from jaxrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["benchmark", *sys.argv[1:]]))
