"""What a configuration file holds, as plain data, with the line of every value."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from pipe_core.kernel.errors import ConfigError

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
MAX_MESSAGE: Final = 1000
"""Letters of an error: a file can hold a word of a million."""

Place: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys and indexes from the top."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds.

    Attributes:
        path: The file.
        value: Its content as plain data; None for an empty file.
        lines: The line of every key and item, the first line being 1; nothing where it has none.
    """

    path: Path
    value: Any
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of *place*, or of the nearest thing around it that has one."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def error(self, message: str, *place: str | int) -> ConfigError:
        """An error at *place*, which names file, line and key."""
        line, key = self.line(place), dotted(place)
        where = f"{self.path}, line {line}" + (f", {key}" if key else "")
        return ConfigError(f"{where}: {short(message)}", path=str(self.path), line=line, key=key or None)


def dotted(place: Place) -> str:
    """*place* as people write it: ``pipe.hooks[0]``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def short(message: str) -> str:
    """*message* without the middle of whatever a file made too long."""
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE // 2]} … {message[-MAX_MESSAGE // 2 :]}"


def config_error(path: Path, line: int | None, message: str) -> ConfigError:
    """The error that a file is no configuration, for a reason in one of its lines."""
    where = f"{path}, line {line}" if line else str(path)
    return ConfigError(f"{where}: {short(message)}.", path=str(path), line=line)


def read_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        ConfigError: It is missing, no file, too large or not UTF-8.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise config_error(path, None, "this is no file. Name a YAML file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise config_error(path, None, f"the file cannot be read: {reason}") from error
    if len(data) > MAX_BYTES:
        raise config_error(path, None, f"the file is larger than {MAX_BYTES >> 20} MiB, too large for a configuration")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise config_error(path, data.count(b"\n", 0, error.start) + 1, "this is not UTF-8 text") from None
