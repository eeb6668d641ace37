"""The README's commands are the ones that run."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_continuous_integration_runs_the_test_command_of_the_readme():
    (command,) = re.findall(r"^pip install .*pytest$", README, flags=re.MULTILINE)
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_nothing_is_left_to_fill_in():
    assert "@@" not in README


def test_every_path_in_the_house_is_there():
    house = README.split("## The house")[1].split("```")[1]
    folder = ROOT
    for line in house.strip().splitlines():
        names = re.findall(r"(?:^|\s)([a-z_]+(?:\.py|/))", line.split("   ")[0])
        if not line.startswith(" "):
            folder = ROOT / line.split()[0]
            assert folder.is_dir()
            continue
        for name in names:
            assert (folder / name).exists(), name


def test_constraints_hold_versions_and_no_address():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    for line in lines:
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.+-]+", line), line
