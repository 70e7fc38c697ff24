"""One data set: where it is, of what format, and what loading gives."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from pipe_core.kernel.contracts import Sink, Source
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.kernel import current_kernel
from pipe_core.kernel.urls import local_path, redacted, scheme_of
from pipe_core.project.catalog.errors import DatasetPlaceError, DatasetValueError
from pipe_core.project.catalog.values import is_arrow_schema
from pipe_core.project.config.models import DatasetConfig
from pipe_core.project.config.secrets import has_secret, hidden, reveal
from pipe_core.project.objects import load_schema
from pipe_core.records.places import as_sink, as_source, format_name
from pipe_core.records.schema import Schema
from pipe_core.runtime.run_loop import RunLoop

if TYPE_CHECKING:
    from pipe_core.project.contracts import Contract

PICKLE: Final = "pickle"
_PARTITION_BY: Final = "partition_by"
_PICKLES: Final = (".pkl", ".pickle")
RAW: Final = frozenset({"bytes", "text"})
"""What a file is loaded as whatever its format is: the whole of it."""

MadeT = TypeVar("MadeT")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set of a catalog. Small and plain: it travels.

    Attributes:
        name: Its name.
        config: What the project's file says of it.
        folder: What its path is relative to.
        place: Where the project's file tells of it, for messages.
    """

    name: str
    config: DatasetConfig
    folder: Path
    place: str = ""

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"The data set '{self.name}'" + (f" ({self.place})" if self.place else "")

    @property
    def target(self) -> str:
        """The absolute path, or the URL."""
        said = local_path(reveal(self.config.path))
        scheme = scheme_of(said)
        if said == "-" or (scheme is not None and scheme.partition("+")[0] != "sqlite"):
            return said
        if scheme is not None:
            return self._database(said)
        path = os.path.expanduser(said)
        return path if os.path.isabs(path) else os.path.join(os.path.abspath(self.folder), path)

    @property
    def has_secrets(self) -> bool:
        """Whether there are secrets in its place or its options."""
        return has_secret(self.config.path) or has_secret(self.config.options)

    def hide(self, text: str) -> str:
        """*text* without these secrets."""
        return hidden(text, [self.config.path, self.config.options])

    @property
    def shown(self) -> str:
        """The target without secrets."""
        return redacted(local_path(self.config.path))

    @property
    def format(self) -> str:
        """The name of the format. Raises `PipeError` where nothing tells it."""
        if self.config.format is not None:
            return self.config.format
        return format_name(self.target)

    @property
    def is_pickle(self) -> bool:
        """Whether its file holds an object that was pickled."""
        named = self.config.format or (PICKLE if self.config.path.lower().endswith(_PICKLES) else None)
        return named == PICKLE and self.config.load_as not in RAW

    @property
    def is_raw(self) -> bool:
        """Whether its file is taken as a whole, and not as records."""
        return self.is_pickle or self.config.load_as in RAW

    @property
    def is_json(self) -> bool:
        """Whether its file may hold one JSON value that is no list of records."""
        plain = self.config.load_as in (None, "value") and not self.is_raw
        return plain and not self.config.partition_by and self.format == "json" and "prefix" not in self.config.options

    @property
    def makes_folders(self) -> bool:
        """Whether its partitions are folders with files of their own. Some formats make partitions by themselves."""
        return bool(self.config.partition_by) and not self._divides

    @property
    def _divides(self) -> bool:
        return _PARTITION_BY in current_kernel().spec("formats", self.format).options.model_fields

    def schema(self) -> Schema | None:
        """What records must be, loaded where it is needed. Raises `PipeError`."""
        said = self.config.record_schema
        if said is None:
            return None
        return Schema(load_schema(said, Path(self.folder)) if isinstance(said, str) else said)

    def contract(self, side: Literal["load", "save"]) -> Contract | None:
        """What its records must be like there, where its ``contract:`` says what happens to others. Raises `PipeError`.

        A schema of Arrow is always a contract: there is no class that records could be read into.
        """
        from pipe_core.project.contracts import Contract  # which is made of parts of the catalog

        said, policy = self.config.record_schema, self.config.contract
        if policy is None and not is_arrow_schema(said):
            return None
        if said is None or self.is_raw:
            why = "no schema that it could be about" if said is None else "no records, but is loaded as a whole"
            raise DatasetValueError(f"{self.title} has a contract and {why}.", dataset=self.name)
        schema = load_schema(said, Path(self.folder)) if isinstance(said, str) else said
        policy = policy or "freeze"
        return Contract(schema, policy, side, self.name, self.title, typed=policy in ("freeze", "discard_row"))

    def without_schema(self) -> Dataset:
        """The same with records as they come."""
        return replace(self, config=self.config.model_copy(update={"record_schema": None}))

    def written(self) -> Dataset:
        """The same for records that came through its contract: as its schema writes them, where they are as it says."""
        contract = self.contract("save")
        is_of_schema = contract is None or (contract.typed and not is_arrow_schema(contract.schema))
        return self if is_of_schema else self.without_schema()

    def source(self, target: str | None = None) -> Source:
        """A source over it, or over *target*, a part of it."""
        return self._made(lambda given: as_source(given, RunLoop()), target, "writing")

    def sink(self, target: str | None = None) -> Sink:
        """A sink into it, or into *target*, a part of it."""
        sink = self._made(lambda given: as_sink(given, RunLoop()), target, "reading")
        assert sink is not None  # something was given
        return sink

    def make_folder(self, target: str | None = None) -> None:
        """Make the folder that its file is in, or *target*, a part of it. Raises `DatasetPlaceError`."""
        target = target or self.target
        if target != "-" and scheme_of(target) is None:
            folder = os.path.dirname(target.rstrip("/" + os.sep))
            try:
                os.makedirs(folder, exist_ok=True)
            except OSError as error:
                text = f"{self.title}: its folder {folder!r} cannot be made: {error.strerror or error}."
                raise DatasetPlaceError(text, dataset=self.name) from error

    def _made(self, make: Callable[[Mapping[str, Any]], MadeT], target: str | None, other: str) -> MadeT:
        options = reveal(self.config.options)
        if "path" in options or "format" in options:
            name = "path" if "path" in options else "format"
            raise DatasetValueError(f"{self.title}: write '{name}' beside 'options', not in it.", dataset=self.name)
        if self.config.partition_by and self._divides:
            options = {_PARTITION_BY: self.config.partition_by, **options}
        while True:
            try:
                return make({**options, "path": target or self.target, "format": self.format})
            except OptionsError as error:  # one data set is read and written
                foreign = [name for name, why in error.problems.items() if why == f"is for {other} only"]
                if not foreign:
                    raise
                options = {name: value for name, value in options.items() if name not in foreign}

    def _database(self, url: str) -> str:
        scheme, _, rest = url.partition("://")
        path, mark, query = rest.removeprefix("/").partition("?")
        if not path or path.startswith((":", "file:")) or os.path.isabs(path):
            return url
        return f"{scheme}:///{os.path.join(os.path.abspath(self.folder), path)}{mark}{query}"
