"""The floors of the house: a module imports from below, never from above; indirect ones count."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("jaxrec", "experiments", "demo")

# From the ground up; rooms of one floor may know each other.
FLOORS = [
    {"jaxrec.errors", "jaxrec.files"},
    {"jaxrec.schema", "jaxrec.config"},
    {"jaxrec.data", "jaxrec.models"},
    {"jaxrec.evaluation", "jaxrec.config.experiment"},
    {"jaxrec.runs"},
    {"jaxrec.training"},
    {"jaxrec.federated", "jaxrec.conversion"},
    {"jaxrec.cli"},
    {"experiments", "jaxrec.__main__"},
]
LEARNING = {"jax", "jaxlib", "flax", "optax", "orbax"}
CONVERTING = {"tensorflow", "ai_edge_litert", "ai_edge_quantizer"}

# What a room never reaches, by whatever way, and the part of it that it may.
NEVER = {
    **{
        room: (CONVERTING | {"demo"}, set())
        for floor in FLOORS[:7]
        for room in floor - {"jaxrec.conversion"}
    },
    "jaxrec.data": (CONVERTING | LEARNING | {"demo", "jaxrec.models"}, set()),
    "jaxrec.schema": (LEARNING | {"polars"}, set()),
    "jaxrec.config.fields": (LEARNING | {"polars"}, set()),
    "jaxrec.config.toml_file": (LEARNING | {"polars"}, set()),
    "jaxrec.evaluation.metrics": (LEARNING | {"polars"}, set()),
    "jaxrec.runtime": (
        {"jaxrec", *LEARNING, "tensorflow", "ai_edge_quantizer", "polars", "jaxtyping", "tyro"},
        {"jaxrec.runtime", "jaxrec.errors"},
    ),
    "jaxrec.conversion": (
        {"jaxrec.training", "experiments", "demo"},
        {
            "jaxrec.training.checkpoint",
            "jaxrec.training.compilation_cache",
            "jaxrec.training.step",
        },
    ),
    "jaxrec.conversion.verify": (
        {"jaxrec.conversion.graph", "tensorflow", "ai_edge_quantizer"},
        set(),
    ),
    "jaxrec.conversion.measure": (
        {"jaxrec.conversion.graph", "jaxrec.conversion.verify", "tensorflow"},
        set(),
    ),
    "demo": (LEARNING | {"tensorflow", "jaxrec.conversion", "experiments"}, set()),
}


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def in_any(module: str, rooms: set[str]) -> bool:
    return any(within(module, room) for room in rooms)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def house() -> dict[str, set[str]]:
    """List what each of our modules imports, each name with the packages around it."""
    paths = {name_of(p): p for package in PACKAGES for p in (ROOT / package).rglob("*.py")}
    return {name: imports(path, set(paths)) for name, path in paths.items()}


def imports(path: Path, known: set[str]) -> set[str]:
    found = set()
    for node in runtime_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            module = node.module or ""
            members = {f"{module}.{alias.name}" for alias in node.names}
            found |= (members & known) or {module}
    return found | {parent for name in found for parent in parents(name) if parent in known}


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree, but for what only type checkers read."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from runtime_nodes(child)


def parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def reached(module: str, graph: Mapping[str, set[str]]) -> set[str]:
    """Follow the imports of a module to their end."""
    found, waiting = set(), [module]
    while waiting:
        for other in graph.get(waiting.pop(), set()) - found:
            found.add(other)
            waiting.append(other)
    return found


def floor_of(module: str) -> int | None:
    """Find the floor of the room around a module that is named most exactly."""
    around = {
        room: number
        for number, floor in enumerate(FLOORS)
        for room in floor
        if within(module, room)
    }
    return around[max(around, key=len)] if around else None


def breaches(graph: Mapping[str, set[str]]) -> list[str]:
    """Name every import that breaks a wall."""
    found = []
    for module, imported in graph.items():
        own = floor_of(module)
        for other in imported:
            above = floor_of(other)
            if own is not None and above is not None and above > own:
                found.append(f"{module} imports {other} from above")
        ways = reached(module, graph)
        for room, (forbidden, allowed) in NEVER.items():
            if not within(module, room):
                continue
            # A package around what is allowed is allowed itself, but not its other rooms.
            around = {parent for each in allowed | {room} for parent in parents(each)}
            found += [
                f"{module} reaches {other}"
                for other in sorted(ways - around)
                if in_any(other, forbidden) and not in_any(other, allowed)
            ]
    return found


def test_no_wall_is_broken():
    assert not breaches(house())


@pytest.mark.parametrize(
    ("module", "planted", "said"),
    [
        ("jaxrec.data.splits", "jaxrec.training.loop", "imports jaxrec.training.loop from above"),
        ("jaxrec.data.splits", "jax", "reaches jax"),
        # Two doors away: whoever imports the splits.
        ("jaxrec.data.timelines", "flax", "jaxrec.data.splits reaches flax"),
        ("jaxrec.evaluation.ranking", "tensorflow", "jaxrec.training.loop reaches tensorflow"),
        ("jaxrec.errors", "jaxtyping", "jaxrec.runtime.recommender reaches jaxtyping"),
        ("jaxrec.runtime.bundle", "jaxrec.files", "jaxrec.runtime reaches jaxrec.files"),
        (
            "jaxrec.conversion.flatbuffer",
            "jaxrec.conversion.graph.device",
            "jaxrec.conversion.verify.proof reaches jaxrec.conversion.graph",
        ),
        (
            "jaxrec.conversion.product",
            "jaxrec.training.loop",
            "jaxrec.conversion.convert reaches jaxrec.training.loop",
        ),
        ("demo.server", "jax", "demo.serve reaches jax"),
    ],
)
def test_a_planted_import_breaks_a_wall(module, planted, said):
    graph = house()
    assert module in graph
    graph = {**graph, module: graph[module] | {planted}}
    assert any(said in breach for breach in breaches(graph))


def test_the_top_of_the_house_is_read_at_a_glance():
    own = {path.name for path in (ROOT / "jaxrec").iterdir()}
    assert len(own - {"__init__.py", "__main__.py", "py.typed", "__pycache__"}) <= 13


def test_every_room_of_jaxrec_is_a_package():
    """Or else the wheel lacks it, and a checkout does not show that."""
    rooms = {path.parent for path in (ROOT / "jaxrec").rglob("*.py")}
    assert [room for room in rooms if not (room / "__init__.py").exists()] == []


def test_a_name_means_one_thing():
    """But for commands, which are named as what they call."""
    inner = [name for name in house() if not in_any(name, {"jaxrec.cli", "experiments"})]
    modules = Counter(name.rpartition(".")[2] for name in inner)
    assert {name for name, count in modules.items() if count > 1} == set()
    classes = Counter(
        node.name
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in classes.items() if count > 1} == set()


def test_every_room_of_jaxrec_stands_on_a_floor():
    for module in house():
        if module not in ("jaxrec",) and module.startswith("jaxrec.") and "runtime" not in module:
            assert floor_of(module) is not None, f"{module} stands on no floor: give it one here"


# Federated rounds are an extra: what else names them leads to them.
FEDERATED = {
    *("jaxrec/federated", "jaxrec/cli/federate.py", "experiments/federate.py"),
    "experiments/studies/privacy_curve",
    "jaxrec/cli/__init__.py",  # the list of commands
}


def test_nothing_else_knows_of_federated_rounds():
    named = {
        path.relative_to(ROOT)
        for room in (*PACKAGES, "convert")
        for path in (ROOT / room).rglob("*.py")
        if "federat" in path.read_text().lower()
    }
    others = {path for path in named if not any(path.is_relative_to(each) for each in FEDERATED)}
    assert named - others and others == set()


def test_commands_are_imported_by_commands_alone():
    """Studies, the demo and examples call the library, and doors `jaxrec.cli.main`."""
    doors = {path for room in ("convert", "experiments") for path in (ROOT / room).glob("*.py")}
    assert len(doors) > 8
    for path in doors:
        assert imports(path, set()) <= {"sys", "jaxrec.cli"}, path
    commands = {name for name in house() if name.startswith("jaxrec.cli.")}
    commands -= {"jaxrec.cli.command_line", "jaxrec.cli.settings"}
    callers = [
        *(ROOT / "experiments" / "studies").rglob("*.py"),
        *(path for room in ("demo", "examples") for path in (ROOT / room).rglob("*.py")),
    ]
    assert len(callers) > 15
    for path in callers:
        assert imports(path, commands) & commands == set(), path


def test_what_speaks_to_the_model_in_the_page_knows_nothing_of_the_page():
    page = ROOT / "demo" / "page"
    for name, known in (
        (
            "recommender.js",
            {
                *("adapter.js", "bundle.js", "features.js", "known.js", "signature.js"),
                "runtime/litert.js",
            },
        ),
        ("adapter.js", {"known.js"}),
        ("features.js", {"known.js", "signature.js"}),
        ("signature.js", {"runtime/litert.js"}),
        ("known.js", set()),
        ("bundle.js", {"catalogue.js"}),
        ("catalogue.js", set()),
    ):
        text = (page / name).read_text()
        assert set(re.findall(r'^import .* from "\./(.*)";', text, re.MULTILINE)) == known
        assert "document" not in text and "window" not in text
