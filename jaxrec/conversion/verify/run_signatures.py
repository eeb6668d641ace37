"""Program for an emulated processor, which runs signatures of files for `Emulator`.

Each line of standard input has four paths and names as JSON: the flatbuffer, the signature, an .npz
with its inputs for any number of examples, and the .npz to write its outputs to. A line of standard
output answers each. It needs only `jaxrec.runtime`.
"""

import json
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

from jaxrec.runtime.interpreter import DeviceModel


@lru_cache(maxsize=1)
def load(graph: str) -> DeviceModel:
    """Load a flatbuffer; calls of one file follow each other."""
    return DeviceModel(Path(graph).read_bytes())


def main() -> None:
    """Run the calls of standard input."""
    print("ready", flush=True)
    for line in sys.stdin:
        graph, signature, inputs, outputs = json.loads(line)
        with np.load(inputs) as arrays:
            found = load(graph).call_all(signature, dict(arrays))
        np.savez(outputs, **found)  # pyright: ignore[reportArgumentType]
        print("done", flush=True)


if __name__ == "__main__":
    main()
