"""Latency: models timed in turn in one process, so that a machine that slows down slows all."""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from jaxtyping import Float
from tqdm import tqdm

from jaxrec.runtime.interpreter import ADAPTER, Inputs

# In one block, of which the first do not count: they bring a model's weights back into the cache.
_CALLS, _WARM = 50, 5


@dataclass(frozen=True, eq=False)
class Contender:
    """A model with the inputs that it is timed on.

    Attributes:
        interpreter: of one thread, with its tensors allocated; what `invoke()` runs is timed.
        inputs: for each of its inputs, in its order, examples; the first ones fill the last call.
    """

    interpreter: Interpreter
    inputs: Sequence[np.ndarray]


def load(graph: bytes) -> Interpreter:
    """Load a flatbuffer for one thread."""
    interpreter = Interpreter(model_content=graph, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def contend(graph: bytes, inputs: Inputs) -> Contender:
    """Enter a file of ours, whose inputs have names."""
    interpreter = load(graph)
    names = [each["name"] for each in interpreter.get_input_details()]
    # Without an adapter, the model as it was shipped.
    given = {ADAPTER: np.zeros(1, np.float32), **inputs}
    return Contender(interpreter, [given[name] for name in names])


def measure(
    contenders: Sequence[Contender],
    *,
    rounds: int = 40,
    seconds: float = float("inf"),
    seed: int = 0,
) -> list[Float[np.ndarray, " calls"]]:
    """Time every call, µs, in blocks whose order is drawn anew each round.

    Setting the input is not timed, nor is forgetting what a fused LSTM keeps between calls.

    Args:
        seconds: no round begins later, but for the first.
    """
    until = time.monotonic() + seconds
    rng = np.random.default_rng(seed)
    callers = [_caller(contender) for contender in contenders]
    taken: list[list[float]] = [[] for _ in contenders]
    for round_ in tqdm(range(rounds), unit="round", disable=None, leave=False):
        if round_ and time.monotonic() > until:
            break
        for number in rng.permutation(len(contenders)):
            times = [callers[number](round_ * _CALLS + i) for i in range(_CALLS)]
            taken[number] += times[_WARM:]
    return [np.array(times) for times in taken]


def _caller(contender: Contender) -> Callable[[int], float]:
    """Make a function that runs one row of inputs, by its number, and gives the time in µs."""
    interpreter = contender.interpreter
    places = interpreter.get_input_details()
    inputs = [
        (place["index"], _in_calls(values, place["shape"]))
        for place, values in zip(places, contender.inputs, strict=True)
    ]

    def call(number: int) -> float:
        interpreter.reset_all_variables()
        for index, rows in inputs:
            interpreter.set_tensor(index, rows[number % len(rows)])
        started = time.perf_counter_ns()
        interpreter.invoke()
        return (time.perf_counter_ns() - started) / 1e3

    return call


def _in_calls(values: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Cut examples into calls, the last filled up with the first examples."""
    return np.resize(values, (-(-values.size // shape.prod()), *shape))


def percentiles(times: Float[np.ndarray, " calls"]) -> dict[str, float]:
    """Give the median, and what one call in ten and in a hundred exceeds, µs."""
    return {f"p{share}": float(np.percentile(times, share)) for share in (50, 90, 99)}


def machine() -> str:
    """Name the processor: without it a time means nothing."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, one thread"
