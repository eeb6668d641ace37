"""The golden cases of all runtimes, computed on emulated ARM64 cores."""

from collections.abc import Iterator

import pytest

from clients.golden.replay import replay
from clients.golden.write_cases import ADAPT_TOLERANCE
from jaxrec.conversion.verify.emulator import CORES, EmulatedModel, Emulator, start_emulator
from jaxrec.conversion.verify.sysroot import prepare_sysroot
from jaxrec.errors import UserError
from jaxrec.runtime import Recommender, loaded_model
from tests.runtime.test_golden_cases import CASES, FILES, assert_close

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=CORES, ids=lambda core: core.name)
def emulator(request) -> Iterator[Emulator]:
    try:
        sysroot = prepare_sysroot()
    except UserError as error:
        pytest.skip(str(error))
    with start_emulator(sysroot, request.param) as emulator:
        yield emulator


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_case_has_its_result(emulator, path, monkeypatch):
    monkeypatch.setattr(loaded_model, "DeviceModel", lambda graph: EmulatedModel(graph, emulator))
    recommender = Recommender.load(path.with_suffix(".tflite"))
    answered = [case for other, case in CASES if other == path and "result" in case]
    for case in answered:
        tolerance = ADAPT_TOLERANCE if case["call"] == "adapt" else 1e-4
        found = replay(recommender, case["call"], case["arguments"])
        assert_close(found, case["result"], tolerance)
