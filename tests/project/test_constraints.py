"""constraints.txt pins a version of every dependency for each Python that the package supports."""

import re
import tomllib
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = [
    line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
]
PYTHONS = ("3.11", "3.12", "3.13")


def requirements() -> list[Requirement]:
    """Return the requirements of the package and of its extras, without those on itself."""
    extras = PROJECT["optional-dependencies"].values()
    found = [Requirement(each) for each in chain(PROJECT["dependencies"], *extras)]
    return [each for each in found if each.name != PROJECT["name"]]


def versions_on(python: str) -> dict[str, list[str]]:
    """Return the versions of each package that are pinned for a Python on Linux."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_system": "Linux",
    }
    found = {}
    for pin in map(Requirement, PINS):
        if pin.marker is None or pin.marker.evaluate(environment):
            found.setdefault(_normalize(pin.name), []).append(str(pin.specifier).removeprefix("=="))
    return found


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_pins_are_versions_without_urls():
    for line in PINS:
        assert re.fullmatch(r"[\w.-]+==[\w.+-]+( ; [\w. '!<>=]+)?", line), line


@pytest.mark.parametrize("python", PYTHONS)
def test_each_python_has_one_version_of_each_requirement(python):
    pinned = versions_on(python)
    assert all(len(versions) == 1 for versions in pinned.values())
    for requirement in requirements():
        (version,) = pinned[_normalize(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} on Python {python}"


def test_the_pythons_that_are_pinned_are_those_that_the_package_allows():
    allowed = SpecifierSet(PROJECT["requires-python"])
    minors = [f"3.{minor}" for minor in range(20)]
    assert tuple(each for each in minors if allowed.contains(f"{each}.9")) == PYTHONS
    for page in ("README.md", "CONTRIBUTING.md"):
        assert "Python 3.11, 3.12 or 3.13" in (ROOT / page).read_text()


def test_newer_pythons_get_a_newer_jax():
    oldest, middle, newest = (Version(versions_on(python)["jax"][0]) for python in PYTHONS)
    assert oldest < middle == newest
