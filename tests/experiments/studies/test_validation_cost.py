"""The measurement of validation and training costs: its table on a small log."""

import pytest

from experiments.studies.catalogue_sizes.validation_cost import main


@pytest.mark.slow
def test_the_table_has_a_row_for_each_log_and_encoder(capsys):
    flags = ["--items=60,8000", "--encoders=bow", "--users=200", "--ranked=20", "--repeats=1"]
    assert main(flags) == 0
    _, small, large = capsys.readouterr().out.strip().splitlines()
    assert small.split()[:3] == ["60", "bow", "60"]
    items, _, candidates, step, ranking, ratio = large.replace(",", "").split()
    assert int(items) > 5_000 and candidates == "512"
    expected = (float(step) * 1e-6 / 512) / (float(ranking) * 1e-3 / int(items))
    assert float(ratio) == pytest.approx(expected, rel=0.05, abs=0.1)
