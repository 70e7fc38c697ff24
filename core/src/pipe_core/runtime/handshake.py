"""The handshake: what runs on the workers of a cluster is compared with what runs here, before any data moves."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence

from pipe_core.kernel.errors import VersionMismatchError


def versions(*distributions: str) -> dict[str, str]:
    """The versions in this process: of Python (without the last number), pipe-core and *distributions*."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in ("pipe-core", *distributions):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def compare(executor: str, workers: Mapping[str, Mapping[str, str]], distributions: Sequence[str] = ()) -> None:
    """Make sure that all workers run what runs here.

    Args:
        executor: What users type, for the message.
        workers: By the name of each worker, what `versions` gave there.
        distributions: What to compare beside Python and pipe-core.

    Raises:
        VersionMismatchError: They do not; the message holds a table of what differs.
    """
    here = versions(*distributions)
    wrong = {name: dict(found) for name, found in workers.items() if dict(found) != here}
    if not wrong:
        return
    rows = [("", *here), ("here", *here.values())]
    rows += [(name, *(found.get(key, "missing") for key in here)) for name, found in list(wrong.items())[:10]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(here) + 1)]
    table = "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    raise VersionMismatchError(
        f"{len(wrong)} of {len(workers)} workers of '{executor}' run other versions than this process, and what one "
        f"side sends the other could not open. Install the same versions on both sides.\n{table}",
        executor=executor,
        workers=wrong,
    )
