"""What a file costs the process that recommends with it, and holds nothing else.

A script that is given the file, and prints one line of JSON: seconds until it is ready and of a
call (the median of 200 random histories of ten items), and the most bytes of memory that it held.
Of a file that learns also the seconds of learning from as much as it reads (the median of five),
and the most bytes then.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from jaxrec.runtime.recommender import Recommender

CALLS, LENGTH = 200, 10
TIMES_LEARNED = 5


def main(path: str) -> None:
    """Load, recommend, and print."""
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
        drawn = rng.choice(len(recommender.items), (TIMES_LEARNED, count))
        times = []
        for places in drawn.tolist():
            started = time.perf_counter()
            recommender.adapt([recommender.items[place] for place in places])
            times.append(time.perf_counter() - started)
        found |= {"adapt": float(np.median(times)), "peak_adapting": peak_memory()}
    print(json.dumps(found))


def peak_memory() -> int:
    """Give the most bytes that this process held."""
    status = Path("/proc/self/status")
    if status.exists():
        # What the system calls ru_maxrss is on Linux also that of the process which started this.
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(sys.argv[1])
