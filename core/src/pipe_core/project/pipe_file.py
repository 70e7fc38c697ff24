"""A record pipe's file: the top key ``pipe:`` holds the parameters of `Pipe` under their own names.

    pipe:
      source: orders.csv
      schema: orders.py:Order
      sink: valid.jsonl
      errors: {path: rejected.csv, formula: escape}
      pre_validation_hooks: [timestamp, "orders.py:clean", {field_mapper: {rename: {qty: quantity}}}]
      executor: {name: loky, max_workers: 2}

Paths are relative to the file, and nothing outside its folder is reached unless the person who runs it says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipe_core.kernel.errors import ConfigError, PipeError
from pipe_core.kernel.index import suggestion
from pipe_core.kernel.kernel import current_kernel
from pipe_core.kernel.settings import KINDS, check
from pipe_core.project.boundaries import beyond
from pipe_core.project.objects import load_hook, load_schema
from pipe_core.project.yaml_loader import Document, load_yaml
from pipe_core.records.pipe import Pipe

TOP: Final = "pipe"

PARAMETERS: Final = tuple(name for name in inspect.signature(Pipe).parameters)
"""Everything that a file may say: the parameters of `Pipe`."""

_MODES: Final = ("error", "overwrite", "append", "ignore")


@dataclass(frozen=True, slots=True)
class PipeFile:
    """A file that was checked.

    Attributes:
        path: The file.
        parameters: Keyword arguments for `Pipe`, schema and hooks loaded, paths absolute.
    """

    path: Path
    parameters: Mapping[str, Any]

    def pipe(self, **overrides: Any) -> Pipe:
        """The pipe, with *overrides* in the place of what the file says."""
        return Pipe(**{**self.parameters, **overrides})


def load_pipe_file(path: str | Path, *, allow_outside: bool = False) -> PipeFile:
    """Read and check the file at *path*, and import the code that it names.

    Args:
        path: The file.
        allow_outside: Sources and sinks may be outside the file's folder. Code never is.

    Raises:
        ConfigError: Anything is wrong with it; names file, line and key.
    """
    document = load_yaml(path)
    section = _section(document)
    reader = _Reader(document, allow_outside)
    parameters = {name: reader.read(name, value) for name, value in section.items() if value is not None}
    return PipeFile(document.path, parameters)


def _section(document: Document) -> Mapping[str, Any]:
    top = document.value
    if not isinstance(top, Mapping):
        raise document.error(f"the file must begin with the key '{TOP}:'.")
    if "pipelines" in top:
        text = "this is a project's file. Run one of its pipelines by its name: 'pipe list' shows them."
        raise document.error(text, "pipelines")
    _check_keys(document, (), top, [TOP])
    section = top.get(TOP)
    if not isinstance(section, Mapping):
        raise document.error("write the parameters of the pipe under it, one a line: source, schema, sink.", TOP)
    _check_keys(document, (TOP,), section, PARAMETERS)
    if section.get("source") is None:
        raise document.error("it has no 'source'. Say where records come from: source: orders.csv.", TOP)
    return section


def _check_keys(document: Document, place: tuple[str, ...], found: Mapping[Any, Any], known: Sequence[str]) -> None:
    for key in found:
        if key not in known:
            text = f"there is no such key.{suggestion(str(key), known)} Known: {', '.join(known)}."
            raise document.error(text, *place, str(key))
    if place == () and TOP not in found:
        raise document.error(f"the key '{TOP}:' is missing.")


class _Reader:
    """Turns one value of the file after the other into what `Pipe` takes."""

    def __init__(self, document: Document, allow_outside: bool) -> None:
        self._document = document
        self._folder = document.path.absolute().parent
        self._allow_outside = allow_outside

    def read(self, name: str, value: Any) -> Any:
        """The parameter *name* from what the file says."""
        readers: dict[str, Callable[[str, Any], Any]] = {
            **dict.fromkeys(("source", "sink", "errors"), self._place),
            **dict.fromkeys(("pre_validation_hooks", "post_validation_hooks"), self._hooks),
            **dict.fromkeys(("executor", "codec"), self._selection),
            "schema": self._schema,
            "observers": self._observers,
            "ordered": self._flag,
            "limit": self._count,
            "mode": self._mode,
            "name": self._text,
            "checkpoint": self._runs,
        }
        return readers.get(name, self._setting)(name, value)

    def _wrong(self, message: str, name: str, *more: str | int) -> ConfigError:
        return self._document.error(message, TOP, name, *more)

    # --- places ---

    def _place(self, name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            if not isinstance(value.get("path"), str):
                raise self._wrong("give a path, and beside it options: {path: orders.csv, delimiter: ';'}.", name)
            return {**self._options(value, name), "path": self._path(name, value["path"], "path")}
        return self._path(name, value)

    def _path(self, name: str, value: Any, *more: str) -> str:
        if not isinstance(value, str) or not value or "\0" in value:
            raise self._wrong(f"{value!r} is no path. Quote it if it is one.", name, *more)
        if "://" in value or value == "-":
            return self._url(name, value, *more)
        return str(self._folder / self._checked(name, value, *more))

    def _checked(self, name: str, value: str, *more: str) -> str:
        wrong = None if self._allow_outside else beyond(value, self._folder)
        if wrong is not None:
            raise self._wrong(wrong, name, *more)
        return value

    def _url(self, name: str, value: str, *more: str) -> str:
        scheme = value.partition("://")[0].lower()
        if scheme == "file":
            raise self._wrong("a file is named by its path, without file://.", name, *more)
        if scheme.partition("+")[0] == "sqlite":
            return self._database(name, value, *more)
        return self._checked(name, value, *more)

    def _database(self, name: str, value: str, *more: str) -> str:
        """A database in a file, which is a path like any other one, behind three slashes."""
        scheme, _, rest = value.partition("://")
        path, mark, query = rest.removeprefix("/").partition("?")
        if not rest.startswith("/") or not path or path.startswith((":", "file:")):
            raise self._wrong("a SQLite database is named by its path: sqlite:///orders.db?table=orders.", name, *more)
        return f"{scheme}:///{self._path(name, path, *more)}{mark}{query}"

    # --- code ---

    def _schema(self, name: str, value: Any) -> Any:
        if not isinstance(value, str):
            raise self._wrong("name the schema as file.py:Name.", name)
        return self._located(lambda: load_schema(value, self._folder), name)

    def _hooks(self, name: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise self._wrong("write hooks as a list, even a single one: [timestamp].", name)
        return tuple(self._hook(name, index, hook) for index, hook in enumerate(value))

    def _hook(self, name: str, index: int, hook: Any) -> Any:
        if isinstance(hook, str) and _is_reference(hook, self._folder):
            return self._located(lambda: load_hook(hook, self._folder), name, index)
        if isinstance(hook, str) and hook:
            self._located(lambda: current_kernel().index.find("hooks", hook), name, index)
            return hook
        if isinstance(hook, Mapping) and len(hook) == 1:
            plugin, options = next(iter(hook.items()))
            if isinstance(plugin, str) and isinstance(options or {}, Mapping):
                return {plugin: self._options(options or {}, name, index, plugin)}
        text = f"{hook!r} names no hook. Write its name, {{name: {{option: value}}}} or file.py:Name."
        raise self._wrong(text, name, index)

    def _located(self, load: Callable[[], Any], name: str, *more: int) -> Any:
        try:
            return load()
        except PipeError as error:
            raise self._wrong(str(error), name, *more) from error

    # --- selections and plain values ---

    def _selection(self, name: str, value: Any) -> Any:
        said = value if isinstance(value, str) else " ".join(map(str, value)) if isinstance(value, Mapping) else ""
        if "allow_insecure" in said and not self._allow_outside:
            raise self._wrong(
                "a file cannot say that a plain address is safe: whoever answers there runs code here. Where you trust "
                "the file, allow it with --allow-outside; or say it in PIPE_EXECUTOR__ALLOW_INSECURE=1.",
                name,
            )
        if isinstance(value, Mapping) and isinstance(value.get("name"), str):
            return self._options(value, name)
        if isinstance(value, str) and value:
            return value
        raise self._wrong(f"{value!r} selects nothing. Write a name, or {{name: loky, max_workers: 2}}.", name)

    def _options(self, value: Mapping[Any, Any], name: str, *more: str | int) -> dict[str, Any]:
        for key in value:
            if not isinstance(key, str):
                raise self._wrong(f"{key!r} is no option: options are words. Quote it if it is one.", name, *more)
        return dict(value)

    def _observers(self, name: str, value: Any) -> list[Any]:
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list):
            raise self._wrong("write observers as a list of names: [progress].", name)
        return [self._selection_in_list(name, index, one) for index, one in enumerate(value)]

    def _selection_in_list(self, name: str, index: int, value: Any) -> Any:
        if isinstance(value, str) or (isinstance(value, Mapping) and isinstance(value.get("name"), str)):
            return value
        raise self._wrong(f"{value!r} names no observer. Write its name, or {{name: ..., option: value}}.", name, index)

    def _flag(self, name: str, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        raise self._wrong(f"it must be true or false, not {value!r}.", name)

    def _count(self, name: str, value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise self._wrong(f"it must be a number of records, not {value!r}.", name)

    def _runs(self, name: str, value: Any) -> str | None:
        """The folder of runs that are kept: a path, or true for the one called ``runs``."""
        if isinstance(value, bool):
            return str(self._folder / "runs") if value else None
        if not isinstance(value, str) or not value or "://" in value or "\0" in value:
            raise self._wrong(f"{value!r} is no folder: checkpoint: runs, or checkpoint: true.", name)
        return str(self._folder / self._checked(name, value))

    def _mode(self, name: str, value: Any) -> str:
        if value in _MODES:
            return str(value)
        raise self._wrong(f"it cannot be {value!r}. Choose one of {', '.join(_MODES)}.", name)

    def _text(self, name: str, value: Any) -> str:
        if isinstance(value, str) and value:
            return value
        raise self._wrong(f"it must be text, not {value!r}.", name)

    def _setting(self, name: str, value: Any) -> Any:
        if name not in KINDS:  # a parameter that Pipe has and this file does not know yet: Pipe checks it
            return value
        if isinstance(value, bool | Mapping | list):
            raise self._wrong(f"it cannot be {value!r}.", name)
        line = self._document.line((TOP, name))
        return self._located(lambda: check(name, value, f"line {line}"), name)


def _is_reference(text: str, folder: Path) -> bool:
    """Whether it means code of the folder rather than a plugin, which may be called ``distribution:name``."""
    place = text.rpartition(":")[0]
    if text.endswith(".py") or place.endswith(".py") or any(mark in text for mark in ("/", "\\")) or "." in place:
        return True
    return place.isidentifier() and ((folder / f"{place}.py").is_file() or (folder / place).is_dir())
