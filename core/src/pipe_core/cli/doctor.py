"""``pipe doctor``: what is here, where every setting comes from, and what is wrong."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import click

from pipe_core.cli import exits
from pipe_core.cli.output import HIDDEN, is_secret, public, redact, table, write_json

CORE: Final = "pipe-core"
_BUILT_IN: Final = {"executor": "sync", "scheduler": "fifo", "codec": "msgpack"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--traceback", is_flag=True, expose_value=False, help="Show where an error comes from.")
def doctor(as_json: bool) -> int:
    """Show versions, plugins, settings and what is wrong with them."""
    facts = examine()
    if as_json:
        write_json(facts)
    else:
        click.echo(_text(facts))
    return exits.CONFIGURATION if facts["problems"] else exits.OK


def examine() -> dict[str, Any]:
    """Everything that the doctor knows, as plain data without secrets."""
    from pipe_core.kernel.kernel import Kernel
    from pipe_core.runtime.cores import cores

    kernel = Kernel()
    settings, file, problems = _settings(kernel)
    plugins = _plugins(_without_settings() if problems else kernel)
    problems += _unusable(kernel, settings)
    problems += [plugin["reason"] for plugin in plugins if plugin["status"] == "broken"]
    return {
        "versions": {"python": platform.python_version(), "platform": platform.platform(), **_versions()},
        "python_executable": sys.executable,
        "cores": cores(),
        "plugins": plugins,
        "environment": _environment(),
        "settings_file": file,
        "settings": settings,
        "problems": problems,
    }


def _versions() -> dict[str, str]:
    names = [
        CORE,
        *(re.split(r"[^A-Za-z0-9._-]", need)[0] for need in metadata.requires(CORE) or () if not _extra(need)),
    ]
    return {name: _version(name) for name in names}


def _extra(requirement: str) -> bool:
    return "extra ==" in requirement.replace("'", "").replace('"', "")


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def _environment() -> dict[str, str]:
    found = {name: value for name, value in sorted(os.environ.items()) if name.startswith("PIPE_")}
    return {name: HIDDEN if is_secret(name) and value else redact(value) for name, value in found.items()}


def _settings(kernel: Any) -> tuple[list[dict[str, Any]], str | None, list[str]]:
    """Settings that are not at their default, the settings file, and what is wrong with either."""
    from pipe_core.kernel.errors import SettingsError
    from pipe_core.kernel.settings import KINDS

    try:
        layers = kernel.settings.layers()
    except SettingsError as error:
        return [], None, [redact(str(error))]
    found = [(name, kernel.settings.get(name)) for name in KINDS if any(name in values for _, values in layers)]
    file = layers[-1][0]
    shown = [{"name": name, "value": public(one.value), "source": one.source} for name, one in found]
    return shown, file if os.path.isfile(file) else None, []


def _unusable(kernel: Any, settings: list[dict[str, Any]]) -> list[str]:
    """Settings that select a plugin which is not here, or give it options that it does not have."""
    from pipe_core.kernel.errors import PipeError
    from pipe_core.kernel.families import FAMILIES

    found = []
    named = {one["name"]: one["source"] for one in settings}
    for family in FAMILIES.values():
        if family.word in named and kernel.settings.get(family.word).value != "auto":  # which pipes know
            try:
                kernel.choose(family.name, default=_BUILT_IN.get(family.word))
            except PipeError as error:
                found.append(redact(f"{family.word} (from {named[family.word]}): {error}"))
    return found


def _without_settings() -> Any:
    """A kernel that loads plugins although the settings are broken."""
    from pipe_core.kernel.kernel import Kernel

    gates = {name: value for name, value in os.environ.items() if name.endswith("_PLUGINS")}
    return Kernel(environ=gates, folder=Path(Path.cwd().anchor))


def _plugins(kernel: Any) -> list[dict[str, Any]]:
    from pipe_core.kernel.families import FAMILIES

    return [_plugin(kernel, entry) for family in FAMILIES for entry in kernel.index.entries(family)]


def _plugin(kernel: Any, entry: Any) -> dict[str, Any]:
    """One plugin, loaded to see whether it can be; a blocked one is not touched."""
    status, reason = "ok", ""
    if entry.blocked:
        status, reason = "blocked", f"by {entry.blocked}"
    elif (failure := kernel.failure(entry)) is not None:
        status, reason = "broken", redact(str(failure))
    who = {"family": entry.family, "name": entry.name, "distribution": entry.distribution, "version": entry.version}
    return {**who, "status": status, "reason": reason}


def _row(plugin: dict[str, Any]) -> tuple[Any, ...]:
    *who, status, reason = plugin.values()
    return (*who, f"{status} {reason}" if status == "blocked" else status)


def _text(facts: dict[str, Any]) -> str:
    parts = [
        ("Versions", [*facts["versions"].items()]),
        ("Machine", [("python", facts["python_executable"]), ("cores", facts["cores"])]),
        ("Plugins", [_row(plugin) for plugin in facts["plugins"]]),
        ("Environment", [*facts["environment"].items()] or [("no PIPE_ variables are set",)]),
        ("Settings file", [(facts["settings_file"] or "none found",)]),
        ("Settings", [tuple(one.values()) for one in facts["settings"]] or [("all at their defaults",)]),
        ("Problems", [(text,) for text in facts["problems"]] or [("none",)]),
    ]
    return "\n\n".join(f"{title}\n{table(rows, indent='  ')}" for title, rows in parts)
