"""Backtest: models trained at several times of a log, each judged on what followed."""
