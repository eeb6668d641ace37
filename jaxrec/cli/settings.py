"""The settings of a run as flags, with a file of settings that the flags override."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.config.fields import Flat
from jaxrec.config.sizes import Size, with_size
from jaxrec.data.data_config import DataConfig
from jaxrec.models.model_config import ModelConfig


@dataclass(frozen=True)
class SettingsFlags:
    """Settings of a run."""

    data: Flat[DataConfig] = field(default_factory=DataConfig)
    model: Flat[ModelConfig] = field(default_factory=ModelConfig)
    train: Flat[TrainConfig] = field(default_factory=TrainConfig)
    size: Size | None = None
    """widths, dropout and epochs together; small: 16, 24, 0.05 and 15 epochs, for a small file;
    medium: the defaults; large: 96, 192 and 25 epochs, for long histories or sparse logs"""
    config: Path | None = None
    """TOML file of settings: a recipe, or the config.toml of a run; other flags override it"""

    @property
    def settings(self) -> Config:
        """Return the configuration of the run."""
        return Config(self.data, self.model, self.train)

    @classmethod
    def with_defaults(cls, size: str | None, path: Path | None) -> "SettingsFlags":
        """Return the flags with the settings of a size and of a file as their defaults.

        Raises:
            UserError: as in `jaxrec.config.sizes.with_size`.
        """
        flags = cls()
        settings = vars(with_size(flags.settings, size, path))
        return replace(flags, **settings, size=size, config=path)
