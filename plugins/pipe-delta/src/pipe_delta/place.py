"""Where a table is, and how it is opened. Plain data that travels to the workers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.fs as pa_fs
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from pipe_core.formats.staging import writing_errors
from pipe_core.kernel.errors import OptionsError, SinkError, SourceError, SourceNotFoundError
from pipe_core.kernel.urls import redacted, redacted_text, scheme_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table is.

    Attributes:
        target: An absolute path, or a URL.
        options: What the store of a URL is told.
    """

    target: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What reports call it. No secrets."""
        return redacted(self.target)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return scheme_of(self.target) is None

    def exists(self) -> bool:
        """Whether there is a table."""
        return bool(DeltaTable.is_deltatable(self.target, dict(self.options)))

    def table(self) -> DeltaTable:
        """The table as it is now. Raises `deltalake.exceptions.TableNotFoundError`."""
        return DeltaTable(self.target, storage_options=dict(self.options))

    def opened(self, path: str) -> Any:
        """A file of the table, to be read at random.

        Args:
            path: Relative to the table.
        """
        if self.is_local:
            return pa.OSFile(os.path.join(self.target, *path.split("/")))
        return self.store().open_input_file(path)

    def store(self) -> pa_fs.FileSystem:
        """The store of a URL, which begins at the table."""
        return pa_fs.PyFileSystem(DeltaStorageHandler(self.target, dict(self.options)))

    @contextmanager
    def reading(self, position: int = 0) -> Iterator[None]:
        """Whatever reading raises becomes a `SourceError` that says what to do."""
        try:
            yield
        except (SourceError, OptionsError):
            raise
        except TableNotFoundError as error:
            text = f"There is no Delta table at {self.name!r}. Is the path right?"
            raise SourceNotFoundError(text, source=self.name, position=0) from error
        except Exception as error:  # deltalake raises plain exceptions, and damaged files make pyarrow raise any
            text = f"The Delta table {self.name!r} cannot be read: {reason_of(error)}."
            raise SourceError(text, source=self.name, position=position) from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Whatever writing raises becomes a `SinkError` that says what to do."""
        try:
            with writing_errors(self.name):
                yield
        except (SinkError, OptionsError):
            raise
        except Exception as error:  # as above
            text = f"The Delta table {self.name!r} cannot be written: {reason_of(error)}."
            raise SinkError(text, sink=self.name) from error


def reason_of(error: BaseException) -> str:
    """What an error says, on one line, without secrets. Backtraces of deltalake are left out."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    lines = text.splitlines()
    end = next((i for i, line in enumerate(lines) if line.strip().startswith("0: ")), len(lines))
    return redacted_text(" ".join(" ".join(lines[:end]).split()).rstrip("."))[:500]
