"""Write layout.md, which lists every module with the first paragraph of its docstring.

Run it as `python docs/write_layout.py` after a module was added, renamed or described anew.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("jaxrec", "experiments", "convert", "demo", "clients", "examples")
SUFFIXES = (".py", ".js", ".kt", ".swift")

_HEAD = """\
# Layout

Every module, with the first sentence of its docstring. `python docs/write_layout.py` writes this
page; a test checks that it is current. [Architecture](architecture.md) explains the layers.

Beside these folders: `experiments/recipes/` has the best settings found as TOML, `pretrained/` two
exported models, `tests/` a file per module and the properties that span them, `docs/` the pages.
"""


def layout(root: Path) -> str:
    """Return the page for a checkout."""
    sections = [_HEAD]
    for folder in _folders(root):
        paths = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
        init = folder / "__init__.py"
        name = folder.relative_to(root).as_posix()
        about = [f"{summary(init)}\n"] if init.exists() and summary(init) else []
        rows = [f"| `{path.name}` | {summary(path)} |" for path in paths if path != init]
        table = ["| file | content |\n|---|---|", *rows] if rows else []
        sections.append("\n".join([f"## {name}\n", *about, *table]).rstrip() + "\n")
    return "\n".join(sections)


def summary(path: Path) -> str:
    """Return the first paragraph of a module's docstring, or of a script's leading comment."""
    text = path.read_text()
    if path.suffix == ".py":
        found = ast.get_docstring(ast.parse(text)) or ""
    else:
        comment = re.match(r"/\*\*(.*?)\*/", text, re.DOTALL)
        found = re.sub(r"^ *\* ?", "", comment[1], flags=re.MULTILINE) if comment else ""
    first = " ".join(found.strip().split("\n\n")[0].split()).replace("|", "\\|")
    # A command in code would have to be a complete one (tests/project/test_doc_commands.py).
    return re.sub(r"`([^`]*)`", lambda code: code[1] if " " in code[1] else code[0], first)


def _folders(root: Path) -> Iterator[Path]:
    """Yield the folders that have modules, parents first."""
    for name in FOLDERS:
        modules = [path for path in (root / name).rglob("*") if path.suffix in SUFFIXES]
        yield from sorted({path.parent for path in modules if "node_modules" not in path.parts})


if __name__ == "__main__":
    (ROOT / "docs" / "layout.md").write_text(layout(ROOT))
