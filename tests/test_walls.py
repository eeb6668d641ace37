"""The floors of the house: a module imports from below, never from above or across."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up; modules of one floor may know each other.
FLOORS = [
    {"jaxrec.errors", "jaxrec.files", "jaxrec.config", "jaxrec.features"}
    | {"jaxrec.command_line", "jaxrec.text_table"},
    {"jaxrec.data", "jaxrec.models", "jaxrec.losses", "jaxrec.negatives", "jaxrec.metrics"}
    | {"jaxrec.sharding"},
    {"jaxrec.evaluate", "jaxrec.baselines", "jaxrec.step", "jaxrec.heldout", "jaxrec.ranks"},
    {"jaxrec.checkpoint", "jaxrec.run_directory", "jaxrec.report"},
    {"jaxrec.train"},
    {"experiments"},
]
LEARNING = {"jax", "jaxlib", "flax", "optax", "orbax"}
CONVERTING = {"tensorflow", "ai_edge_litert", "ai_edge_quantizer"}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found.add(node.module or "")
    return found


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def floor_of(module: str) -> int | None:
    for number, floor in enumerate(FLOORS):
        if any(module == room or module.startswith(f"{room}.") for room in floor):
            return number
    return None


@pytest.mark.parametrize("path", modules("jaxrec") + modules("experiments"), ids=name_of)
def test_a_module_imports_nothing_from_a_higher_floor(path: Path):
    if name_of(path) == "jaxrec":
        assert not imports(path)
        return
    own = floor_of(name_of(path))
    assert own is not None, f"{path} stands on no floor: give it one here"
    for module in imports(path):
        other = floor_of(module)
        assert other is None or other <= own, f"{name_of(path)} imports {module} from above"


@pytest.mark.parametrize("path", modules("jaxrec/data"), ids=name_of)
def test_data_knows_nothing_of_jax(path: Path):
    assert not {module.split(".")[0] for module in imports(path)} & LEARNING
    assert not {m for m in imports(path) if m.startswith(("jaxrec.models", "jaxrec.losses"))}


@pytest.mark.parametrize("path", modules("jaxrec") + modules("experiments"), ids=name_of)
def test_nothing_but_convert_knows_tensorflow(path: Path):
    roots = {module.split(".")[0] for module in imports(path)}
    assert not roots & CONVERTING
    assert not roots & {"convert", "demo"}


@pytest.mark.parametrize("path", modules("demo"), ids=name_of)
def test_the_demo_knows_files_and_no_models(path: Path):
    found = imports(path)
    assert not {module.split(".")[0] for module in found} & (LEARNING | CONVERTING)
    assert {module for module in found if module.startswith("convert")} <= {
        *("convert", "convert.bundle"),
    }


def test_what_speaks_to_the_model_in_the_page_knows_nothing_of_the_page():
    page = ROOT / "demo" / "page"
    for name, known in (
        ("recommender.js", {"bundle.js", "runtime/litert.js"}),
        ("bundle.js", set()),
    ):
        text = (page / name).read_text()
        assert set(re.findall(r'^import .* from "\./(.*)";', text, re.MULTILINE)) == known
        assert "document" not in text and "window" not in text


@pytest.mark.parametrize("path", modules("convert"), ids=name_of)
def test_convert_does_not_know_training(path: Path):
    assert not imports(path) & {"jaxrec.train", "jaxrec.step", "jaxrec.losses"}
