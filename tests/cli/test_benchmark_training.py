"""The command that measures training: a row for every encoder."""

import re

import pytest

from jaxrec.cli import benchmark_training as benchmark
from tests.exports import call


@pytest.mark.slow
def test_the_benchmark_measures_every_encoder(tmp_path):
    flags = ["--synthetic.users=60", "--synthetic.items=30", "--embedding-dim=4"]
    flags += ["--hidden-units=4", "--batch-size=8", "--negatives=8", "--repeats=1"]
    process = call(benchmark.main, *flags, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    for row in ("training, bow", "training, cnn", "training, rnn", "ranking 60 tests, rnn"):
        assert row in process.stdout
    assert re.search(r"peak \(large matrix product\) +\d+ GFLOP/s", process.stdout)
    assert len(re.findall(r"\d% of peak\)", process.stdout)) == 4
