"""The study of catalogue sizes: its synthetic log, and the table of a small comparison."""

import numpy as np
import pytest

from experiments.studies.catalogue_sizes.catalogue_sizes import (
    LENGTH,
    SERIES,
    STAY,
    generate_log,
    main,
)


def test_users_stay_in_a_series_four_times_in_five():
    log = generate_log(1000, 500, seed=3)
    assert log.height == 500 * LENGTH
    assert log["item"].min() == 0 and log["item"].max() == 999
    items = log.sort("user", "timestamp")["item"].to_numpy().reshape(500, LENGTH)
    steps = items[:, 1:] // SERIES == items[:, :-1] // SERIES
    # A jump to a random item returns to the same series with probability SERIES / 1000.
    expected = STAY + (1 - STAY) * SERIES / 1000
    assert abs(steps.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / steps.size)
    near = items[:, 1:][steps] != items[:, :-1][steps]
    assert near.mean() > 0.99
    assert generate_log(1000, 500, seed=3).equals(log)


@pytest.mark.slow
def test_it_trains_converts_measures_and_resumes(tmp_path, capsys):
    flags = ["--items=200", "--encoders=bow", "--widths=16", "--users=150", "--epochs=1"]
    flags.append(f"--folder={tmp_path / 'sizes'}")
    assert main(flags) == 0
    head, _, row = capsys.readouterr().out.strip().splitlines()
    cells = dict(zip(head.split("|"), row.split("|"), strict=True))
    row = {name.strip(): value.strip() for name, value in cells.items()}
    assert (row["items"], row["encoder"], row["d"]) == ("200", "bow", "16")
    assert float(row["recall@10"]) > 0.02
    assert float(row["overlap of int8"]) > 0.8
    assert float(row["file"].split()[0]) > 0 and float(row["latency"].split()[0]) > 0
    assert (tmp_path / "sizes" / "catalogue_sizes.png").read_bytes().startswith(b"\x89PNG")
    modified = {path: path.stat().st_mtime_ns for path in (tmp_path / "sizes").rglob("*.tflite")}
    assert main(flags) == 0
    assert modified == {path: path.stat().st_mtime_ns for path in modified}


def test_a_mistake_is_one_line(tmp_path, capsys):
    flags = ["--items=200", "--encoders=tree", f"--folder={tmp_path / 'sizes'}"]
    assert main(flags) == 2
    assert "--encoders=tree has 'tree'" in capsys.readouterr().err
    assert not (tmp_path / "sizes").exists()
