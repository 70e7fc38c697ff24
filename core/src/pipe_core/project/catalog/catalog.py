"""`Catalog`: data sets by their names."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipe_core.kernel.contracts import Followed
from pipe_core.kernel.index import suggestion
from pipe_core.project.catalog import following, loading, saving
from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.catalog.errors import DatasetValueError, UnknownDatasetError, committing, told_of
from pipe_core.project.catalog.staged import Staged
from pipe_core.project.catalog.windows import Span
from pipe_core.project.config.models import DatasetConfig
from pipe_core.project.dates import DateWindow

if TYPE_CHECKING:
    from pipe_core.project.contracts import Applied

logger: Final = logging.getLogger("pipe_core.project")


class Catalog:
    """Loads and saves data sets by their names. It is small and plain: it travels to workers, and threads may share it.

    Nothing is read or written when it is made.

    Args:
        datasets: What there is: a `DatasetConfig`, or its keys, for each name.
        folder: What paths are relative to, and where schemas are looked for.
        allow_pickle: Whether data sets may be of the format ``pickle``. Loading one runs whatever code it holds.
        places: Where each is told of, such as ``pipe.yaml:12``, for messages.

    Raises:
        pydantic.ValidationError: Something that was said of a data set is wrong.
    """

    def __init__(
        self,
        datasets: Mapping[str, DatasetConfig | Mapping[str, Any]],
        *,
        folder: str | Path = ".",
        allow_pickle: bool = False,
        places: Mapping[str, str] | None = None,
    ) -> None:
        places, folder = places or {}, Path(folder).absolute()
        self._datasets = {
            name: Dataset(name, DatasetConfig.model_validate(said), folder, places.get(name, ""))
            for name, said in datasets.items()
        }
        self._allow_pickle = allow_pickle
        self._lock = threading.Lock()
        self._staged: weakref.WeakSet[Staged] = weakref.WeakSet()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the data sets."""
        return tuple(self._datasets)

    def __contains__(self, name: object) -> bool:
        return name in self._datasets

    def dataset(self, name: str) -> DatasetConfig:
        """What was said of the data set *name*. Raises `UnknownDatasetError`."""
        return self._found(name).config

    def exists(self, name: str) -> bool:
        """Whether there is something at the place of the data set *name*. Raises `PipeError`."""
        dataset = self._found(name)
        with told_of(dataset):
            return saving.exists(dataset, whole=dataset.is_raw)

    def load(self, name: str, window: DateWindow | None = None, *, found: list[Applied] | None = None) -> Any:
        """The value of the data set *name*, as its ``as:`` says.

        Args:
            name: The data set.
            window: Only the records of this window, where the data set has a ``date_column``.
            found: Is given what the contract of the data set found. Default: the log is told of it.

        Raises:
            UnknownDatasetError: There is no such data set.
            DatasetNotFoundError: There is nothing at its place.
            DatasetRecordError: A record cannot be read, or is not as the schema says.
            ContractError: A record is not as the contract says.
            PipeError: Anything else is wrong with it.
        """
        dataset = self._usable(name)
        with told_of(dataset):
            bare = dataset if dataset.contract("load") is None else dataset.without_schema()
            value = loading.load(bare, Span.of(bare, window))
        return self.checked(name, value, found=found)

    def checked(self, name: str, value: Any, *, found: list[Applied] | None = None) -> Any:
        """What of *value*, which was read from the data set *name*, comes through its contract, if it has one.

        Args:
            name: The data set.
            value: What `follow` gave; `load` has done it.
            found: As `load`.

        Raises:
            ContractError: Something does not fit.
        """
        contract = self._found(name).contract("load")
        if contract is None:
            return value
        applied = contract.applied(value)
        _tell(applied, found)
        return applied.value

    def follow(
        self, name: str, since: Mapping[str, Any] | None, limit: int, until: Mapping[str, Any] | None = None
    ) -> Followed:
        """What has come to the data set *name*, see `FollowableSource.follow`.

        Args:
            name: The data set.
            since: A position that an earlier call gave; None: from the beginning.
            limit: The most records.
            until: A position: exactly what is before it, however many records that are.

        Raises:
            UnknownDatasetError: There is no such data set.
            DatasetRecordError: A record is not as the schema says.
            PipeError: Its format cannot be followed, or anything else is wrong with it.
        """
        dataset = self._usable(name)
        with told_of(dataset):
            return following.follow(dataset, since, limit, until)

    def may_come(self, name: str) -> bool:
        """Whether the file of the data set *name* can be waited for: the folder that it would be in is there.

        Args:
            name: A data set that `follow` has not found.

        Raises:
            UnknownDatasetError: There is no such data set.
        """
        return following.may_come(self._found(name))

    def save(
        self, name: str, value: Any, window: DateWindow | None = None, *, found: list[Applied] | None = None
    ) -> None:
        """Save *value* as the data set *name*; it appears whole.

        Args:
            name: The data set.
            value: Records in any iterable, models among them; anything that hands itself over as Arrow data; or what
                the format takes: a JSON value, text, bytes, any object for ``pickle``.
            window: What is there of this window is replaced, and the rest stays, where there is a ``date_column``.
            found: As `load`.

        Raises:
            UnknownDatasetError: There is no such data set.
            TargetExistsError: There is something at its place, and its mode is ``error``.
            DatasetRecordError: A record cannot be written, or is not as the schema says.
            ContractError: A record is not as the contract says.
            PipeError: Anything else is wrong.
        """
        applied: list[Applied] = []
        staged = self.stage(name, self.accepted(name, value, found=applied), window)
        try:
            staged.commit()
        except BaseException:
            staged.abort()
            raise
        for one in applied:
            _tell(one, found)

    def accepted(self, name: str, value: Any, *, found: list[Applied] | None = None) -> Any:
        """What of *value* `save` would save: what comes through the contract of the data set *name*, if it has one.

        Args:
            name: The data set.
            value: As `save`. Of an iterator an iterator is made.
            found: As `load`.

        Raises:
            ContractError: Something does not fit.
        """
        contract = self._found(name).contract("save")
        if contract is None:
            return value
        applied = contract.applied(value, lazily=True)
        _tell(applied, found)
        return applied.value

    def stage(self, name: str, value: Any, window: DateWindow | None = None) -> Staged:
        """As `save` of what was `accepted`, but nothing is visible before `Staged.commit`, or a later `settle`."""
        dataset = self._usable(name).written()
        with told_of(dataset):
            written = saving.write(dataset, value, Span.of(dataset, window))
        sinks = [part.sink for part in written.parts if part.sink is not None]
        staged = Staged(
            written.state(dataset),
            sinks,
            records=written.records,
            settle=lambda state: self.settle(name, state),
            abandon=lambda state: self.abandon(name, state),
            telling=lambda: committing(dataset),
        )
        with self._lock:
            self._staged.add(staged)
        return staged

    def settle(self, name: str, state: Mapping[str, Any]) -> None:
        """Commit what `stage` has staged, in this process or a later one, once: where it was done, nothing happens.

        Args:
            name: The data set.
            state: `Staged.state`.

        Raises:
            PipeError: What was staged is gone, or its process lives.
        """
        dataset = self._usable(name)
        with committing(dataset):
            saving.settle(dataset, state)

    def abandon(self, name: str, state: Mapping[str, Any]) -> None:
        """Remove what `stage` has staged and nobody will commit. What was committed stays. Raises `PipeError`."""
        dataset = self._usable(name)
        with committing(dataset):
            saving.abandon(dataset, state)

    def close(self) -> None:
        """Let go of what is staged; `settle` still commits it. Nothing that somebody else opened is closed."""
        with self._lock:
            staged, self._staged = list(self._staged), weakref.WeakSet()
        for one in staged:
            one.close()

    def _found(self, name: str) -> Dataset:
        try:
            return self._datasets[name]
        except KeyError:
            known = ", ".join(self._datasets) or "none"
            text = f"There is no data set '{name}'.{suggestion(name, self.names)} The catalog has: {known}."
            raise UnknownDatasetError(text, dataset=name, known=self.names) from None

    def _usable(self, name: str) -> Dataset:
        dataset = self._found(name)
        if not self._allow_pickle and dataset.is_pickle:
            raise DatasetValueError(
                f"{dataset.title} is of the format pickle, and reading a pickle runs whatever code it holds. Where you "
                f"trust the file, say so: allow_pickle: true under project:.",
                dataset=name,
            )
        return dataset

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "_staged": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock(), _staged=weakref.WeakSet())


def _tell(applied: Applied, found: list[Applied] | None) -> None:
    """Give to *found* what a contract found, or tell the log of it."""
    if found is not None:
        found.append(applied)
    elif (note := applied.note) is not None:
        level = logging.WARNING if note.discarded else logging.INFO
        logger.log(level, "%s, by its contract: %s", applied.contract.title, note)
