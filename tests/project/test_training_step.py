"""The documentation of a training step: its quotations match the code, of few files."""

import ast
import re

import pytest

from tests import ROOT

PAGE = (ROOT / "docs" / "training-step.md").read_text()
FILES = re.findall(r"^\d\. \[(\S+\.py)\]", PAGE, flags=re.MULTILINE)
QUOTATIONS = re.findall(
    r"^`(\S+\.py)`, `(\S+)`:\n\n```py\n(.*?)```$", PAGE, re.MULTILINE | re.DOTALL
)


def source_of(path: str, name: str) -> list[str]:
    """Return the lines of a function, or of a method as Class.method."""
    text = (ROOT / path).read_text()
    node: ast.AST = ast.parse(text)
    for part in name.split("."):
        (node,) = (
            each
            for each in ast.iter_child_nodes(node)
            if isinstance(each, ast.FunctionDef | ast.ClassDef) and each.name == part
        )
    return [line.strip() for line in (ast.get_source_segment(text, node) or "").splitlines()]


def require_quoted(quotation: str, lines: list[str]) -> None:
    """Check that the passages, which "..." separates, are in the code in this order."""
    start = 0
    for passage in quotation.split("...\n"):
        quoted = [line.strip() for line in passage.splitlines()]
        starts = [
            number
            for number in range(start, len(lines))
            if lines[number : number + len(quoted)] == quoted
        ]
        assert starts, f"not there: {passage}"
        start = starts[0] + len(quoted)


@pytest.mark.parametrize(("path", "name", "quotation"), QUOTATIONS, ids=lambda value: value[:40])
def test_quotations_match_the_code(path, name, quotation):
    require_quoted(quotation, source_of(path, name))


def test_every_block_quotes_a_listed_file():
    assert len(QUOTATIONS) == PAGE.count("```py\n") > 8
    assert {path for path, _, _ in QUOTATIONS} == set(FILES)


def test_a_step_is_at_most_eight_files_of_900_lines():
    assert 0 < len(FILES) <= 8
    assert sum(len((ROOT / path).read_text().splitlines()) for path in FILES) <= 900


@pytest.mark.parametrize("quotation", ["return here\n", "return there\n...\nvalue = 1\n"])
def test_a_wrong_quotation_is_found(quotation):
    lines = ["value = 1", "return there"]
    require_quoted("value = 1\n...\nreturn there\n", lines)
    with pytest.raises(AssertionError, match="not there"):
        require_quoted(quotation, lines)


def test_every_named_file_exists():
    assert all((ROOT / path).exists() for path in re.findall(r"`(jaxrec/\S+?)`", PAGE))
