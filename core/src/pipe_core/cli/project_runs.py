"""``pipe runs`` and ``pipe resume``: the runs of a project that were kept, and going on with one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pipe_core.cli import records_runs
from pipe_core.cli.errors import Mistake
from pipe_core.cli.output import HIDDEN, public, redact, table, write_json
from pipe_core.cli.project_options import NoProject, Where, in_words, project_switches, typed
from pipe_core.cli.project_running import How, by_contract, drive, public_run, runner_of, running_switches
from pipe_core.cli.running import RUNS
from pipe_core.looks.wording import one_line

if TYPE_CHECKING:
    from pipe_core.project.contracts import ContractNote
    from pipe_core.project.runs.history import PastRun

_EXECUTOR: Final = click.option(
    "-x", "--executor", metavar="SPEC", help="Where it runs now.  [default: as the project says]"
)
_RUNS: Final = click.option(
    "--runs", "kept_in", metavar="DIR", help="Where runs are kept.  [default: the project's runs, else runs]"
)
_HEADER: Final = ("run", "pipeline", "status", "started", "ended")


@click.command()
@click.argument("run", required=False, metavar="[RUN]")
@_RUNS
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@project_switches(settings=False)
def runs(run: str | None, kept_in: str | None, where: Where, as_json: bool) -> None:
    """List the runs that were kept, the oldest first; or show RUN, by its id or the beginning of it.

    Those of the project around the working folder, and those of records with --checkpoint in the same folder.
    """
    from pipe_core.project.runs.history import past_run, past_runs

    folder = runs_of(where, kept_in)
    if run is None:
        found = list(past_runs(folder))
        if as_json:
            write_json([one.to_dict() for one in found])
        else:
            click.echo(_listed(found) if found else f"No runs in {folder} yet.")
        return
    with typed():
        past = past_run(folder, run)
    if past.is_of_records:
        facts = public(records_runs.facts_of(folder, past))
        text = "" if as_json else records_runs.as_text(facts, _words(kept_in))
    else:
        facts = public_run(_facts(folder, past))
        text = "" if as_json else _as_text(facts, where)
    if as_json:
        write_json(facts)
    else:
        click.echo(redact(text))


def _words(kept_in: str | None) -> str:
    return f" --runs {shlex.quote(kept_in)}" if kept_in is not None else ""


def _listed(found: list[PastRun]) -> str:
    """A line for each run; with the dates that it is about, where one of them is about some."""
    windows = [_dates(one.asked) for one in found]
    if not any(windows):
        return table([list(one.to_dict().values()) for one in found], _HEADER)
    rows = [[*one.to_dict().values(), dates] for one, dates in zip(found, windows, strict=True)]
    return table(rows, (*_HEADER, "dates"))


def _dates(asked: Mapping[str, Any]) -> str:
    return f"{asked['start_date']}..{asked['end_date']}" if asked.get("start_date") else ""


def runs_of(where: Where, kept_in: str | None) -> Path:
    """The folder that was named; the one of the project's runs; without a project ``runs`` in the working folder.

    Raises:
        Mistake: There is none of them.
    """
    if kept_in is not None:
        if not Path(kept_in).is_dir():
            raise Mistake(f"There is no folder '{kept_in}'. It is what --checkpoint or 'checkpoint:' named.")
        return Path(kept_in)
    try:
        project = where.load()
    except NoProject as error:
        if where.place is not None:
            raise
        if Path(RUNS).is_dir():
            return Path(RUNS)
        raise NoProject(
            f"{error} Runs of records are kept in the folder that --checkpoint names: say it with --runs DIR."
        ) from error
    return project.folder / project.settings.runs


def _facts(folder: Path, past: PastRun) -> dict[str, Any]:
    """All that the journal of a run tells."""
    from pipe_core.project.runs.history import contract_notes
    from pipe_core.runs.journal import last_statuses, read_journal

    events = read_journal(folder / past.run / "journal.jsonl")
    last = last_statuses(events)
    names = [name for event in events if event.get("event") == "run" for name in event.get("nodes", ())]
    notes = contract_notes(events)
    asked = {key: value for key, value in past.asked.items() if key in _ASKED}
    return {
        **past.to_dict(),
        **asked,
        "set": {**past.overrides, **dict.fromkeys(past.left_out, HIDDEN)},
        "nodes": {name: _node(last.get(name), notes.get(name, ())) for name in dict.fromkeys([*names, *last])},
    }


_ASKED: Final = ("env", "start_date", "end_date", "executor", "choice", "model_version", "hyperparams")


def _node(event: Mapping[str, Any] | None, notes: Sequence[ContractNote]) -> dict[str, Any]:
    event = event or {"status": "pending"}
    return {
        "status": event["status"],
        "attempts": event.get("attempt", 0),
        "seconds": event.get("seconds"),
        "error": event.get("error"),
        "outputs": event.get("outputs", []),
        "contracts": [note.to_dict() for note in notes],
    }


def _as_text(facts: Mapping[str, Any], where: Where) -> str:
    head = [(f"{key}:", facts[key]) for key in (*_HEADER, "env", "executor") if facts.get(key)]
    if dates := _dates(facts):
        head.append(("dates:", dates))
    head += [("set:", f"{key}={in_words(value)}") for key, value in facts["set"].items()]
    rows = [
        (name, node["status"], node["attempts"], _seconds(node), ", ".join(node["outputs"]), _short(node["error"]))
        for name, node in facts["nodes"].items()
    ]
    lines = [table(head), table(rows, ("node", "status", "attempts", "seconds", "stored", "error"), indent="  ")]
    lines += [by_contract(name, note) for name, node in facts["nodes"].items() for note in _notes(node)]
    if facts["status"] not in ("completed", "running"):
        lines.append(f"Go on with: pipe resume {facts['run']}{where.words()}")
    return "\n".join(line for line in lines if line)


def _notes(node: Mapping[str, Any]) -> list[ContractNote]:
    from pipe_core.project.contracts import ContractNote

    return list(map(ContractNote.from_dict, node["contracts"]))


def _seconds(node: Mapping[str, Any]) -> str:
    return "" if node["seconds"] is None else f"{node['seconds']:.3f}"


def _short(error: str | None) -> str:
    return "" if error is None else one_line(error, 120)


# --- going on ---


def _check_of_records(where: Where, max_workers: int | None, verbose: int) -> None:
    """Refuse what only runs of projects can be told. Raises `Mistake`."""
    said = {"--env": where.env, "--set": where.settings, "--max-workers": max_workers, "-v": verbose}
    for word, value in said.items():
        if value:
            raise Mistake(f"{word} is for runs of projects, and this is one of records. Leave it out.")


def _last(folder: Path) -> PastRun:
    """The last run.

    Raises:
        Mistake: There is none, or it is complete.
    """
    from pipe_core.project.runs.history import past_runs

    found = list(past_runs(folder))
    if not found:
        raise Mistake(f"There are no runs in {folder} yet.")
    if found[-1].status == "completed":
        raise Mistake(f"The last run, {found[-1].run}, is complete. Name another one: 'pipe runs' lists them.")
    return found[-1]


def _settings(said: tuple[str, ...], past: PastRun) -> tuple[str, ...]:
    """What is otherwise in the project's files: as it was for the run, and as is *said* now.

    Raises:
        Mistake: Something was set of which the journal only has the name, and is not said now.
    """
    now = {word.partition("=")[0].strip() for word in said}
    if missing := [key for key in past.left_out if key not in now]:
        again = " ".join(f"--set {key}=..." for key in missing)
        raise Mistake(f"The run {past.run} was given what may be secret and is not written down. Say it again: {again}")
    return (*(f"{key}={in_words(value)}" for key, value in past.overrides.items() if key not in now), *said)


@click.command()
@click.argument("run", required=False, metavar="[RUN]")
@_EXECUTOR
@_RUNS
@click.option("--force", is_flag=True, help="Go on also where what is read or done has changed since.")
@running_switches
@click.option("--no-progress", is_flag=True, help="Show no progress on standard error.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@project_switches()
def resume(
    run: str | None,
    kept_in: str | None,
    where: Where,
    executor: str | None,
    force: bool,
    max_workers: int | None,
    verbose: int,
    no_progress: bool,
    as_json: bool,
) -> int:
    """Go on with RUN, which failed, was stopped or was killed: by its id, or the beginning of it; or with the last one.

    Nodes that were done do not run again. The environment is the one that the run had; --env says only where to look,
    if an environment keeps its runs elsewhere. What was --set for the run still is; --set says a key anew, or another.
    """
    from pipe_core.project.runs.history import past_run

    with typed():
        folder = runs_of(where, kept_in)
        past = _last(folder) if run is None else past_run(folder, run)
    if past.is_of_records:
        _check_of_records(where, max_workers, verbose)
        records_runs.go_on(past, executor=executor, force=force, no_progress=no_progress, as_json=as_json)
    where = replace(where, env=where.env or past.asked.get("env"), settings=_settings(where.settings, past))
    project = where.load()
    with typed(executor=executor), runner_of(project, executor, max_workers) as runner:
        return drive(
            runner,
            lambda callbacks: runner.resume(past.run, force=force, callbacks=callbacks),
            where,
            How(as_json, not no_progress, verbose),
        )
