"""Column names: the columns of a table that have one of the common names of a role."""

import re
from collections.abc import Sequence


def columns_named(names: Sequence[str], common: Sequence[str]) -> list[str]:
    """Return the columns with a common name, in the order of `common`.

    Args:
        names: the columns of a table; of two that differ only in case, spaces, hyphens and
            underscores, the first is returned.
        common: names in lower case, without spaces, hyphens and underscores.
    """
    plain = {re.sub(r"[\s_-]", "", name).lower(): name for name in reversed(names)}
    return [plain[each] for each in common if each in plain]
