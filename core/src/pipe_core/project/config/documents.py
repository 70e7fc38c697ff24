"""Reading one file of a project by its suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pipe_core.kernel.errors import ConfigError
from pipe_core.project.config.json_document import load_json
from pipe_core.project.config.toml_document import load_toml
from pipe_core.project.document import Document
from pipe_core.project.yaml_loader import load_yaml

READERS: Final[Mapping[str, Callable[[Path], Document]]] = {
    ".yaml": load_yaml,
    ".yml": load_yaml,
    ".toml": load_toml,
    ".json": load_json,
}
"""How files of a suffix are read."""


def read_document(path: Path) -> Document:
    """What the file at *path* says. Reading it runs nothing.

    Raises:
        ConfigError: It cannot be read, or its suffix is of no kind of configuration.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        text = f"{path}: files of a project end in {', '.join(READERS)}."
        raise ConfigError(text, path=str(path))
    return reader(path)


def mapping_document(values: Mapping[str, Any], name: str) -> Document:
    """A document of what Python code gave, under a name for messages."""
    return Document(Path(name), values, {})
