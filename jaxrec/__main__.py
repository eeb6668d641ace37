"""`python -m jaxrec`: the command `jaxrec`, by the interpreter that runs it."""

import sys

from jaxrec.cli import main

if __name__ == "__main__":
    sys.exit(main())
