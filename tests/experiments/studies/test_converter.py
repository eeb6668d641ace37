"""The study of converters: the files of both have the same lists, and loops are subgraphs."""

import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from experiments.studies.converter.converter import main
from jaxrec.conversion.flatbuffer import read_facts
from tests import ROOT

STEPS, WIDTH = 4, 3
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(WIDTH, WIDTH)).astype(np.float32)
INPUTS = {
    "first": jax.ShapeDtypeStruct((STEPS, WIDTH), jnp.float32),
    "second": jax.ShapeDtypeStruct((1, 6), jnp.float32),
}
needs_converter = "needs litert-converter, which .ci/run installs"


@pytest.fixture
def run():
    """Return a function that converts a function, and compares the outputs of both."""
    pytest.importorskip("litert_converter", reason=needs_converter)
    from experiments.studies.converter.litert_export import convert_signatures

    def run_both(function):
        graph = convert_signatures({"function": (INPUTS, function)})
        given = {
            name: RNG.normal(size=each.shape).astype(np.float32) for name, each in INPUTS.items()
        }
        found = Interpreter(model_content=graph).get_signature_runner("function")(**given)
        for name, expected in function(given).items():
            np.testing.assert_allclose(found[name], expected, atol=1e-5)
        return read_facts(graph).operators

    return run_both


def test_a_loop_reads_inputs_and_constants_and_contains_another(run):
    def repeat(total, inputs):
        return jax.lax.fori_loop(0, 3, lambda _, x: jnp.tanh(x @ WEIGHTS + inputs["first"]), total)

    def function(inputs):
        start = jnp.zeros((STEPS, WIDTH)) + inputs["second"][0, 0]
        total = jax.lax.fori_loop(0, 5, lambda _, x: repeat(x, inputs) + WEIGHTS[0], start)
        return {"total": total, "twice": 2 * total}

    assert run(function)["WHILE"] == 2


def test_the_best_entries_are_one_operation(run):
    def function(inputs):
        values, places = jax.lax.top_k(jnp.round(inputs["second"]), 4)
        return {"values": values, "places": places, "sum": jnp.sum(inputs["first"])[None]}

    assert run(function)["TOPK_V2"] == 1


@pytest.mark.parametrize("encoder", ["bow", "rnn"])
def test_both_files_have_the_same_lists(runs, encoder):
    """Run the script, as a user does."""
    pytest.importorskip("litert_converter", reason=needs_converter)
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    script = ROOT / "experiments" / "studies" / "converter" / "converter.py"
    process = subprocess.run(
        [sys.executable, str(script), str(runs[encoder]), "--rounds=2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    rows = [re.split(r"  +", line) for line in process.stdout.splitlines()]
    cells = {name: values for name, *values in rows}
    assert cells["lists that are equal"] == ["1.0000"]
    assert cells["top-10 overlap with JAX"] == ["1.0000"] * 2
    assert all(float(each) < 1e-5 for each in cells["largest score error"])
    before, after = (int(each.replace(",", "")) for each in cells["bytes of the graph"])
    assert after < 1.01 * before


def test_without_the_converter_the_command_that_installs_it_is_printed(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "litert_converter", None)
    for name in ("litert_export", "outline_loops"):
        monkeypatch.delitem(sys.modules, f"experiments.studies.converter.{name}", raising=False)
    assert main([str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install --no-deps litert-converter==0.5.0" in line
