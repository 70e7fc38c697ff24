"""What `pipe run`, `pipe resume` and `pipe backfill` share of a project: their switches, running, and what is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from pipe_core.cli import exits
from pipe_core.cli.output import public, redact, table, write_json
from pipe_core.cli.project_failures import RunFailed, failed
from pipe_core.cli.project_options import Where, hyperparams_of
from pipe_core.cli.running import warnings_shown
from pipe_core.looks.wording import duration

if TYPE_CHECKING:
    from pipe_core.project.contracts import ContractNote
    from pipe_core.project.project import Project
    from pipe_core.project.runs.result import RunResult
    from pipe_core.project.runs.runner import Runner

Command = TypeVar("Command", bound=Callable[..., Any])

MODELS: Final = "models"
"""The folder of a project in which models are looked up."""

_CHOICE: Final = (
    click.option("--node", "nodes", multiple=True, metavar="NAME", help="Run only this node; again for more."),
    click.option("--from", "start_from", multiple=True, metavar="NAME", help="Run this node and what needs it."),
    click.option("--to", "up_to", multiple=True, metavar="NAME", help="Run this node and what it needs."),
    click.option("--tags", multiple=True, metavar="TAG", help="Run the nodes with this tag; again for more."),
    click.option("--model-version", metavar="VERSION", help="The version of models; latest: see models/."),
    click.option(
        "--hyperparams", multiple=True, metavar="KEY=VALUE", help="Parameters above all others; or a JSON object."
    ),
)
_RUNNING: Final = (
    click.option("--max-workers", type=click.IntRange(min=1), metavar="N", help="How many nodes run at once."),
    click.option("-v", "--verbose", count=True, help="Show the log in place of progress; -vv shows more of it."),
)


def choice_switches(command: Command) -> Command:
    """The switches that say what of a pipeline runs, and with which parameters."""
    return _with(_CHOICE, command)


def running_switches(command: Command) -> Command:
    """The switches that say how nodes run, beside the executor."""
    return _with(_RUNNING, command)


def _with(switches: Any, command: Command) -> Command:
    for switch in reversed(switches):
        command = switch(command)
    return command


@dataclass(frozen=True, slots=True)
class Said:
    """What was typed of which nodes run, and with what.

    Attributes:
        nodes: Only these.
        start_from: These, and what needs them.
        up_to: These, and what they need.
        tags: Those with one of these.
        start_date: The first day.
        end_date: The last day.
        model_version: The version of models.
        hyperparams: Parameters, as they were typed.
    """

    nodes: tuple[str, ...] = ()
    start_from: tuple[str, ...] = ()
    up_to: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    start_date: str | None = None
    end_date: str | None = None
    model_version: str | None = None
    hyperparams: tuple[str, ...] = ()

    @property
    def chooses(self) -> bool:
        """Whether some nodes of the pipeline were chosen."""
        return bool(self.nodes or self.start_from or self.up_to or self.tags)

    def chosen(self) -> dict[str, Any]:
        """Keyword arguments of `Runner.run`, without dates.

        Raises:
            Mistake: Parameters are not as they can be said.
        """
        return {
            **{name: _split(getattr(self, name)) for name in ("nodes", "start_from", "up_to", "tags")},
            "model_version": self.model_version,
            "hyperparams": hyperparams_of(self.hyperparams),
        }

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `Runner.run`. Raises `Mistake`."""
        return {**self.chosen(), "start_date": self.start_date, "end_date": self.end_date}


def _split(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.strip() for one in names for name in one.split(",") if name.strip())


# --- running ---


def check_place(executor: str | None, project: Project) -> None:
    """Make sure that there is such an *executor*; where none was typed, that there is the one of the settings.

    Raises:
        PipeError: There is none, or its options are wrong.
    """
    from pipe_core.kernel.kernel import current_kernel
    from pipe_core.runtime.select import check_executor

    if executor is not None:
        check_executor(executor)
    elif project.settings.executor is None:
        current_kernel().choose("executors", None, {}, default="sync")


@contextmanager
def runner_of(project: Project, executor: str | None, max_workers: int | None) -> Iterator[Runner]:
    """What runs the pipelines of *project*. The executor of the call or of the settings is looked up before.

    The version `latest` of a model is looked up in the project's folder `models`.

    Raises:
        PipeError: There is no such executor.
    """
    from pipe_core.project.model_registry import FileModelRegistry
    from pipe_core.project.runs.runner import Runner

    check_place(executor, project)
    registry = FileModelRegistry(project.folder / MODELS)
    with Runner(project, executor, max_workers, registry=registry) as runner:
        yield runner


def drive(runner: Runner, run: Callable[[list[Any]], RunResult], where: Where, how: How) -> int:
    """Run, show how it goes and how it ended, and give the exit code.

    Args:
        runner: It runs there.
        run: Runs, with these callbacks.
        where: Which project was asked for.
        how: What is shown.

    Raises:
        RunFailed: A node has failed.
        PipeError: It cannot run. Nothing has.
    """
    from pipe_core.cli.project_stopping import Stopping
    from pipe_core.project.errors import RunFailedError

    hint = f"What is done is kept. Go on with: pipe resume {{run}}{where.words()}"
    with how.shown(runner) as callbacks, Stopping(runner, hint) as stopping:
        try:
            result = run(callbacks)
        except RunFailedError as error:
            how.show(error.result)
            raise failed(error, runner.project.folder, where) from error
        except KeyboardInterrupt:
            if stopping.received is None:
                raise ended_by_node("KeyboardInterrupt", runner) from None
            return stopping.tell()
        except SystemExit as error:
            raise ended_by_node(f"SystemExit: {error.code}", runner) from None
    how.show(result)
    return exits.OK


def ended_by_node(what: str, runner: Runner) -> RunFailed:
    """The error that a node has ended the run, and not the person in front of it."""
    return RunFailed(f"The run {runner.run_id} was ended by a node, with {what}. Let it raise an error instead.")


@dataclass(frozen=True, slots=True)
class How:
    """What is shown of a run.

    Attributes:
        as_json: The result as data, and nothing else.
        progress: How it goes on.
        verbose: How much of the log.
    """

    as_json: bool = False
    progress: bool = True
    verbose: int = 0

    @contextmanager
    def shown(self, runner: Runner) -> Iterator[list[Any]]:
        """Show how runs of *runner* go on while the block lasts. Gives the callbacks that do it."""
        from pipe_core.cli.project_progress import callbacks_for, logged

        with warnings_shown(but="pipe_core.project"), logged(self.verbose):
            yield callbacks_for(runner, progress=self.progress and not self.as_json, verbose=self.verbose)

    def show(self, result: RunResult) -> None:
        """Show how it ended."""
        if self.as_json:
            write_json(public_run(result.to_dict()))
        else:
            click.echo(redact(summary(result)))


# --- what is shown ---


def public_run(facts: dict[str, Any]) -> dict[str, Any]:
    """What is known of a run without secrets. Nodes are called as people like, also `authenticate`."""
    return {**public({**facts, "nodes": {}}), "nodes": {name: public(node) for name, node in facts["nodes"].items()}}


def summary(result: RunResult) -> str:
    """How a run ended: a line, and one for each node."""
    window = f", {result.window}" if result.window is not None else ""
    run = f", run {result.run}" if result.run else ""
    head = f"{result.pipeline}{window}: {result.status} in {duration(result.duration)}{run}"
    rows = [
        (name, "done before" if node.restored else node.status, node.attempts, _seconds(node), ", ".join(node.outputs))
        for name, node in result.nodes.items()
    ]
    lines = [head, table(rows, ("node", "status", "attempts", "seconds", "stored"), indent="  ")]
    for name, node in result.nodes.items():
        lines += [by_contract(name, note) for note in node.contracts]
    return "\n".join(lines)


def by_contract(node: str, note: ContractNote) -> str:
    """What a contract of a node has discarded, or let pass."""
    return f"node '{node}', by its contract for the {note}"


def _seconds(node: Any) -> str:
    return "" if node.duration is None else f"{node.duration:.3f}"
