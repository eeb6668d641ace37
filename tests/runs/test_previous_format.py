"""Runs of the previous format, of which format_8/ is one."""

from pathlib import Path

import numpy as np

from jaxrec.runs.directory import RunDirectory


def test_a_run_of_the_previous_format_is_read():
    run = RunDirectory(Path(__file__).parent / "format_8")
    config = run.config()
    assert (config.data.time_features, config.data.target_weight) == ("hour", "rating")
    assert (config.model.id_dropout, config.train.window_overlap) == (0.1, 2)
    summary = run.summary()
    protocol = summary.protocol
    assert protocol.excludes_history and protocol.knows_target_time
    assert (protocol.log_summary.rows, protocol.target_weight) == (108, "rating")
    assert not protocol.train_on_validation
    assert protocol.log_summary.until is None
    unknown, ranks = summary.without_target_time, run.ranks()
    assert unknown is not None and ranks.without_target_time is not None
    assert unknown.means["recall@10"] == np.mean(ranks.without_target_time <= 10)
