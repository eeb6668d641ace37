"""Configurations: errors name the flag, and a saved file is read back equal."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from jaxrec.config.experiment import Config, TrainConfig, differences, load_config, save_config
from jaxrec.config.fields import flag_of, renamed_flags
from jaxrec.config.toml_file import FORMAT, read_table, with_table
from jaxrec.data.data_config import DataConfig, RatingConfig
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.synthetic import SyntheticConfig
from jaxrec.errors import UserError
from jaxrec.models.encoders.convolution import ConvolutionConfig
from jaxrec.models.encoders.recurrent import RecurrentConfig
from jaxrec.models.encoders.transformer import TransformerConfig
from jaxrec.models.model_config import ModelConfig, check_encoder
from jaxrec.runs.directory import RunDirectory

# Values unlike the defaults in every part, and of every type.
UNUSUAL = Config(
    DataConfig(
        dataset="my log.csv",
        filters=FilterConfig(min_rating=3.5),
        split="temporal",
        train_on_validation=True,
        keep_seen=True,
    ),
    ModelConfig(encoder="cnn", dropout=0.0, tie_embeddings=False),
    TrainConfig(learning_rate=1e-4, window_length=1, seed=2**31 - 1),
)

PARTS = (
    *(DataConfig, FilterConfig, LogConfig, SyntheticConfig, RatingConfig),
    *(ModelConfig, RecurrentConfig, ConvolutionConfig, TransformerConfig),
    TrainConfig,
)
LIMITED = [
    (part, spec.name, spec.metadata["low"], spec.metadata["high"])
    for part in PARTS
    for spec in fields(part)
    if "low" in spec.metadata
]


def named(value: object) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


def test_every_number_has_limits():
    """Without limits, a wrong value fails far from its flag."""
    limited = {(part, name) for part, name, _, _ in LIMITED}
    for part in PARTS:
        for spec in fields(part):
            if type(spec.default) in (int, float):
                assert (part, spec.name) in limited


@pytest.mark.parametrize(("part", "name", "low", "high"), LIMITED, ids=named)
def test_a_value_out_of_range_is_refused_by_its_flag(part, name, low, high):
    flag = re.escape(flag_of(part, name))
    for allowed in (low, high):
        assert getattr(part(**{name: allowed}), name) == allowed
    step = 1 if isinstance(low, int) else 1e-3
    for outside in (low - step, high + step):
        with pytest.raises(UserError, match=rf"^{flag}=.* is out of range; give "):
            part(**{name: outside})


@pytest.mark.parametrize(
    ("part", "name", "value", "message"),
    [
        (TrainConfig, "batch_size", 0, "--batch-size=0 is out of range; give 1 to "),
        (ModelConfig, "dropout", 0.96, "--dropout=0.96 is out of range; give 0 to 0.95"),
        (DataConfig, "history_length", 1001, "--history-length=1001 is out of range; "),
        (TrainConfig, "learning_rate", float("nan"), "--learning-rate=nan is out of range; "),
        (TrainConfig, "learning_rate", float("inf"), "--learning-rate=inf is out of range; "),
    ],
)
def test_the_message_has_the_value_and_the_limits(part, name, value, message):
    with pytest.raises(UserError) as error:
        part(**{name: value})
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        (TrainConfig, "seed", 2**31),
        (TrainConfig, "negatives", 1_000_001),
        (SyntheticConfig, "users", 1_000_001),
    ],
)
def test_the_message_tells_a_large_value_from_its_limit(part, name, value):
    """Six digits are too few: "2.14748e+09 is out of range; give 0 to 2.14748e+09"."""
    with pytest.raises(UserError) as error:
        part(**{name: value})
    message, limits = str(error.value).split(" is out of range; give ")
    assert message.split("=")[1] != limits.split(" to ")[1]


def test_attention_heads_must_divide_the_width_of_a_transformer():
    four = TransformerConfig(heads=4)
    check_encoder(ModelConfig("transformer", hidden_units=12, transformer=four))
    with pytest.raises(
        UserError, match=r"--hidden-units=10 cannot be divided by --transformer\.heads=4"
    ):
        check_encoder(ModelConfig("transformer", hidden_units=10, transformer=four))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            ModelConfig("rnn", transformer=TransformerConfig(blocks=1)),
            "--transformer.blocks=1 needs --encoder=transformer",
        ),
        (
            ModelConfig("bow", cnn=ConvolutionConfig(kernel_size=2)),
            "--cnn.kernel-size=2 needs --encoder=cnn",
        ),
    ],
)
def test_settings_of_another_encoder_are_refused(config, message):
    with pytest.raises(UserError) as error:
        check_encoder(config)
    assert str(error.value) == message


def test_changing_the_encoder_resets_the_settings_of_the_others():
    config = ModelConfig("transformer", transformer=TransformerConfig(blocks=1), dense_layers=2)
    other = config.with_encoder("cnn")
    assert other == ModelConfig("cnn", dense_layers=2)
    assert config.with_encoder("transformer") == config


@pytest.mark.parametrize("config", [Config(), UNUSUAL])
def test_a_saved_configuration_is_loaded_equal(tmp_path, config):
    save_config(config, tmp_path / "config.toml")
    assert load_config(tmp_path / "config.toml") == config


def test_a_saved_configuration_has_the_names_of_the_flags(tmp_path):
    save_config(UNUSUAL, tmp_path / "config.toml")
    saved = tomllib.loads((tmp_path / "config.toml").read_text())
    assert saved["format"] == FORMAT
    assert (saved["min-rating"], saved["tie-embeddings"]) == (3.5, False)
    assert saved["cnn"] == {"layers": 2, "kernel-size": 3}
    assert saved["log"]["user"] == "user"


def changed_file(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Save a configuration and change the table in its file."""
    path = folder / "config.toml"
    save_config(Config(), path)
    table = tomllib.loads(path.read_text())
    change(table)
    path.write_text(tomli_w.dumps(table))
    return path


# Settings that were renamed, each with its new name and a value.
RENAMED = {
    "own-dropout": ("id-dropout", 0.5),
    "label-weight": ("target-weight", "rating"),
    "time": ("time-gaps", True),
    "rate": ("predict-ratings", True),
    "moment": ("time-features", "hour"),
    "final-fit": ("train-on-validation", True),
    "lead-in": ("window-overlap", 3),
}


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_is_refused_in_a_settings_file(tmp_path, old):
    new, value = RENAMED[old]
    path = tmp_path / "recipe.toml"
    path.write_text(tomli_w.dumps({old: value}))
    with pytest.raises(UserError) as error:
        with_table(Config(), read_table(path), path)
    assert str(error.value) == f"{path}: {old} is now {new}"


def test_a_run_with_old_names_is_read(tmp_path):
    def use_old_names(table: dict[str, Any]) -> None:
        for old, (new, value) in RENAMED.items():
            table.pop(new, None)  # an unset weight is not in the file
            table[old] = value

    changed_file(tmp_path, use_old_names)
    config = RunDirectory(tmp_path).config()
    assert config == Config(
        DataConfig(
            target_weight="rating",
            time_gaps=True,
            predict_ratings=True,
            time_features="hour",
            train_on_validation=True,
        ),
        ModelConfig(id_dropout=0.5),
        TrainConfig(window_overlap=3),
    )
    assert differences(config, Config())[0] == "--time-gaps: True, not False"


def test_every_renamed_setting_is_tested():
    assert renamed_flags(Config) == {f"--{old}": f"--{new}" for old, (new, _) in RENAMED.items()}


@pytest.mark.parametrize("found", [FORMAT + 1, None, str(FORMAT)])
def test_another_format_is_refused(tmp_path, found):
    path = changed_file(
        tmp_path,
        lambda table: table.pop("format") if found is None else table.update(format=found),
    )
    with pytest.raises(
        UserError, match=rf"config\.toml has run format {found}, this version reads {FORMAT}"
    ):
        load_config(path)


def test_a_configuration_of_an_older_version_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"format": 6}')
    with pytest.raises(UserError, match=rf"config\.json has run format .*reads {FORMAT}; train"):
        load_config(tmp_path / "config.toml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"experts": 8}, "config.toml has experts, which is not a setting; --help-all lists all"),
        ({"epoch": 8}, "config.toml has epoch, which is not a setting; did you mean epochs?"),
        ({"rnn": {"layer": 2}}, "has rnn.layer, which is not a setting; did you mean rnn.layers?"),
        ({"rnn": 2}, "config.toml: rnn is 2; give a table, [rnn]"),
        ({"batch-size": "many"}, "config.toml: batch-size is 'many'; give a whole number"),
        ({"epochs": 2.0}, "config.toml: epochs is 2.0; give a whole number"),
        ({"dropout": True}, "config.toml: dropout is True; give a number"),
        ({"time-gaps": "yes"}, "config.toml: time-gaps is 'yes'; give true or false"),
        ({"dataset": 3}, "config.toml: dataset is 3; give text in quotes"),
        ({"cnn": {"layers": "2"}}, "config.toml: cnn.layers is '2'; give a whole number"),
        ({"epochs": 0}, "config.toml: --epochs=0 is out of range; give 1 to 100000"),
        ({"rnn": {"layers": 99}}, "config.toml: --rnn.layers=99 is out of range; give 1 to 16"),
        ({"split": "middle"}, "config.toml: split is 'middle'; give leave-one-out, temporal, "),
    ],
    ids=str,
)
def test_an_error_in_a_file_is_one_line_with_file_and_key(tmp_path, change, message):
    path = changed_file(tmp_path, lambda table: table.update(change))
    for read in (load_config, lambda path: with_table(Config(), read_table(path), path)):
        with pytest.raises(UserError) as error:
            read(path)
        assert message in str(error.value)
        assert "\n" not in str(error.value)


def test_an_integer_is_read_as_a_float(tmp_path):
    path = changed_file(tmp_path, lambda table: table.update(dropout=0))
    assert load_config(path).model.dropout == 0.0


def test_a_damaged_configuration_is_refused(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("epochs = ")
    with pytest.raises(UserError, match=r"config\.toml is damaged.*train the run again"):
        load_config(path)
    with pytest.raises(UserError, match=r"config\.toml is not valid TOML"):
        read_table(path)


@pytest.mark.parametrize("lacking", ["epochs", "log"])
def test_a_configuration_with_a_missing_key_is_damaged(tmp_path, lacking):
    path = changed_file(tmp_path, lambda table: table.pop(lacking))
    with pytest.raises(UserError, match=rf"config\.toml is damaged \(it lacks {lacking}\)"):
        load_config(path)
    # A file of settings may omit defaults.
    assert with_table(Config(), read_table(path), path) == Config()


def test_differences_name_the_flag_and_both_values():
    assert differences(Config(), Config()) == []
    assert differences(UNUSUAL, UNUSUAL) == []
    saved = Config(DataConfig(history_length=20), ModelConfig(), TrainConfig(batch_size=32))
    requested = Config(DataConfig(), ModelConfig(encoder="bow"), TrainConfig())
    assert differences(saved, requested) == [
        "--history-length: 20, not 10",
        "--encoder: rnn, not bow",
        "--batch-size: 32, not None",
    ]


def test_the_data_directory_is_no_difference():
    assert differences(Config(DataConfig(data_dir="/old")), Config(DataConfig())) == []
