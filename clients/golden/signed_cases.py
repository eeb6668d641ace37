"""The cases of signed.tflite: calls, and updates that every runtime accepts or refuses."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients.golden.case import accepted
from clients.golden.signed_model import Parts, pack
from jaxrec.runtime import Recommender
from jaxrec.runtime.bundle import CATALOGUE, SIGNATURE, VOCABULARY, read_members

Outcome = Literal["replaced", "same", "older", "damaged", "unsigned", "foreign", "unusable"]
"""The result of an update; all but the first two are refused.

replaced: the new file answers. same: it is the same file, and nothing changes. older: a file of
a smaller sequence or time. damaged: it is not complete, or not a model. unsigned: it has no
signature, or no hashes for one to cover. foreign: its signature is not of this key and content.
unusable: it is complete and signed, and does not answer.
"""

SIGNED = [
    accepted("recommend", "a history", items=["R3", "R4", "R5"], k=6),
    accepted("recommend", "an empty history", items=[], k=6),
    accepted("recommend_many", "two histories", histories=[["R3"], ["R12"]], k=5),
]

_OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))

# Edits replace whole tokens: the text to the next quotation mark, or to a header of the archive.
_TOKENS = re.compile(rb'[^"P]*["P]|[^"P]+$')


class Update(NamedTuple):
    """An update of the signed file.

    Attributes:
        name: what it shows.
        content: the content of the new file.
        outcome: what every runtime does.
        sequence: the sequence of the model that answers afterwards.
        rollback: whether an older file is accepted.
    """

    name: str
    content: bytes
    outcome: Outcome
    sequence: int = 3
    rollback: bool = False


def updates(parts: Parts) -> list[Update]:
    """Return the updates of the file that consists of some parts."""
    return [
        *_accepted(parts),
        *_older(parts),
        *_damaged(parts),
        *_unproven(parts),
        *_unusable(parts),
    ]


def _accepted(parts: Parts) -> Iterator[Update]:
    yield Update("the same file", pack(parts), "same")
    yield Update("a later number", pack(_with(parts, sequence=4)), "replaced", 4)
    later = pack(_with(parts, created="2026-12-01T12:00:01Z"))
    yield Update("an equal number, created later", later, "replaced")
    yield Update("an equal number and time", pack(_with(parts, log_until=None)), "replaced")


def _older(parts: Parts) -> Iterator[Update]:
    second = pack(_with(parts, sequence=2))
    yield Update("an earlier number", second, "older")
    yield Update("an earlier number as a rollback", second, "replaced", 2, rollback=True)
    later = pack(_with(parts, sequence=2, created="2027-01-01T00:00:00Z"))
    yield Update("an earlier number, created later", later, "older")
    earlier = pack(_with(parts, created="2026-12-01T11:59:59Z"))
    yield Update("an equal number, created earlier", earlier, "older")
    unnumbered = {k: v for k, v in parts.model.items() if k not in ("sequence", "created")}
    yield Update("no number", pack(replace(parts, model=unnumbered)), "older")


def _damaged(parts: Parts) -> Iterator[Update]:
    content, graph, newer = pack(parts), parts.graph, _with(parts, sequence=4)
    yield Update("a changed bit of the graph", _flipped(content, len(graph) // 2), "damaged")
    inside = content.index(parts.members[VOCABULARY]) + 20
    yield Update("a changed bit of the vocabulary", _flipped(content, inside), "damaged")
    yield Update("the same as a rollback", _flipped(content, inside), "damaged", rollback=True)
    yield Update("half of the file", content[: len(content) // 2], "damaged")
    yield Update("without the last byte", content[:-1], "damaged")
    yield Update("an empty file", b"", "damaged")
    yield Update("the graph alone", graph, "damaged")
    yield Update("bytes before the archive", pack(replace(newer, between=b"\0" * 8)), "damaged")
    changes: dict[str, Mapping[str, bytes | None]] = {
        "another vocabulary": {VOCABULARY: parts.members[VOCABULARY].replace(b"R1", b"Q1")},
        "without the catalogue": {CATALOGUE: None},
        "an added member": {"notes.txt": b"1"},
    }
    for name, changed in changes.items():
        yield Update(name, pack(replace(newer, changes=changed)), "damaged")


def _unproven(parts: Parts) -> Iterator[Update]:
    newer = _with(parts, sequence=4)
    yield Update("no signature", pack(replace(newer, key=None)), "unsigned")
    no_hashes = pack(replace(newer, has_hashes=False))
    yield Update("a signature of a file without hashes", no_hashes, "unsigned")
    yield Update("another key", pack(replace(newer, key=_OTHER_KEY)), "foreign")
    older = replace(_with(parts, sequence=2), key=_OTHER_KEY)
    yield Update("another key as a rollback", pack(older), "foreign", rollback=True)
    signature = read_members(pack(parts))[SIGNATURE]
    for name, changed in {"other content": signature, "63 bytes": signature[:-1]}.items():
        signed_before = replace(newer, changes={SIGNATURE: changed})
        yield Update(f"a signature of {name}", pack(signed_before), "foreign")


def _unusable(parts: Parts) -> Iterator[Update]:
    newer, graph = _with(parts, sequence=4), parts.graph
    unknown = graph[:4] + b"XXXX" + graph[8:]
    yield Update("a graph of another kind", pack(replace(newer, graph=unknown)), "unusable")
    vectors, _ = Recommender.load(pack(parts)).vectors()
    first = graph.index(vectors[0].tobytes())
    nan = np.float32(np.nan).tobytes()
    endless = graph[:first] + nan + graph[first + len(nan) :]
    yield Update("scores that are not numbers", pack(replace(newer, graph=endless)), "unusable")


def _with(parts: Parts, **fields: Any) -> Parts:
    """Return parts with other fields in model.json."""
    return replace(parts, model={**parts.model, **fields})


def _flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def edits_between(before: bytes, after: bytes) -> list[dict[str, Any]]:
    """Return the edits that change a file to another, in the order of their positions.

    An edit replaces `delete` bytes at the position `at` of the file before by those of `insert`, in
    hexadecimal.
    """
    old, new = _TOKENS.findall(before), _TOKENS.findall(after)
    starts = list(accumulate(map(len, old), initial=0))
    edits = []
    for kind, first, end, other, other_end in SequenceMatcher(None, old, new, False).get_opcodes():
        if kind != "equal":
            inserted = b"".join(new[other:other_end]).hex()
            edits.append(
                {"at": starts[first], "delete": starts[end] - starts[first], "insert": inserted}
            )
    return edits


def apply_edits(content: bytes, edits: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a file after edits, as `edits_between` returns them."""
    parts, end = [], 0
    for edit in edits:
        parts += [content[end : edit["at"]], bytes.fromhex(edit["insert"])]
        end = edit["at"] + edit["delete"]
    return b"".join([*parts, content[end:]])
