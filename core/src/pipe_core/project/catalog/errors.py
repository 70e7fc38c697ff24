"""What goes wrong with data sets. Messages begin with the data set, and where the project's file tells of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from pipe_core.kernel.errors import PipeError, SourceNotFoundError


class DatasetError(PipeError):
    """A data set cannot be loaded or saved.

    Attributes:
        dataset: Its name.
    """

    def __init__(self, message: str, *, dataset: str) -> None:
        super().__init__(message)
        self.dataset = dataset


class UnknownDatasetError(DatasetError, LookupError):
    """The catalog has no data set of that name.

    Attributes:
        known: Those that it has.
    """

    def __init__(self, message: str, *, dataset: str, known: Sequence[str]) -> None:
        super().__init__(message, dataset=dataset)
        self.known = tuple(known)


class DatasetNotFoundError(DatasetError, FileNotFoundError):
    """There is nothing at the place of a data set."""

    def __str__(self) -> str:  # OSError has its own idea of str()
        return str(self.args[0])


class DatasetPlaceError(DatasetError, OSError):
    """The place of a data set cannot be used."""

    def __str__(self) -> str:  # OSError has its own idea of str()
        return str(self.args[0])


class DatasetValueError(DatasetError, ValueError, TypeError):
    """A value cannot be saved as this data set, or what is there cannot be loaded as what was asked for."""


class DatasetRecordError(DatasetError, ValueError):
    """A record of a data set cannot be read or written, or is not as the schema says.

    Attributes:
        position: Its number, from 0 on.
        field: The field that is wrong, as names and numbers with dots between; None where it is not about one.
        value: What is there.
        reasons: All that is wrong with it.
    """

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        dataset: str,
        position: int,
        field: str | None = None,
        value: Any = None,
        reasons: Sequence[Any] = (),
    ) -> None:
        super().__init__(message, dataset=dataset)
        self.position = position
        self.field = field
        self.value = value
        self.reasons = tuple(reasons)


class Told(Protocol):
    """What messages are told of a data set."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def title(self) -> str:
        """What messages call it."""

    @property
    def has_secrets(self) -> bool:
        """Whether there are secrets in its place or its options."""

    def hide(self, text: str) -> str:
        """*text* without them."""


@contextmanager
def told_of(dataset: Told) -> Iterator[None]:
    """Errors of formats tell which data set they are about, and show none of its secrets."""
    try:
        yield
    except SourceNotFoundError as error:
        text = dataset.hide(f"{dataset.title}: {error} Was it saved before?")
        raise DatasetNotFoundError(text, dataset=dataset.name) from (None if dataset.has_secrets else error)
    except PipeError as error:
        _tell(dataset, error)
        raise


@contextmanager
def committing(dataset: Told) -> Iterator[None]:
    """As `told_of`, where nothing runs that is the user's: what the system says is told of the data set, too."""
    with told_of(dataset):
        try:
            yield
        except OSError as error:
            if isinstance(error, PipeError):
                raise
            text = f"{dataset.title}: what was saved cannot be brought to its place: {error}."
            raise DatasetPlaceError(text, dataset=dataset.name) from error


_told: Final[WeakKeyDictionary[PipeError, str]] = WeakKeyDictionary()
"""What errors said before they told of a data set. A plugin that is broken has one error, for all data sets."""


def _tell(dataset: Told, error: PipeError) -> None:
    said = _told.setdefault(error, str(error))
    text = said if said.startswith(dataset.title) else f"{dataset.title}: {said}"
    error.args = (dataset.hide(text), *error.args[1:])
    if not dataset.has_secrets:
        return
    for name, value in vars(error).items():
        if isinstance(value, str):
            setattr(error, name, dataset.hide(value))
    error.__cause__ = None  # what was raised below tells of the place as it is
    error.__context__ = None
