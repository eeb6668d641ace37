"""Resumed runs equal uninterrupted ones, bit by bit, wherever they crashed."""

from dataclasses import replace

import numpy as np
import pytest

from jaxrec.runs.directory import RunDirectory
from jaxrec.training import loop
from tests.training.chain import CONFIG, FINAL_FIT, SHORT, arrays_of, fit


class SimulatedCrashError(Exception):
    """A simulated crash of a run."""


@pytest.mark.parametrize(
    "function_name", ["_train_epoch", "_validate", "write_metrics", "save", "_report_epoch"]
)
def test_a_resumed_run_is_bit_identical_wherever_it_crashed(
    tmp_path, monkeypatch, uninterrupted_run, function_name
):
    _, uninterrupted = uninterrupted_run
    owner = RunDirectory if function_name == "write_metrics" else loop
    original, calls = getattr(owner, function_name), []

    def crash_at_the_third_call(*arguments):
        calls.append(function_name)
        if len(calls) == 3:
            raise SimulatedCrashError
        return original(*arguments)

    monkeypatch.setattr(owner, function_name, crash_at_the_third_call)
    with pytest.raises(SimulatedCrashError):
        fit(tmp_path / "killed", SHORT)
    resumed, _ = fit(tmp_path / "killed", SHORT)
    for ours, theirs in zip(
        arrays_of(uninterrupted.params), arrays_of(resumed.params), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    losses = [[line["loss"] for line in run.epochs] for run in (uninterrupted, resumed)]
    assert losses[0] == losses[1]
    assert [line["epoch"] for line in resumed.epochs] == list(range(1, SHORT.train.epochs + 1))


@pytest.mark.slow
def test_the_state_of_rowwise_adagrad_is_resumed(tmp_path, monkeypatch):
    rowwise_adagrad = replace(CONFIG.train, table_optimizer="rowwise-adagrad", epochs=3)
    config = replace(CONFIG, train=rowwise_adagrad)
    uninterrupted, _ = fit(tmp_path / "whole", config)

    def crash(*_):
        raise SimulatedCrashError

    with monkeypatch.context() as patched, pytest.raises(SimulatedCrashError):
        patched.setattr(loop, "_report_epoch", crash)
        fit(tmp_path / "killed", config)
    resumed, _ = fit(tmp_path / "killed", config)
    for ours, theirs in zip(
        arrays_of(uninterrupted.params), arrays_of(resumed.params), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_resumed_final_fit_keeps_the_last_epoch(tmp_path, monkeypatch):
    uninterrupted, _ = fit(tmp_path / "whole", FINAL_FIT)
    report_epoch, calls = loop._report_epoch, []

    def crash_at_the_second_call(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise SimulatedCrashError
        report_epoch(*arguments)

    with monkeypatch.context() as patched, pytest.raises(SimulatedCrashError):
        patched.setattr(loop, "_report_epoch", crash_at_the_second_call)
        fit(tmp_path / "killed", FINAL_FIT)
    resumed, _ = fit(tmp_path / "killed", FINAL_FIT)
    assert resumed.progress == uninterrupted.progress
    assert resumed.progress.best_score == resumed.epochs[-1]["validation"]["ndcg@10"]
    for ours, theirs in zip(
        arrays_of(uninterrupted.params), arrays_of(resumed.params), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
