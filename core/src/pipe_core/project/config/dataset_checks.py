"""What no model can tell of a data set: whether its format is there, and whether it says what no file should."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from pipe_core.kernel.errors import OptionsError, PipeError
from pipe_core.kernel.kernel import current_kernel
from pipe_core.looks.redaction import is_secret
from pipe_core.project.boundaries import beyond
from pipe_core.project.config.models import DatasetConfig
from pipe_core.project.config.secrets import SECRET, has_secret, reveal
from pipe_core.project.document import Place

Wrong = Callable[[str, Place], None]

PICKLE: Final = "pickle"
_PICKLES: Final = (".pkl", ".pickle")
_SECRETS: Final = re.compile(r"(?i)(?:^|[._-])(?:password|passwd|pwd|secret|token|credentials?|api_?key|access_key)$")
_BY_REFERENCE: Final = "name the environment variable that has it: ${secret:NAME}. So it is never shown or stored"


class DatasetChecks:
    """Checks data sets one after the other. What was asked of a format once is not asked again.

    Args:
        folder: The project's folder.
        allow_outside: Whether data may be outside of it.
        allow_pickle: Whether the format pickle may be used.
        wrong: Is told of every mistake.
    """

    def __init__(self, folder: Path, *, allow_outside: bool, allow_pickle: bool, wrong: Wrong) -> None:
        self._folder = folder
        self._allow_outside = allow_outside
        self._allow_pickle = allow_pickle
        self._wrong = wrong
        self._formats: dict[str, str | PipeError] = {}

    def check(self, dataset: DatasetConfig, place: Place) -> None:
        """Look at *dataset*, which was said at *place*."""
        path, at = dataset.path, (*place, "path")
        if not self._allow_outside and (text := beyond(path, self._folder)) and not path.startswith(SECRET):
            self._wrong(text.removesuffix("."), at)
        if _has_plain_secret(path):
            self._wrong(f"there is a password in the URL: {_BY_REFERENCE}", at)
        for inner in _plain_secrets(dataset.options):
            self._wrong(f"this is a secret: {_BY_REFERENCE}", (*place, "options", *inner))
        if dataset.format == PICKLE or (dataset.format is None and path.lower().endswith(_PICKLES)):
            if not self._allow_pickle and dataset.load_as not in ("bytes", "text"):
                text = "reading a pickle runs whatever code it holds. Where you trust it, say so under project:"
                self._wrong(f"{text} allow_pickle: true", (*place, "format" if dataset.format else "path"))
        elif dataset.load_as not in ("bytes", "text") and not (dataset.format is None and has_secret(path)):
            self._check_format(dataset, place)

    def _check_format(self, dataset: DatasetConfig, place: Place) -> None:
        found = self._format(dataset)
        if isinstance(found, PipeError):
            self._wrong(str(found).removesuffix("."), (*place, "format" if dataset.format else "path"))
            return
        if dataset.options:
            try:
                current_kernel().choose("formats", found, reveal(dataset.options))
            except OptionsError as error:
                for name, text in (error.problems or {"": str(error)}).items():
                    inner = (name.partition(".")[0],) if name else ()
                    self._wrong(text.replace(" (from the call)", "").removesuffix("."), (*place, "options", *inner))
            except PipeError as error:
                self._wrong(str(error).removesuffix("."), (*place, "options"))

    def _format(self, dataset: DatasetConfig) -> str | PipeError:
        """The name of its format, or why it has none."""
        from pipe_core.records.places import format_name  # only projects with data need it

        suffixes = "".join(Path(dataset.path).suffixes) if "://" not in dataset.path else ""
        key = dataset.format or f"*{suffixes or dataset.path}"
        if key not in self._formats:
            try:
                name = dataset.format or format_name(dataset.path)
                current_kernel().spec("formats", name)
                self._formats[key] = name
            except PipeError as error:
                self._formats[key] = error
        return self._formats[key]


def _has_plain_secret(path: str) -> bool:
    """Whether a URL holds a password or a token that is no reference."""
    if "://" not in path:
        return False
    try:
        url = urlsplit(path)
        password = url.password
    except ValueError:
        return False
    if password and not has_secret(password):
        return True
    return any(is_secret(name) and value and not has_secret(value) for name, value in parse_qsl(url.query))


def _plain_secrets(options: Any, place: Place = ()) -> Iterator[Place]:
    """The places of options whose names tell of a secret and whose values are no references."""
    if isinstance(options, Mapping):
        for name, value in options.items():
            inner = (*place, str(name))
            if isinstance(value, str) and value and _SECRETS.search(str(name)) and not has_secret(value):
                yield inner
            yield from _plain_secrets(value, inner)
    elif isinstance(options, list | tuple):
        for index, value in enumerate(options):
            yield from _plain_secrets(value, (*place, index))
