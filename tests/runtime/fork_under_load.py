"""Fork 20 processes while threads call and update a recommender, and print how they ended.

    python tests/runtime/fork_under_load.py clients/golden/plain.tflite

The updates alternate two files of equal lists. A child that answers as its parent does, and updates
its recommender, ends with 0. One that waits forever is ended by SIGALRM.
"""

import json
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

from jaxrec.runtime import Recommender
from jaxrec.runtime.bundle import pack_bundle, parse_bundle, read_members

CHILDREN, THREADS, SECONDS = 20, 4, 20


def main(path: str) -> None:
    """Run the processes, and print their exit codes as JSON."""
    # Python 3.12 warns of any fork beside threads, whatever locks the threads hold.
    warnings.simplefilter("ignore", DeprecationWarning)
    content = Path(path).read_bytes()
    members = {**read_members(content), "notes.txt": b"another file"}
    files = (content, pack_bundle(parse_bundle(content, path).graph, members))
    recommender = Recommender.load(content)
    history = list(recommender.items[:3])
    size = len(recommender.items)

    def lists() -> list:
        return [recommender.recommend(history, k=k) for k in (2, size)] + [
            recommender.similar(history[0], k=size),
            recommender.encode(history).tolist(),
        ]

    expected = lists()
    is_done = threading.Event()

    def call() -> None:
        while not is_done.is_set():
            assert lists() == expected

    def update() -> None:
        while not is_done.is_set():
            for file in files:
                recommender.update(file)

    def is_right() -> bool:
        return lists() == expected and recommender.update(content) in (True, False)

    threads = [threading.Thread(target=each) for each in [update, *[call] * THREADS]]
    for thread in threads:
        thread.start()
    children = [fork(is_right) for _ in range(CHILDREN)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    is_done.set()
    for thread in threads:
        thread.join()
    print(json.dumps(codes))


def fork(is_right) -> int:
    """Start a process that checks a condition, and return its id."""
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        os._exit(0 if is_right() else 1)
    return child


if __name__ == "__main__":
    main(sys.argv[1])
