"""The cases of keep_seen.tflite, which recommends items of the history too."""

from clients.golden.case import accepted

_PLAYED = ["R3", "R4", "R5"]

KEEP_SEEN = [
    accepted("recommend", "items of the history are recommended", items=_PLAYED, k=6),
    accepted("recommend", "a repeated item", items=["R9", "R9", "R10", "R9"], k=4),
    accepted("recommend", "k is beyond the file's list", items=_PLAYED, k=12),
    accepted("recommend", "k is the number of items", items=_PLAYED, k=20),
    accepted("recommend", "exclude an item of the history", items=_PLAYED, k=6, exclude=["R5"]),
    accepted("recommend", "candidates of the history", items=_PLAYED, k=3, candidates=_PLAYED),
    accepted("recommend", "an empty history", items=[], k=5),
    accepted("recommend_many", "two histories", histories=[_PLAYED, ["R12"]], k=5),
    accepted("score", "items of the history", items=_PLAYED, candidates=_PLAYED),
]
