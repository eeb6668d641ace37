"""Time and memory of a process that recommends with a file and does nothing else.

Run as a script with the path of a file, it prints one line of JSON: the seconds to load the file
and of a call (the median of 200 random histories of ten items), and the peak memory in bytes. For
a file with on-device adaptation it adds the seconds to adapt to as many activities as the file
reads (the median of five), and the peak memory afterwards.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from jaxrec.runtime.recommender import Recommender

CALLS, LENGTH = 200, 10
ADAPT_CALLS = 5


def main(path: str) -> None:
    """Measure a file, and print the figures as JSON."""
    started = time.perf_counter()
    recommender = Recommender.load(path)
    ready = time.perf_counter() - started
    rng = np.random.default_rng(0)
    times = []
    for places in rng.choice(len(recommender.items), (CALLS, LENGTH)).tolist():
        history = [recommender.items[place] for place in places]
        started = time.perf_counter()
        recommender.recommend(history)
        times.append(time.perf_counter() - started)
    found = {"ready": ready, "call": float(np.median(times)), "peak": peak_memory()}
    settings = recommender.model.get("adapt")
    if settings is not None:
        count = min(settings["activities"], len(recommender.items))
        drawn = rng.choice(len(recommender.items), (ADAPT_CALLS, count))
        times = []
        for places in drawn.tolist():
            started = time.perf_counter()
            recommender.adapt([recommender.items[place] for place in places])
            times.append(time.perf_counter() - started)
        found |= {"adapt": float(np.median(times)), "peak_adapting": peak_memory()}
    print(json.dumps(found))


def peak_memory() -> int:
    """Return the peak memory of this process, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux, ru_maxrss also covers the process that started this one.
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(sys.argv[1])
