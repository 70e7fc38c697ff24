"""Gives every folder under plugins/ a tox environment of its own name, so that adding a plugin needs no edit here."""

from pathlib import Path

from tox.plugin import impl

PLUGINS = Path(__file__).parent / "plugins"


@impl
def tox_extend_envs() -> tuple[str, ...]:
    return tuple(sorted(folder.parent.name for folder in PLUGINS.glob("*/pyproject.toml")))
