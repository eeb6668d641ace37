"""Equality of adapters, and of all dataclasses with array fields."""

import importlib
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import get_type_hints

import numpy as np
import pytest

from jaxrec.runtime.user_adapter import Adapter
from tests import ROOT

ARRAYS = ("ndarray", "Array", "DataFrame", "Series", "nnx.statelib.State")


def adapter(**changes) -> Adapter:
    return replace(Adapter(np.array([0.5, -2], np.float32), "abc", 1.5, 1.25), **changes)


def test_adapters_compare_by_content():
    assert adapter() == adapter()
    assert adapter() == Adapter.from_json(adapter().to_json())
    for changes in (
        {"vector": np.array([0.5, -1], np.float32)},
        {"vector": np.array([0.5, -2, 0], np.float32)},
        {"model": "abd"},
        {"before": 1.0},
        {"after": math.nan},
    ):
        assert adapter() != adapter(**changes)
    assert adapter() != adapter().to_json()


def test_an_adapter_with_nan_losses_survives_a_json_round_trip():
    unjudged = adapter(before=float("nan"), after=float("nan"))
    assert unjudged == Adapter.from_json(unjudged.to_json())


def dataclasses_with_arrays() -> Iterator[tuple[type, set[str]]]:
    """Yield each dataclass with array or table fields, and the names of these fields."""
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    for folder in ("jaxrec", "demo", "experiments", "examples/flower/jaxrec_flower"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            # Flower apps and LiteRT's converter need packages that this environment may lack.
            needs_more = path.name.endswith("_app.py") or path.parent.name == "converter"
            if "node_modules" in path.parts or needs_more:
                continue
            name = ".".join(path.relative_to((ROOT / folder).parent).with_suffix("").parts)
            module = importlib.import_module(name.removesuffix(".__init__"))
            for kind in vars(module).values():
                if not (isinstance(kind, type) and is_dataclass(kind)):
                    continue
                hints = {each.name: str(get_type_hints(kind)[each.name]) for each in fields(kind)}
                found = {name for name in hints if any(word in hints[name] for word in ARRAYS)}
                if found and kind.__module__ == module.__name__:
                    yield kind, found


def test_dataclasses_with_arrays_are_comparable():
    walked = list(dataclasses_with_arrays())
    assert len(walked) > 20
    for kind, arrays in walked:
        ours, theirs = object.__new__(kind), object.__new__(kind)
        for twin in (ours, theirs):
            for each in fields(kind):
                value = np.zeros(2) if each.name in arrays else 1.0
                object.__setattr__(twin, each.name, value)
        assert (ours == theirs) in (True, False), kind
        assert ours == ours, kind
