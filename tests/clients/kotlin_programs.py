"""Compilation of the Kotlin library with the programs of its tests, and runs of these programs."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.project.pages import blocks_of

KOTLIN = ROOT / "clients" / "kotlin"
PROGRAMS = Path(__file__).parent / "kotlin"
PAGE = ROOT / "docs" / "deploy" / "android.md"
# Where Debian's package libjna-java installs it.
JNA = Path(os.environ.get("JNA_JAR", "/usr/share/java/jna.jar"))

ENGINES = ("LiteRtEngine", "CompiledModelEngine")

Call = Mapping[str, Any]


class KotlinPrograms:
    """The classes of the library and of the programs.

    Attributes:
        compiler: the script kotlinc.
        litert: the folder of LiteRT's C library.
    """

    def __init__(self, folder: Path):
        compiler = shutil.which("kotlinc")
        if compiler is None:
            pytest.skip("needs a Kotlin compiler, kotlinc of npm's kotlin-compiler, on the PATH")
        if shutil.which("javac") is None:
            pytest.skip("needs a JDK")
        if not JNA.exists():
            pytest.skip(f"needs JNA in {JNA}, or the variable JNA_JAR")
        self.compiler = Path(compiler).resolve()
        specification = find_spec("ai_edge_litert")
        assert specification and specification.origin
        self.litert = Path(specification.origin).parent
        # The programs of the page are compiled as they stand there.
        for number, block in enumerate(blocks_of(PAGE, "kotlin")):
            (folder / f"Page{number}.kt").write_text(block)
        sources = [KOTLIN, PROGRAMS, *folder.glob("*.kt")]
        classes = folder / "classes"
        # Java 8 has what Android 7 has.
        flags = ["-cp", str(JNA), "-d", str(classes), "-Werror", "-Xjdk-release=8"]
        subprocess.run([compiler, *map(str, sources), *flags], check=True)
        stdlib = self.compiler.parents[1] / "lib" / "kotlin-stdlib.jar"
        self._class_path = os.pathsep.join(map(str, [classes, stdlib, JNA]))

    def run(self, main: str, *arguments: str, flags: Iterable[str] = (), text: str = "") -> str:
        """Run a program to its end, and return its standard output."""
        libraries = f"-Djna.library.path={self.litert}"
        command = ["java", *flags, "-cp", self._class_path, libraries, main, *arguments]
        process = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=300, check=False
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    def answer(
        self, engine: str, calls: Iterable[Call], flags: Iterable[str] = ()
    ) -> list[dict[str, Any]]:
        """Return the answers to calls, as Calls.kt describes them."""
        lines = "".join(json.dumps(each) + "\n" for each in calls)
        output = self.run("jaxrec.CallsKt", engine, flags=flags, text=lines)
        return [json.loads(line) for line in output.rstrip("\n").split("\n")]


def call(model: Path, name: str, /, **arguments: Any) -> Call:
    return {"model": str(model), "call": name, "arguments": arguments}
