"""The run directory: checks before a run, and the content of its files."""

import json
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from jaxrec.config.experiment import Config, TrainConfig, save_config
from jaxrec.config.toml_file import FORMAT
from jaxrec.data.data_config import DataConfig
from jaxrec.data.interactions import FilterConfig
from jaxrec.errors import UserError
from jaxrec.runs import directory, heldout
from jaxrec.runs.directory import RunDirectory, newest_run
from jaxrec.schema import Schema
from tests.small_data import dataset_of, left_padded

HISTORIES = [[10, 20, 30, 40, 50], [20, 10, 30, 10], [50, 60], [10, 20, 30]]
CONFIG = Config(DataConfig(history_length=3, filters=FilterConfig(min_item_interactions=1)))


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def check(run_dir: Path, config: Config = CONFIG, resume: bool = False, overwrite: bool = False):
    RunDirectory(run_dir).check(config, resume=resume, overwrite=overwrite)


@pytest.fixture
def unfinished(tmp_path) -> Path:
    save_config(CONFIG, tmp_path / "config.toml")
    return tmp_path


@pytest.fixture
def finished(unfinished) -> Path:
    (unfinished / "summary.json").write_text("{}")
    return unfinished


def test_a_run_is_finished_when_it_has_its_summary(unfinished):
    assert not RunDirectory(unfinished).is_finished
    (unfinished / "summary.json").write_text("{}")
    assert RunDirectory(unfinished).is_finished


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_new_or_empty_folder_is_accepted(tmp_path, resume, overwrite):
    for run_dir in (tmp_path / "new" / "deep", tmp_path):
        if not (resume and overwrite):
            check(run_dir, resume=resume, overwrite=overwrite)
    # The check writes nothing.
    assert not any(tmp_path.iterdir())


def test_resume_and_overwrite_exclude_each_other(unfinished):
    with pytest.raises(UserError, match="--resume and --overwrite exclude each other"):
        check(unfinished, resume=True, overwrite=True)


@pytest.mark.parametrize("flags", [{}, {"resume": True}, {"overwrite": True}], ids=str)
def test_a_file_in_place_of_the_folder_is_rejected(tmp_path, flags):
    path = tmp_path / "thesis.txt"
    path.write_text("years of work")
    with pytest.raises(UserError, match=r"--run-dir=.*thesis\.txt is a file"):
        check(path, **flags)
    assert path.read_text() == "years of work"


@pytest.mark.parametrize("flags", [{}, {"resume": True}, {"overwrite": True}], ids=str)
def test_a_folder_of_unrelated_files_is_never_overwritten(tmp_path, flags):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"--run-dir=.* contains other files and no run"):
        check(tmp_path, **flags)
    assert content_of(tmp_path) == {"thesis.txt": b"years of work"}


def test_a_run_is_not_overwritten_without_a_flag(unfinished):
    with pytest.raises(UserError, match=r"contains an unfinished run; give --resume.*--overwrite"):
        check(unfinished)
    (unfinished / "summary.json").write_text("{}")
    with pytest.raises(UserError, match=r"contains a finished run; give --resume.*--overwrite"):
        check(unfinished)


def test_a_run_is_resumed_by_equal_flags_and_overwritten_by_any(finished):
    before = content_of(finished)
    check(finished, resume=True)
    moved = replace(CONFIG, data=replace(CONFIG.data, data_dir="/elsewhere"))
    check(finished, moved, resume=True)
    check(finished, Config(), overwrite=True)
    assert content_of(finished) == before


def test_resuming_with_other_flags_is_rejected(unfinished):
    other = replace(CONFIG, train=TrainConfig(batch_size=32, seed=3))
    with pytest.raises(UserError) as error:
        check(unfinished, other, resume=True)
    assert "--seed: 0, not 3; --batch-size: None, not 32" in str(error.value)
    assert "another configuration" in str(error.value)


def test_resuming_another_format_is_rejected(unfinished):
    path = unfinished / "config.toml"
    path.write_text(path.read_text().replace(f"format = {FORMAT}", "format = 0"))
    with pytest.raises(UserError, match="has run format 0"):
        check(unfinished, resume=True)


def test_a_run_of_an_earlier_version_can_only_be_overwritten(unfinished):
    (unfinished / "config.toml").unlink()
    (unfinished / "config.json").write_text('{"format": 6}')
    with pytest.raises(UserError, match="contains an unfinished run"):
        check(unfinished)
    with pytest.raises(
        UserError, match=rf"config\.json has run format .*, this version reads {FORMAT}"
    ):
        check(unfinished, resume=True)
    check(unfinished, overwrite=True)


def test_the_files_of_a_run_round_trip(tmp_path):
    run_dir = tmp_path / "runs" / "first"
    dataset = dataset_of(HISTORIES)
    run = RunDirectory(run_dir)
    run.begin(CONFIG, dataset)
    assert set(content_of(run_dir)) == {
        "config.toml",
        "schema.json",
        "vocabulary.json",
        "catalogue.json",
        "heldout.npz",
    }
    assert run.config() == CONFIG
    assert run.schema() == Schema(6, CONFIG.model.embedding_dim)
    values = run.vocabulary().values.to_list()
    assert values == dataset.vocabulary.values.to_list()
    catalogue = run.catalogue()
    assert catalogue.equals(dataset.catalogue)
    assert catalogue["item"].to_list() == values
    # An older format is a list of entries.
    entries = json.dumps(dataset.catalogue.with_row_index("id", 1).to_dicts())
    (run_dir / "catalogue.json").write_text(entries)
    assert run.catalogue().equals(dataset.catalogue)
    # A run that has just begun can be resumed.
    check(run_dir, resume=True)


def read_heldout(run_dir: Path) -> dict[str, np.ndarray]:
    with np.load(run_dir / "heldout.npz", allow_pickle=False) as file:
        return dict(file)


def test_held_out_histories_match_the_timelines(tmp_path):
    dataset = dataset_of(HISTORIES)
    RunDirectory(tmp_path).begin(CONFIG, dataset)
    heldout = read_heldout(tmp_path)
    assert heldout.keys() == {"history.item", "target", "users", "seen", "seen_offsets"}
    id_of = {value: i for i, value in enumerate(dataset.vocabulary.values.to_list(), start=1)}
    tested = [[id_of[item] for item in items] for items in HISTORIES if len(items) >= 3]
    assert heldout["target"].tolist() == [items[-1] for items in tested]
    assert heldout["history.item"].tolist() == [left_padded(items[:-1], 3) for items in tested]
    ends = heldout["seen_offsets"].tolist()
    assert len(ends) == len(tested) + 1
    excluded = [heldout["seen"][a:b].tolist() for a, b in pairwise(ends)]
    # Seen items are complete, also beyond the history length.
    assert excluded == [items[:-1] for items in tested]


def test_held_out_histories_are_sampled_by_seed_beyond_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(heldout, "LIMIT", 10)
    dataset = dataset_of([[user + 1, user + 2, user + 3, user + 4] for user in range(60)])
    drawn = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        config = replace(CONFIG, train=TrainConfig(seed=seed))
        RunDirectory(tmp_path / name).begin(config, dataset)
        saved = read_heldout(tmp_path / name)
        drawn.append(saved["target"].tolist())
        assert saved["history.item"].shape == (10, 3)
        # Histories and targets are sampled together.
        raw = dataset.vocabulary.values.to_numpy()
        np.testing.assert_array_equal(
            raw[saved["history.item"] - 1], raw[saved["target"] - 1][:, None] + [-3, -2, -1]
        )
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 10


def test_a_resumed_run_keeps_its_files_and_rejects_changed_data(tmp_path):
    RunDirectory(tmp_path).begin(CONFIG, dataset_of(HISTORIES))
    before = content_of(tmp_path)
    RunDirectory(tmp_path).begin(CONFIG, dataset_of(HISTORIES))
    assert content_of(tmp_path) == before
    changed = dataset_of([[*HISTORIES[0][:3], 70, 40, 50], *HISTORIES[1:]])
    with pytest.raises(UserError, match=r"other items than --dataset=synthetic.*--overwrite"):
        RunDirectory(tmp_path).begin(CONFIG, changed)
    assert content_of(tmp_path) == before


def test_the_configuration_is_written_last(tmp_path, monkeypatch):
    """Check that a run killed while it writes its files leaves no config.toml."""

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(directory, "save_heldout", killed)
    with pytest.raises(KeyboardInterrupt):
        RunDirectory(tmp_path).begin(CONFIG, dataset_of(HISTORIES))
    assert "vocabulary.json" in content_of(tmp_path)
    assert "config.toml" not in content_of(tmp_path)


EPOCHS = [{"epoch": e, "step": 10 * e, "loss": 1.0 / e} for e in (1, 2, 3)]


def test_metrics_round_trip(tmp_path):
    assert RunDirectory(tmp_path).metrics(until_step=100) == []
    RunDirectory(tmp_path).write_metrics(EPOCHS)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3
    assert RunDirectory(tmp_path).metrics(until_step=30) == EPOCHS
    RunDirectory(tmp_path).write_metrics(EPOCHS[:1])
    assert RunDirectory(tmp_path).metrics(until_step=30) == EPOCHS[:1]


@pytest.mark.parametrize(("until_step", "kept"), [(0, 0), (10, 1), (19, 1), (20, 2), (30, 3)])
def test_epochs_after_the_checkpoint_are_ignored(tmp_path, until_step, kept):
    RunDirectory(tmp_path).write_metrics(EPOCHS)
    assert RunDirectory(tmp_path).metrics(until_step) == EPOCHS[:kept]


def test_an_incomplete_last_line_is_ignored(tmp_path):
    RunDirectory(tmp_path).write_metrics(EPOCHS)
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    two_lines = whole.rindex(b"{")
    for end in range(two_lines, len(whole) - 1):
        (tmp_path / "metrics.jsonl").write_bytes(whole[:end])
        # The last byte is the newline: a line without it is still complete.
        assert RunDirectory(tmp_path).metrics(until_step=100) == EPOCHS[:2]


def make_finished_run(run_dir: Path, ended: float) -> RunDirectory:
    run_dir.mkdir(parents=True)
    (run_dir / "summary.json").write_text("{}")
    os.utime(run_dir / "summary.json", (ended, ended))
    return RunDirectory(run_dir)


def test_the_newest_run_is_the_last_finished_one_at_any_depth(tmp_path):
    runs = tmp_path / "runs"
    first = make_finished_run(runs / "shallow", 1_000)
    assert newest_run(runs) == first
    assert first.ended == 1_000
    recipe = make_finished_run(runs / "recipes" / "rnn-n10", 2_000)
    assert newest_run(runs) == recipe
    cell = make_finished_run(runs / "more" / "sweep-ml-1m" / "bow-n10-seed0", 3_000)
    assert newest_run(runs) == cell
    # A later run that is not finished is ignored.
    (runs / "begun").mkdir()
    save_config(CONFIG, runs / "begun" / "config.toml")
    assert newest_run(runs) == cell
    assert newest_run(runs / "recipes") == recipe


def test_newest_run_follows_links_but_not_cycles(tmp_path):
    runs = tmp_path / "runs"
    make_finished_run(runs / "here", 1_000)
    make_finished_run(tmp_path / "large-disk" / "run", 2_000)
    (runs / "there").symlink_to(tmp_path / "large-disk" / "run")
    (runs / "here" / "circle").symlink_to(runs)
    assert newest_run(runs).path == runs / "there"


@pytest.mark.parametrize("root", ["runs", "runs/unfinished"])
def test_without_a_finished_run_the_error_names_the_remedy(tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "unfinished").mkdir(parents=True)
    with pytest.raises(UserError, match=f"no finished run under {root}/; train one .*--run-dir"):
        newest_run(Path(root))


def test_the_path_of_the_model_file():
    assert RunDirectory(Path("runs/first")).model_file == Path("runs/first/export/model.tflite")
