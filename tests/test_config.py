"""Configurations: what is out of range is said by its flag, what is saved comes back."""

import json
from dataclasses import asdict, fields

import pytest

from jaxrec.config import (
    FORMAT,
    Config,
    DataConfig,
    ModelConfig,
    TrainConfig,
    differences,
    load_config,
    save_config,
)
from jaxrec.errors import UserError

# Something unlike the default in every part, of every type.
UNUSUAL = Config(
    DataConfig(
        dataset="my log.csv", min_rating=3.5, split="temporal", final_fit=True, keep_seen=True
    ),
    ModelConfig(encoder="cnn", dropout=0.0, tie_embeddings=False),
    TrainConfig(learning_rate=1e-4, window_length=1, seed=2**31 - 1),
)

LIMITED = [
    (part, spec.name, spec.metadata["low"], spec.metadata["high"])
    for part in (DataConfig, ModelConfig, TrainConfig)
    for spec in fields(part)
    if "low" in spec.metadata
]


def named(value: object) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


def test_every_number_has_limits():
    """A flag without limits is a flag whose wrong value fails far from it."""
    limited = {name for _, name, _, _ in LIMITED}
    for part in (DataConfig, ModelConfig, TrainConfig):
        for spec in fields(part):
            if type(spec.default) in (int, float):
                assert spec.name in limited


@pytest.mark.parametrize(("part", "name", "low", "high"), LIMITED, ids=named)
def test_a_value_beyond_its_limits_is_refused_by_its_flag(part, name, low, high):
    flag = "--" + name.replace("_", "-")
    for allowed in (low, high):
        assert getattr(part(**{name: allowed}), name) == allowed
    step = 1 if isinstance(low, int) else 1e-3
    for outside in (low - step, high + step):
        with pytest.raises(UserError, match=rf"^{flag}=.* is out of range; give it "):
            part(**{name: outside})


@pytest.mark.parametrize(
    ("part", "name", "value", "message"),
    [
        (TrainConfig, "batch_size", 0, "--batch-size=0 is out of range; give it 1 to "),
        (ModelConfig, "dropout", 0.96, "--dropout=0.96 is out of range; give it 0 to 0.95"),
        (DataConfig, "history_length", 1001, "--history-length=1001 is out of range; "),
        (TrainConfig, "learning_rate", float("nan"), "--learning-rate=nan is out of range; "),
        (TrainConfig, "learning_rate", float("inf"), "--learning-rate=inf is out of range; "),
    ],
)
def test_the_message_holds_the_value_and_the_limits(part, name, value, message):
    with pytest.raises(UserError) as error:
        part(**{name: value})
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        (TrainConfig, "seed", 2**31),
        (TrainConfig, "negatives", 1_000_001),
        (DataConfig, "synthetic_users", 1_000_001),
    ],
)
def test_the_message_tells_a_large_value_from_its_limit(part, name, value):
    """Six digits are not enough: "2.14748e+09 is out of range; give it 0 to 2.14748e+09"."""
    with pytest.raises(UserError) as error:
        part(**{name: value})
    said, limits = str(error.value).split(" is out of range; give it ")
    assert said.split("=")[1] != limits.split(" to ")[1]


def test_heads_must_share_the_width_of_a_transformer():
    ModelConfig(hidden_units=10, heads=4)
    ModelConfig("transformer", hidden_units=12, heads=4)
    with pytest.raises(UserError, match="--hidden-units=10 cannot be cut into --heads=4"):
        ModelConfig("transformer", hidden_units=10, heads=4)


@pytest.mark.parametrize("config", [Config(), UNUSUAL])
def test_a_saved_configuration_comes_back_equal(tmp_path, config):
    save_config(config, tmp_path / "config.json")
    assert load_config(tmp_path / "config.json") == config


@pytest.mark.parametrize("found", [FORMAT + 1, None, str(FORMAT)])
def test_another_format_is_refused(tmp_path, found):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(asdict(Config()) | {"format": found}))
    with pytest.raises(
        UserError, match=rf"config\.json has run format {found}, this version reads {FORMAT}"
    ):
        load_config(path)


def test_a_configuration_of_no_format_is_refused(tmp_path):
    path = tmp_path / "config.json"
    for content in (asdict(Config()), [1, 2], "text"):
        path.write_text(json.dumps(content))
        with pytest.raises(UserError, match="has run format None"):
            load_config(path)


@pytest.mark.parametrize(
    "change",
    [
        {"model": None},
        {"model": [1]},
        {"model": {"experts": 8}},
        {"train": {"batch_size": "many"}},
    ],
    ids=str,
)
def test_a_damaged_configuration_is_refused(tmp_path, change):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"format": FORMAT} | asdict(Config()) | change))
    with pytest.raises(UserError, match=r"(?s)config\.json is damaged.*train the run again"):
        load_config(path)


def test_a_configuration_that_lacks_a_part_is_damaged(tmp_path):
    path = tmp_path / "config.json"
    content = {"format": FORMAT} | asdict(Config())
    del content["train"]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        load_config(path)


def test_limits_hold_for_a_saved_configuration_too(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"format": FORMAT} | asdict(Config()) | {"train": {"epochs": 0}}))
    with pytest.raises(UserError, match="--epochs=0 is out of range"):
        load_config(path)


def test_differences_name_the_flag_and_both_values():
    assert differences(Config(), Config()) == []
    assert differences(UNUSUAL, UNUSUAL) == []
    saved = Config(DataConfig(history_length=20), ModelConfig(), TrainConfig(batch_size=32))
    asked = Config(DataConfig(), ModelConfig(encoder="bow"), TrainConfig())
    assert differences(saved, asked) == [
        "--history-length: 20, not 10",
        "--encoder: rnn, not bow",
        "--batch-size: 32, not None",
    ]


def test_the_data_may_have_moved_to_another_folder():
    assert differences(Config(DataConfig(data_dir="/old")), Config(DataConfig())) == []
