"""The settings of a run as flags, with a file of settings that the flags override."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.config.fields import Flat
from jaxrec.config.toml_file import read_table, with_table
from jaxrec.data.data_config import DataConfig
from jaxrec.models.model_config import ModelConfig


@dataclass(frozen=True)
class SettingsFlags:
    """Settings of a run."""

    data: Flat[DataConfig] = field(default_factory=DataConfig)
    model: Flat[ModelConfig] = field(default_factory=ModelConfig)
    train: Flat[TrainConfig] = field(default_factory=TrainConfig)
    config: Path | None = None
    """TOML file of settings: a recipe, or the config.toml of a run; other flags override it"""

    @property
    def settings(self) -> Config:
        """Return the configuration of the run."""
        return Config(self.data, self.model, self.train)

    @classmethod
    def from_file(cls, path: Path) -> "SettingsFlags":
        """Return the flags with the settings of a file as their defaults.

        Raises:
            UserError: the file cannot be read, or a setting in it is unknown or invalid.
        """
        flags = cls()
        config = with_table(flags.settings, read_table(path), path)
        return replace(flags, data=config.data, model=config.model, train=config.train, config=path)
