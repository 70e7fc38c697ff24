"""Project files: from YAML, TOML, JSON or Python to objects, with the place of every mistake.

`config` reads the files of a project, and `project` gives them out as `Project`: nodes, pipelines and a catalog. For a
record pipe's file, `pipe_file` makes the parameters of a `Pipe`; `objects` finds what ``file.py:Object`` names, and
`modules` imports a file by its path. Files are hostile until they were checked: reading one runs nothing, and it
reaches only code and data in its own folder.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pipe_core.project.objects import ObjectNotFoundError as ObjectNotFoundError
    from pipe_core.project.objects import load_hook as load_hook
    from pipe_core.project.objects import load_schema as load_schema
    from pipe_core.project.pipe_file import PipeFile as PipeFile
    from pipe_core.project.pipe_file import load_pipe_file as load_pipe_file
    from pipe_core.project.project import Project as Project
    from pipe_core.project.yaml_loader import Document as Document
    from pipe_core.project.yaml_loader import load_yaml as load_yaml

_HOMES: Final = {
    "Document": "yaml_loader",
    "ObjectNotFoundError": "objects",
    "PipeFile": "pipe_file",
    "Project": "project",
    "load_hook": "objects",
    "load_pipe_file": "pipe_file",
    "load_schema": "objects",
    "load_yaml": "yaml_loader",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pipe_core.project' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
