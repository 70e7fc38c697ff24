"""``pipe plugins``: what is installed, what it offers, and whether it works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from pipe_core.cli import exits
from pipe_core.cli.errors import Mistake
from pipe_core.cli.output import table, write_json
from pipe_core.kernel.families import FAMILIES

if TYPE_CHECKING:
    from pipe_core.kernel.index import PluginEntry, PluginIndex

_FAMILY = click.option("--family", type=click.Choice(list(FAMILIES)), help="Only plugins of this family.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_TRACEBACK = click.option("--traceback", is_flag=True, expose_value=False, help="Show where an error comes from.")


@click.group()
def plugins() -> None:
    """List, show and check what is installed."""


# --- list: reads metadata, imports nothing ---


@plugins.command("list")
@_FAMILY
@_JSON
@_TRACEBACK
def list_(family: str | None, as_json: bool) -> None:
    """List what is installed, importing none of it."""
    from pipe_core.kernel.index import PluginIndex

    index = PluginIndex()
    rows = [_listed(index, entry) for name in _families(family) for entry in index.entries(name)]
    if as_json:
        write_json(rows)
    else:
        click.echo(table([list(row.values()) for row in rows], ("family", "name", "distribution", "version", "status")))


def _families(family: str | None) -> list[str]:
    return [family] if family else list(FAMILIES)


def _listed(index: PluginIndex, entry: PluginEntry) -> dict[str, Any]:
    rivals = [one for one in index.entries(entry.family) if one.name == entry.name and not one.blocked]
    status = "installed" if len(rivals) < 2 else f"ambiguous: say {entry.qualified}"
    return {
        "family": entry.family,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "status": f"blocked by {entry.blocked}" if entry.blocked else status,
    }


def _named(index: PluginIndex, name: str | None, family: str | None) -> Iterator[PluginEntry]:
    """The plugins called *name*, which may be ``distribution:name``; all of them for None.

    Raises:
        Mistake: There is none.
    """
    entries = [entry for one in _families(family) for entry in index.entries(one)]
    if name is None:
        yield from entries
        return
    found = [entry for entry in entries if name in (entry.name, entry.qualified)]
    if not found:
        raise Mistake(_unknown(name, [entry.name for entry in entries]))
    yield from found


def _unknown(name: str, known: list[str]) -> str:
    from pipe_core.kernel.index import suggestion

    published = {offered: package for family in FAMILIES.values() for offered, package in family.published.items()}
    hint = suggestion(name, {*known, *published})
    nearest = hint.split("'")[1] if hint else ""
    package = published.get(nearest) if nearest not in known else None
    text = f"No plugin is called '{name}'." + (hint if nearest != name else "")
    return f"{text} pip install {package}" if package else f"{text} 'pipe plugins list' shows what is installed."


# --- show: loads the light module of a plugin ---


@plugins.command("show")
@click.argument("name")
@_FAMILY
@_JSON
@_TRACEBACK
def show(name: str, family: str | None, as_json: bool) -> int:
    """Show what the plugin NAME offers: its options, its capabilities, where it comes from."""
    from pipe_core.cli.offers import as_text, describe
    from pipe_core.kernel.kernel import current_kernel

    kernel = current_kernel()
    shown = [describe(kernel, entry) for entry in _named(kernel.index, name, family)]
    if as_json:
        write_json(shown)
    else:
        click.echo("\n\n".join(as_text(one) for one in shown))
    return exits.CONFIGURATION if any(one["status"] == "broken" for one in shown) else exits.OK


# --- check: starts it ---


@plugins.command("check")
@click.argument("name", required=False)
@_FAMILY
@_JSON
@_TRACEBACK
def check(name: str | None, family: str | None, as_json: bool) -> int:
    """Start the plugin NAME, or every plugin, and try it on something small."""
    from pipe_core.cli.smoke import smoke
    from pipe_core.kernel.kernel import current_kernel

    kernel = current_kernel()
    results = [smoke(kernel, entry) for entry in list(_named(kernel.index, name, family))]
    if as_json:
        write_json(results)
    else:
        click.echo(table([list(result.values()) for result in results], ("family", "name", "result", "what happened")))
    return exits.RECORDS_FAILED if any(result["result"] == "failed" for result in results) else exits.OK
