"""The best settings found for two data sets, with what they reach; train one, or all of a data set.

    python experiments/presets.py                          # the list
    python experiments/presets.py --train=rnn-n10          # one or more, separated by commas
    python experiments/presets.py --train=ml-1m --data-dir=FOLDER_THAT_HOLDS_ml-1m
    python experiments/presets.py --train=beauty --dataset=beauty.csv

MovieLens 1M is a dense log of 166 ratings a person; Amazon Beauty a sparse one of nine reviews a
person. It is not downloaded: --dataset names a file of user, item and timestamp.

Every other flag is one of run.py's, goes to every preset and outdoes it: `--seed=1`,
`--dataset=log.csv`. Runs lie in runs/presets/<name>. Stop at any moment: the same command keeps
what is finished and goes on with the rest.

The settings were chosen on the validation targets alone; the test was read once, for the list.
rnn-n200-final (which is wider) and beauty-final learned the validation targets too: what one ships.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxrec.cli import train as one_run
from jaxrec.cli.command_line import command, parse, split_words
from jaxrec.errors import UserError
from jaxrec.runs.text_table import lay_out
from jaxrec.training.compilation_cache import keep_compiled


@dataclass(frozen=True)
class Preset:
    """Settings, and what they reached with seed 0.

    Attributes:
        flags: of run.py, as they are typed.
        recall: recall@10 on the test users.
        ndcg: NDCG@10 on the same.
        minutes: of training on one core of an AMD EPYC or an Intel Xeon; rnn-fast and small-cnn: on
            two.
        teacher: the preset whose run it learns from, if any.
    """

    name: str
    flags: str
    recall: float
    ndcg: float
    minutes: float
    teacher: str = ""


@dataclass(frozen=True)
class Log:
    """A data set.

    Attributes:
        flags: what all of its presets share.
    """

    flags: str
    presets: tuple[Preset, ...]


LONG = "--encoder=rnn --history-length=200"
WIDE = "--embedding-dim=96 --hidden-units=192"
BIG = "--embedding-dim=128 --hidden-units=256"
# As large a file as is as fast as the published models of 2020; so is small-transformer.
SMALL = "--embedding-dim=16 --hidden-units=24 --epochs=15"
# The defaults of a log of few targets an item.
SPARSE = "--encoder=rnn --epochs=25 --dropout=0.4"

LOGS = {
    "ml-1m": Log(
        "--dataset=ml-1m",
        (
            Preset(
                "rnn-n200-final",
                f"{LONG} {BIG} --dropout=0.4 --epochs=16 --final-fit",
                0.3565,
                0.2106,
                68,
            ),
            Preset(
                "rnn-n200",
                f"{LONG} {WIDE} --lead-in=50 --dropout=0.3 --epochs=14",
                0.3546,
                0.2113,
                31,
            ),
            Preset(
                "rnn-n10", f"--encoder=rnn {WIDE} --dropout=0.3 --epochs=14", 0.3397, 0.2027, 29
            ),
            Preset(
                "cnn-n10", f"--encoder=cnn {WIDE} --dropout=0.3 --epochs=12", 0.3113, 0.1770, 19
            ),
            Preset("bow-n10", f"--encoder=bow {WIDE} --epochs=12", 0.2525, 0.1419, 11),
            Preset("rnn-fast", "--encoder=rnn --epochs=5", 0.3159, 0.1840, 3),
            Preset(
                "small-rnn",
                f"--encoder=rnn {SMALL} --dropout=0.05 --dense-layers=0",
                0.2578,
                0.1430,
                8,
            ),
            Preset("small-cnn", f"--encoder=cnn {SMALL} --dropout=0.05", 0.2207, 0.1199, 1.5),
            Preset("small-bow", f"--encoder=bow {SMALL} --dropout=0.0", 0.1911, 0.1013, 3),
            Preset(
                "small-transformer",
                "--encoder=transformer --blocks=1 --embedding-dim=16 --hidden-units=64 "
                "--dropout=0.05 --epochs=15",
                0.2952,
                0.1671,
                35,
                teacher="rnn-n10",
            ),
        ),
    ),
    "beauty": Log(
        "--history-length=50 --min-item-interactions=1",
        (
            Preset("beauty-final", f"{SPARSE} --final-fit", 0.0998, 0.0593, 3),
            Preset("beauty-rnn", SPARSE, 0.0838, 0.0495, 3),
        ),
    ),
}


@dataclass(frozen=True)
class PresetsFlags:
    """What is trained."""

    train: str = ""
    """presets or data sets, separated by commas; default: none, the list is printed"""
    runs_dir: Path = Path("runs/presets")
    """where the runs are kept"""


def run(flags: PresetsFlags, others: Sequence[str]) -> None:
    """Print the list, or train what is named.

    Raises:
        UserError: a flag is wrong; nothing was trained.
    """
    commands = {
        preset.name: [*words, *others] for preset, words in choose(flags.train, flags.runs_dir)
    }
    for name, words in commands.items():
        if not any(word.split("=")[0] == "--dataset" for word in words):
            raise UserError(f"--train={name}: give --dataset=FILE, a log of user, item, timestamp")
    settings = [
        parse(one_run.RunFlags, [*words, f"--run-dir={flags.runs_dir / name}", "--resume"])
        for name, words in commands.items()
    ]
    if not commands:
        print("\n\n".join(map(render, LOGS)))
    for (name, words), each in zip(commands.items(), settings, strict=True):
        print(f"{name}: {' '.join(words)}")
        one_run.run(each)


def choose(names: str, runs_dir: Path) -> list[tuple[Preset, list[str]]]:
    """Find the presets of a list, and all of a data set that is named; teachers come first.

    Returns:
        Each with its flags, as words.

    Raises:
        UserError: a name is unknown.
    """
    every = [(name, log, preset) for name, log in LOGS.items() for preset in log.presets]
    known = [*LOGS, *(preset.name for _, _, preset in every)]
    asked = {*split_words("--train", names, known)} if names else set()
    asked |= {preset.teacher for name, _, preset in every if asked & {name, preset.name}}
    chosen = []
    for name, log, preset in every:
        if asked & {name, preset.name}:
            words = [*log.flags.split(), *preset.flags.split()]
            if preset.teacher:
                words.append(f"--teacher={runs_dir / preset.teacher}")
            chosen.append((preset, words))
    return chosen


def render(name: str) -> str:
    """Lay the presets of a data set out."""
    log = LOGS[name]
    cells = [("", "recall@10", "ndcg@10", "minutes")]
    cells += [(p.name, f"{p.recall:.4f}", f"{p.ndcg:.4f}", f"{p.minutes:.0f}") for p in log.presets]
    told = [f"{p.flags}{p.teacher and f', taught by {p.teacher}'}" for p in log.presets]
    rows = zip(lay_out(cells).splitlines(), ["flags", *told], strict=True)
    lines = [f"{row}  {words}" for row, words in rows]
    return "\n".join([f"{name}, seed 0, all with {log.flags}", "", *lines])


main = command(
    run,
    remedy="free or open the place, or give another --runs-dir",
    interrupted="the same command goes on",
    before=keep_compiled,
)

if __name__ == "__main__":
    sys.exit(main())
