"""The command `pipe`: subcommands are imported when they are called, errors become a line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NoReturn

import click

from pipe_core.cli import errors, exits

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "validate": ("pipe_core.cli.validate:validate", "Check the records of a file against a schema."),
    "run": ("pipe_core.cli.run:run", "Run a pipeline of a project, or the pipe that a YAML file describes."),
    "advise": ("pipe_core.cli.advise:advise", "Say which executor is best for a file or a pipe, and why."),
    "graph": ("pipe_core.cli.graph:graph", "Show a pipeline of functions or of a project, or draw it."),
    "init": ("pipe_core.cli.project_init:init", "Make a folder with a small project that runs."),
    "check": ("pipe_core.cli.project_check:check", "Check a project. Nothing runs."),
    "list": ("pipe_core.cli.project_list:list_pipelines", "List the pipelines of a project."),
    "info": ("pipe_core.cli.project_list:info", "Show a project, or a pipeline, node or data set of it."),
    "runs": ("pipe_core.cli.project_runs:runs", "List the runs that were kept, or show one."),
    "resume": ("pipe_core.cli.project_runs:resume", "Go on with a run that failed or was stopped."),
    "backfill": ("pipe_core.cli.project_backfill:backfill", "Run a pipeline for each piece of a window of dates."),
    "demo": ("pipe_core.cli.demo:demo", "Make sample data, run a pipe over it and show the result."),
    "plugins": ("pipe_core.cli.plugins:plugins", "List, show and check what is installed."),
    "doctor": ("pipe_core.cli.doctor:doctor", "Show versions, plugins, settings and what is wrong with them."),
}
"""Where each command is, and its line in the help, which is shown without importing it."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, as in the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the nearest name for a wrong one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from pipe_core.kernel.index import suggestion

            known = ", ".join(COMMANDS)
            ctx.fail(f"There is no command '{args[0]}'.{suggestion(args[0], COMMANDS)} Commands: {known}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> NoReturn:
        """Run, and exit with one of the codes in `pipe_core.cli.exits`."""
        words = list(sys.argv[1:] if args is None else args)
        extra |= {"standalone_mode": False, "obj": words}  # whoever keeps a run keeps how to make it again
        sys.exit(errors.guarded(lambda: super(LazyGroup, self).main(words, *more, **extra), words))


def _version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        import platform
        from importlib.metadata import version

        click.echo(f"pipe-core {version('pipe-core')} (Python {platform.python_version()})")
        ctx.exit(exits.OK)


@click.group(
    "pipe",
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Try 'pipe demo' or 'pipe init DIR' first. Exit codes: 0 fine, 1 some records failed, 2 usage, "
    "3 configuration, 4 run failed.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def app() -> None:
    """Run your Python over data, records or whole projects, wherever you want it to run."""
