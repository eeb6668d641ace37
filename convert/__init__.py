"""From a finished run to one .tflite file; the only package that imports TensorFlow."""

import sys
from importlib.util import find_spec
from pathlib import Path

_SCRIPT = Path(sys.argv[0])

# Lists are made by a file that is there.
_CONVERTS = _SCRIPT.parent.name == __name__ and _SCRIPT.name != "recommend.py"

if _CONVERTS and find_spec("tensorflow") is None:
    print(
        "error: conversion needs packages that training does not; install them with "
        "`pip install -c constraints.txt -e '.[convert]'`",
        file=sys.stderr,
    )
    sys.exit(2)
