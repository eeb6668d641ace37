"""From a finished run to one .tflite file; the only package that imports TensorFlow."""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("ai_edge_litert") is None:
    _message = (
        "conversion needs packages that training does not; install them with "
        "`pip install -c constraints.txt -e '.[convert]'`"
    )
    # A command says so in one line; an application gets an exception.
    if Path(sys.argv[0]).parent.name == __name__:
        print(f"error: {_message}", file=sys.stderr)
        sys.exit(2)
    raise ImportError(_message)
