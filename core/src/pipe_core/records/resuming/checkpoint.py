"""A checkpoint: how far a run has come, as plain data in one file."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pipe_core.kernel.contracts import Extent
from pipe_core.runs.errors import CheckpointError

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that comes before it is on stable storage: nothing of it needs to be read again.

    Attributes:
        final: Everything was read and written, and what is left is to make it visible.
        report: The counts, and the errors so far.
        extent: Where the last record ended, in a source that is read in splits.
        sink: The state with which the sink goes on; None where it has none.
        errors: That of the error sink.
        memories: How many bytes the memory of each run-scoped hook has, in the order of the hooks.
    """

    final: bool
    report: Mapping[str, Any]
    extent: Extent | None
    sink: Mapping[str, Any] | None
    errors: Mapping[str, Any] | None
    memories: tuple[int, ...]

    @property
    def read(self) -> int:
        """How many records came before it."""
        return int(self.report["read"])

    def to_bytes(self) -> bytes:
        """As it is kept: JSON, with a checksum."""
        state = json.dumps(asdict(self), separators=(",", ":"))
        return json.dumps({"format": _FORMAT, "crc": zlib.crc32(state.encode()), "state": state}).encode()

    @classmethod
    def read_from(cls, path: Path) -> Checkpoint | None:
        """The checkpoint at *path*; None where there is none.

        Raises:
            CheckpointError: What is there is damaged, or of another version.
        """
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointError(f"The checkpoint {str(path)!r} cannot be read: {error.strerror}.") from error
        try:
            kept = json.loads(data)
            if kept["format"] != _FORMAT:
                text = (
                    f"The checkpoint {str(path)!r} is of the format {kept['format']!r}, and this pipe reads {_FORMAT}."
                )
                raise CheckpointError(f"{text} Resume the run with the version that began it.")
            if zlib.crc32(kept["state"].encode()) != kept["crc"]:
                raise ValueError("its checksum is wrong")
            state = json.loads(kept["state"])
            extent = None if state["extent"] is None else Extent(**state["extent"])
            return cls(**{**state, "extent": extent, "memories": tuple(state["memories"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CheckpointError(
                f"The checkpoint {str(path)!r} is damaged: {error}. Was it edited, or is the disk faulty? Run the pipe "
                f"anew."
            ) from error
