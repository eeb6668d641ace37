"""The best settings found for MovieLens 1M, with what they reach; train one, or all of them.

    python experiments/presets.py                          # the list
    python experiments/presets.py --train=rnn-n10          # one or more, separated by commas
    python experiments/presets.py --train=all --data-dir=FOLDER_THAT_HOLDS_ml-1m

Every other flag is one of run.py's, goes to every preset and outdoes it: `--seed=1`,
`--dataset=log.csv`. Runs lie in runs/presets/<name>. Stop at any moment: the same command keeps
what is finished and goes on with the rest.

The settings were chosen on the validation targets alone; the test was read once, for the list.
rnn-n200-final is wider, and learned the validation targets too: what one ships.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments import run as one_run
from jaxrec.command_line import command, parse, split_words
from jaxrec.text_table import lay_out
from jaxrec.training.compilation_cache import keep_compiled


@dataclass(frozen=True)
class Preset:
    """Settings, and what they reached on MovieLens 1M with seed 0.

    Attributes:
        flags: of run.py, as they are typed.
        recall: recall@10 on the 6,040 test users.
        ndcg: NDCG@10 on the same.
        minutes: of training on one core of an AMD EPYC (rnn-fast and small-cnn: on two).
    """

    name: str
    flags: str
    recall: float
    ndcg: float
    minutes: float


COMMON = "--dataset=ml-1m"
LONG = "--encoder=rnn --history-length=200"
WIDE = "--embedding-dim=96 --hidden-units=192"
BIG = "--embedding-dim=128 --hidden-units=256"
# As large a file as is as fast as the published models of 2020.
SMALL = "--embedding-dim=16 --hidden-units=24 --epochs=15"

PRESETS = (
    Preset(
        "rnn-n200-final", f"{LONG} {BIG} --dropout=0.4 --epochs=16 --final-fit", 0.3565, 0.2106, 68
    ),
    Preset("rnn-n200", f"{LONG} {WIDE} --lead-in=50 --dropout=0.3 --epochs=14", 0.3546, 0.2113, 31),
    Preset("rnn-n10", f"--encoder=rnn {WIDE} --dropout=0.3 --epochs=14", 0.3412, 0.2043, 30),
    Preset("cnn-n10", f"--encoder=cnn {WIDE} --dropout=0.3 --epochs=12", 0.3113, 0.1770, 19),
    Preset("bow-n10", f"--encoder=bow {WIDE} --epochs=12", 0.2525, 0.1419, 11),
    Preset("rnn-fast", "--encoder=rnn --epochs=5", 0.3159, 0.1840, 3),
    Preset(
        "small-rnn", f"--encoder=rnn {SMALL} --dropout=0.05 --dense-layers=0", 0.2578, 0.1430, 8
    ),
    Preset("small-cnn", f"--encoder=cnn {SMALL} --dropout=0.05", 0.2207, 0.1199, 1.5),
    Preset("small-bow", f"--encoder=bow {SMALL} --dropout=0.0", 0.1911, 0.1013, 3),
)


@dataclass(frozen=True)
class PresetsFlags:
    """What is trained."""

    train: str = ""
    """presets, separated by commas, or all; default: none, the list is printed"""
    runs_dir: Path = Path("runs/presets")
    """where the runs are kept"""


def run(flags: PresetsFlags, others: Sequence[str]) -> None:
    """Print the list, or train what is named.

    Raises:
        UserError: a flag is wrong; nothing was trained.
    """
    commands = {
        preset.name: [COMMON, *preset.flags.split(), *others] for preset in choose(flags.train)
    }
    settings = [
        parse(one_run.RunFlags, [*words, f"--run-dir={flags.runs_dir / name}", "--resume"])
        for name, words in commands.items()
    ]
    if not commands:
        print(render())
    for (name, words), each in zip(commands.items(), settings, strict=True):
        print(f"{name}: {' '.join(words)}")
        one_run.run(each)


def choose(names: str) -> list[Preset]:
    """Find the presets of a list.

    Raises:
        UserError: a name is unknown.
    """
    known = {preset.name: preset for preset in PRESETS}
    if names in ("", "all"):
        return list(PRESETS) if names else []
    return [known[name] for name in split_words("--train", names, list(known))]


def render() -> str:
    """Lay the presets out."""
    cells = [("", "recall@10", "ndcg@10", "minutes")]
    cells += [(p.name, f"{p.recall:.4f}", f"{p.ndcg:.4f}", f"{p.minutes:.0f}") for p in PRESETS]
    flags = ["flags", *(preset.flags for preset in PRESETS)]
    rows = zip(lay_out(cells).splitlines(), flags, strict=True)
    lines = [f"{row}  {words}" for row, words in rows]
    return "\n".join([f"MovieLens 1M, seed 0, all with {COMMON}", "", *lines])


main = command(
    run,
    remedy="free or open the place, or give another --runs-dir",
    interrupted="the same command goes on",
    before=keep_compiled,
)

if __name__ == "__main__":
    sys.exit(main())
