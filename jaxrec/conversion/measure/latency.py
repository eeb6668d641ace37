"""Latency of models, timed in turn in one process: a slowdown of the machine affects them all."""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from jaxtyping import Float

from jaxrec.data.progress import show_progress
from jaxrec.runtime.interpreter import ADAPTER, Inputs

# Calls per block, and warm-up calls among them that bring the weights back into the cache.
_BLOCK_CALLS, _WARMUP_CALLS = 50, 5


@dataclass(frozen=True, eq=False)
class TimedModel:
    """A model and the inputs that it is timed on.

    Attributes:
        interpreter: single-threaded, with its tensors allocated; `invoke()` is timed.
        inputs: examples of each input, in its order; the first ones also fill the last call.
    """

    interpreter: Interpreter
    inputs: Sequence[np.ndarray]


def load_interpreter(graph: bytes) -> Interpreter:
    """Load a flatbuffer into a single-threaded interpreter."""
    interpreter = Interpreter(model_content=graph, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def load_timed_model(graph: bytes, inputs: Inputs) -> TimedModel:
    """Load a flatbuffer of this package, whose inputs have names, for timing."""
    interpreter = load_interpreter(graph)
    names = [each["name"] for each in interpreter.get_input_details()]
    # An adapter of zeros leaves the model as it was shipped.
    given = {ADAPTER: np.zeros(1, np.float32), **inputs}
    return TimedModel(interpreter, [given[name] for name in names])


def measure_latency(
    models: Sequence[TimedModel],
    *,
    rounds: int = 40,
    seconds: float = float("inf"),
    seed: int = 0,
) -> list[Float[np.ndarray, " calls"]]:
    """Measure the time of every call in µs, in blocks whose order is shuffled every round.

    Neither setting the inputs nor resetting the state of a fused LSTM is timed.

    Args:
        seconds: time after which no further round begins; the first always runs.
    """
    until = time.monotonic() + seconds
    rng = np.random.default_rng(seed)
    timed_calls = [_timed_call(timed_model) for timed_model in models]
    taken: list[list[float]] = [[] for _ in models]
    for round_ in show_progress(range(rounds), unit="round", label="latency"):
        if round_ and time.monotonic() > until:
            break
        for number in rng.permutation(len(models)):
            times = [timed_calls[number](round_ * _BLOCK_CALLS + i) for i in range(_BLOCK_CALLS)]
            taken[number] += times[_WARMUP_CALLS:]
    return [np.array(times) for times in taken]


def _timed_call(timed_model: TimedModel) -> Callable[[int], float]:
    """Return a function that runs a call by its number and returns its time in µs."""
    interpreter = timed_model.interpreter
    details = interpreter.get_input_details()
    inputs = [
        (detail["index"], _split_into_calls(values, detail["shape"]))
        for detail, values in zip(details, timed_model.inputs, strict=True)
    ]

    def call(number: int) -> float:
        interpreter.reset_all_variables()
        for index, rows in inputs:
            interpreter.set_tensor(index, rows[number % len(rows)])
        started = time.perf_counter_ns()
        interpreter.invoke()
        return (time.perf_counter_ns() - started) / 1e3

    return call


def _split_into_calls(values: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Split examples into calls, the last one filled up with the first examples."""
    return np.resize(values, (-(-values.size // shape.prod()), *shape))


def percentiles(times: Float[np.ndarray, " calls"]) -> dict[str, float]:
    """Return the median and the 90th and 99th percentile, in µs."""
    return {f"p{share}": float(np.percentile(times, share)) for share in (50, 90, 99)}


def machine_name() -> str:
    """Return the name of the processor, to report with every time."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, one thread"
