"""Program that `instructions.py` counts: invoke a flatbuffer on some inputs, each several times.

Its arguments are the flatbuffer, an .npz with the examples of each input in order, and the number
of invocations of each example.
"""

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main(graph: str, inputs: str, repeats: int) -> None:
    """Set each example once, and invoke it `repeats` times."""
    interpreter = Interpreter(model_content=Path(graph).read_bytes(), num_threads=1)
    interpreter.allocate_tensors()
    places = [each["index"] for each in interpreter.get_input_details()]
    with np.load(inputs) as arrays:
        examples = [arrays[name] for name in arrays.files]
    for example in zip(*examples, strict=True):
        for place, values in zip(places, example, strict=True):
            interpreter.set_tensor(place, values)
        for _ in range(repeats):
            interpreter.invoke()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
