"""From a finished run to one .tflite file; the only package that imports TensorFlow."""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("tensorflow") is None and Path(sys.argv[0]).parent.name == __name__:
    print(
        "error: conversion needs packages that training does not; install them with "
        "`pip install -c constraints.txt -e '.[convert]'`",
        file=sys.stderr,
    )
    sys.exit(2)
