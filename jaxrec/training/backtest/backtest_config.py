"""Settings of a backtest: its periods."""

from dataclasses import dataclass
from typing import Any

from jaxrec.config.experiment import Config
from jaxrec.config.fields import check, flag_values, setting


@dataclass(frozen=True)
class BacktestConfig:
    """Backtest: the periods at the end of the log that models are judged on."""

    every: str = "7d"
    """length of a period, and the time from one training to the next: 12h, 7d or 2w"""
    weeks: int = setting(8, 2, 1000)
    """number of periods, whatever their length"""
    until: str | None = None
    """end of the last period, as 2024-05-01, or a number in the unit of the log; default: the last
    activity of the log"""

    def __post_init__(self) -> None:
        check(self)


def flags_of(settings: BacktestConfig, config: Config) -> dict[str, Any]:
    """Return the value of each flag of a backtest, those of its models included."""
    return {**flag_values(settings), **flag_values(config)}
