"""The previous file: the .tflite file that a new one replaces in an app."""

from dataclasses import dataclass
from pathlib import Path

from jaxrec.data.vocabulary import Vocabulary
from jaxrec.errors import UserError
from jaxrec.runtime.bundle import Bundle, parse_bundle, sha256


@dataclass(frozen=True, eq=False)
class PreviousFile:
    """A file that was exported before, of the same run or another.

    Attributes:
        path: where it was read.
        sha256: the hash of the complete file.
        bundle: its content.
    """

    path: Path
    sha256: str
    bundle: Bundle


def read_previous_file(path: Path, vocabulary: Vocabulary) -> PreviousFile:
    """Read a previous file of any format.

    Args:
        vocabulary: the items of the new file.

    Raises:
        UserError: it cannot be read, is damaged, or has none of the items.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"--previous={path} cannot be read ({error.strerror}); give the .tflite file that this "
            "export replaces"
        ) from None
    bundle = parse_bundle(content, f"--previous={path}")
    if {*map(str, bundle.items)}.isdisjoint(map(str, vocabulary.values)):
        raise UserError(
            f"--previous={path} has none of the items of the run: it has {len(bundle.items):,}, "
            f"such as {bundle.items[0]!r}, and the run has {vocabulary.values[0]!r}; give the file "
            "that this export replaces"
        )
    return PreviousFile(path, sha256(content), bundle)
