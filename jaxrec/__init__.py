"""Sequential recommendation that runs on the user's own device.

Train on a log, export one small .tflite file, recommend with it:

    import jaxrec

    log = jaxrec.read_log("log.csv", user="customer", item="sku", time="bought_at")
    run = jaxrec.train(log, encoder="rnn", history_length=10, directory="runs/shop")
    file = jaxrec.export(run)
    print(run.report())
    print(jaxrec.Recommender.load(file).recommend(["A12", "B7"], k=5))

Each public name is imported on first use: an application that only recommends needs NumPy and
LiteRT, and `import jaxrec` alone needs neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxrec.conversion.convert import export as export
    from jaxrec.conversion.verify.verification import verify as verify
    from jaxrec.data.sources.python_log import Log as Log
    from jaxrec.data.sources.python_log import read_log as read_log
    from jaxrec.errors import FailedCheckError as FailedCheckError
    from jaxrec.errors import UserError as UserError
    from jaxrec.runs.run import Run as Run
    from jaxrec.runtime import Recommendation as Recommendation
    from jaxrec.runtime import Recommender as Recommender
    from jaxrec.training.api import train as train
    from jaxrec.training.backtest.python_backtest import backtest as backtest
    from jaxrec.training.compare_runs import compare as compare

__all__ = [
    "FailedCheckError",
    "Log",
    "Recommendation",
    "Recommender",
    "Run",
    "UserError",
    "backtest",
    "compare",
    "export",
    "read_log",
    "train",
    "verify",
]

# The module of each public name, and the extra of the package that installs its dependencies.
_PUBLIC = {
    "FailedCheckError": ("jaxrec.errors", None),
    "Log": ("jaxrec.data.sources.python_log", "train"),
    "Recommendation": ("jaxrec.runtime", None),
    "Recommender": ("jaxrec.runtime", None),
    "Run": ("jaxrec.runs.run", "train"),
    "UserError": ("jaxrec.errors", None),
    "backtest": ("jaxrec.training.backtest.python_backtest", "train"),
    "compare": ("jaxrec.training.compare_runs", "train"),
    "export": ("jaxrec.conversion.convert", "convert"),
    "read_log": ("jaxrec.data.sources.python_log", "train"),
    "train": ("jaxrec.training.api", "train"),
    "verify": ("jaxrec.conversion.verify.verification", "convert"),
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use.

    Raises:
        AttributeError: the name is not public.
        ImportError: packages that it needs are not installed.
    """
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, extra = _PUBLIC[name]
    try:
        found = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if extra is None or (error.name or "").startswith(__name__):
            raise
        raise ImportError(
            f"jaxrec.{name} needs {error.name}, which is not installed; "
            f"pip install 'jaxrec[{extra}]'"
        ) from error
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
