"""Import layers, and forbidden imports, direct or indirect, of the modules of the project."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("jaxrec", "experiments", "demo")

# From the lowest layer up; packages of one layer may import each other.
LAYERS = [
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
TRAINING = {"jax", "jaxlib", "flax", "optax", "orbax"}
EXPORTING = {"tensorflow", "ai_edge_litert", "ai_edge_quantizer"}

# Modules that a package must not import, directly or indirectly, and the exceptions.
FORBIDDEN = {
    **{
        package: (EXPORTING | {"demo"}, set())
        for layer in LAYERS[:7]
        for package in layer - {"jaxrec.conversion"}
    },
    "jaxrec.data": (EXPORTING | TRAINING | {"demo", "jaxrec.models"}, set()),
    "jaxrec.schema": (TRAINING | {"polars"}, set()),
    "jaxrec.config.fields": (TRAINING | {"polars"}, set()),
    "jaxrec.config.toml_file": (TRAINING | {"polars"}, set()),
    "jaxrec.evaluation.metrics": (TRAINING | {"polars"}, set()),
    "jaxrec.evaluation.churn": (TRAINING | {"polars"}, set()),
    "jaxrec.runtime": (
        {"jaxrec", *TRAINING, "tensorflow", "ai_edge_quantizer", "polars", "jaxtyping", "tyro"},
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
    "demo": (TRAINING | {"tensorflow", "jaxrec.conversion", "experiments"}, set()),
}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def in_any(module: str, packages: set[str]) -> bool:
    return any(within(module, package) for package in packages)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def import_graph() -> dict[str, set[str]]:
    """Return the imports of each module of the project, including their parent packages."""
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
    """Yield the nodes of a tree, without those under `if TYPE_CHECKING`."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from runtime_nodes(child)


def parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def all_imports(module: str, graph: Mapping[str, set[str]]) -> set[str]:
    """Return the direct and indirect imports of a module."""
    found, waiting = set(), [module]
    while waiting:
        for other in graph.get(waiting.pop(), set()) - found:
            found.add(other)
            waiting.append(other)
    return found


def layer_of(module: str) -> int | None:
    """Return the layer of the longest listed package that contains the module."""
    around = {
        package: number
        for number, layer in enumerate(LAYERS)
        for package in layer
        if within(module, package)
    }
    return around[max(around, key=len)] if around else None


def violations(graph: Mapping[str, set[str]]) -> list[str]:
    """Return every import that violates the layers or the forbidden imports."""
    found = []
    for module, imported in graph.items():
        layer = layer_of(module)
        for other in imported:
            above = layer_of(other)
            if layer is not None and above is not None and above > layer:
                found.append(f"{module} imports {other} from above")
        ways = all_imports(module, graph)
        for package, (forbidden, allowed) in FORBIDDEN.items():
            if not within(module, package):
                continue
            # Parents of an allowed package are allowed too, but not their other subpackages.
            around = {parent for each in allowed | {package} for parent in parents(each)}
            found += [
                f"{module} reaches {other}"
                for other in sorted(ways - around)
                if in_any(other, forbidden) and not in_any(other, allowed)
            ]
    return found


def test_imports_respect_the_layers():
    assert not violations(import_graph())


@pytest.mark.parametrize(
    ("module", "planted", "message"),
    [
        ("jaxrec.data.splits", "jaxrec.training.loop", "imports jaxrec.training.loop from above"),
        ("jaxrec.data.splits", "jax", "reaches jax"),
        # An indirect import, through jaxrec.data.splits.
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
def test_a_planted_import_is_detected(module, planted, message):
    graph = import_graph()
    assert module in graph
    graph = {**graph, module: graph[module] | {planted}}
    assert any(message in breach for breach in violations(graph))


def test_the_top_level_package_is_small():
    names = {path.name for path in (ROOT / "jaxrec").iterdir()}
    assert len(names - {"__init__.py", "__main__.py", "py.typed", "__pycache__"}) <= 13


def test_every_folder_of_jaxrec_has_an_init_file():
    """Check for `__init__.py`: without it, the wheel lacks the folder, unlike a checkout."""
    packages = {path.parent for path in (ROOT / "jaxrec").rglob("*.py")}
    assert [package for package in packages if not (package / "__init__.py").exists()] == []


def test_names_of_modules_and_classes_are_unique():
    """Check all modules except commands, which have the names of the functions they call."""
    inner = [name for name in import_graph() if not in_any(name, {"jaxrec.cli", "experiments"})]
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


def test_every_module_of_jaxrec_has_a_layer():
    for module in import_graph():
        if module not in ("jaxrec",) and module.startswith("jaxrec.") and "runtime" not in module:
            assert layer_of(module) is not None, f"{module} stands on no floor: give it one here"


# Federated training is an extra: only these modules mention it.
FEDERATED = {
    *("jaxrec/federated", "jaxrec/cli/federate.py", "experiments/federate.py"),
    "experiments/studies/privacy_curve",
    "jaxrec/cli/__init__.py",  # the list of commands
}


def test_only_federated_modules_mention_federated_training():
    named = {
        path.relative_to(ROOT)
        for package in (*PACKAGES, "convert")
        for path in (ROOT / package).rglob("*.py")
        if "federat" in path.read_text().lower()
    }
    others = {path for path in named if not any(path.is_relative_to(each) for each in FEDERATED)}
    assert named - others and others == set()


def test_only_commands_import_commands():
    """Check that studies, demo and examples import the library, and entry scripts `jaxrec.cli`."""
    doors = {
        path for package in ("convert", "experiments") for path in (ROOT / package).glob("*.py")
    }
    assert len(doors) > 8
    for path in doors:
        assert imports(path, set()) <= {"sys", "jaxrec.cli"}, path
    commands = {name for name in import_graph() if name.startswith("jaxrec.cli.")}
    commands -= {"jaxrec.cli.command_line", "jaxrec.cli.settings"}
    callers = [
        *(ROOT / "experiments" / "studies").rglob("*.py"),
        *(path for package in ("demo", "examples") for path in (ROOT / package).rglob("*.py")),
    ]
    assert len(callers) > 15
    for path in callers:
        assert imports(path, commands) & commands == set(), path


def test_the_javascript_package_depends_on_nothing_but_itself():
    package = ROOT / "clients" / "web" / "src"
    modules = {path.name: path.read_text() for path in package.glob("*.js")}
    assert len(modules) > 10
    for name, text in modules.items():
        imported = set(re.findall(r'^(?:import|export) .* from "(.*)";', text, re.MULTILINE))
        imported = {each.removeprefix("./") for each in imported}
        assert all(each.startswith("node:") for each in imported - {*modules}), name
        # Bundles for browsers do not contain the entry for Node.js.
        assert imported <= {*modules} - {"node.js"} or name == "node.js", name


def test_the_page_imports_nothing_of_the_package_but_its_exports():
    for path in (ROOT / "demo" / "page").glob("*.js"):
        assert not re.search(r'from "[^"]*(?:clients|jaxrec/)', path.read_text()), path
