"""``pipe init``: a folder with a small project that runs."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from pipe_core.cli.errors import Mistake


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--with-dates", is_flag=True, help="Its pipeline works on a window of dates.")
@click.option("--traceback", is_flag=True, expose_value=False, help="Show where an error comes from.")
def init(folder: str, with_dates: bool) -> None:
    """Make a small project in DIR, which must be empty if it is there: data, functions, pipe.yaml and tests."""
    from pipe_core.project.template import FolderInUseError, write_project

    try:
        names = write_project(Path(folder), with_dates=with_dates)
    except FolderInUseError as error:
        raise Mistake(str(error)) from error
    except OSError as error:
        raise Mistake(f"The project cannot be written to '{folder}': {error.strerror or error}.") from error
    click.echo(f"Made {', '.join(names)}.\n{_next_steps(folder, with_dates=with_dates)}")


def _next_steps(folder: str, *, with_dates: bool) -> str:
    lines = [] if Path(folder).absolute() == Path.cwd() else [f"cd {shlex.quote(folder)}"]
    lines += ["pipe check", "pipe run daily"]
    lines += ["pipe backfill daily --every 1d"] if with_dates else []
    return "Next:\n" + "\n".join(f"  {line}" for line in lines)
