"""Sizes: the settings of `--size`, and what overrides them."""

import pytest

from jaxrec.cli import main
from jaxrec.cli.settings import SettingsFlags
from jaxrec.config.experiment import Config
from jaxrec.config.sizes import SIZES, with_size
from jaxrec.errors import UserError


def widths(config: Config) -> tuple[int, int]:
    return config.model.embedding_dim, config.model.hidden_units


def test_sizes_are_ordered_by_their_widths():
    small, medium, large = (widths(with_size(Config(), size, None)) for size in SIZES)
    assert small < medium == widths(Config()) < large


def test_a_flag_and_a_file_override_nothing_else_of_a_size(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('encoder = "bow"\n')
    flags = SettingsFlags.with_defaults("small", path)
    assert (flags.settings.model.encoder, widths(flags.settings)) == ("bow", (16, 24))
    assert with_size(Config(), None, path).model.encoder == "bow"


def test_a_file_and_a_size_with_the_same_setting_are_refused(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("hidden-units = 24\nepochs = 3\n")
    with pytest.raises(UserError) as error:
        with_size(Config(), "small", path)
    assert str(error.value) == f"{path} has epochs, which --size=small sets; omit --size"


def test_an_unknown_size_is_one_line(capsys):
    with pytest.raises(UserError, match="--size=tiny is unknown; give small, medium, large"):
        with_size(Config(), "tiny", None)
    assert main(["train", "--size=tiny"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and "tiny" in error
