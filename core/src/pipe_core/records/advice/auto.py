"""``executor="auto"``: asks `advice` where a run is best off, on what `source_facts` finds out.

Small input is known by its size alone and costs nothing more. For the rest a `sample` is taken, which costs about what
starting a worker process does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.kernel import current_kernel
from pipe_core.kernel.selection import Selection, parse
from pipe_core.kernel.settings import Setting
from pipe_core.kernel.urls import redacted
from pipe_core.runtime.run_loop import RunLoop

if TYPE_CHECKING:
    from pipe_core.records.advice.rules import Advice
    from pipe_core.records.pipe import Pipe
    from pipe_core.records.plan import Wishes
    from pipe_core.records.report import FlowReport

AUTO: Final = "auto"
"""What people say in place of an executor's name. No plugin: one of that name is reached as ``distribution:auto``."""
SCHEMES: Final[Mapping[str, str]] = {"ray": "ray", "dask": "dask", "tcp": "dask", "tls": "dask"}
"""Which executor an address is for."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that is configured: the executor, and the address where it was given to ``auto`` itself."""

    executor: str | None = None
    address: str | None = None


def chosen(wishes: Wishes, report: FlowReport, loop: RunLoop) -> Any:
    """What to ask for as executor: what the pipe says, or, where that comes to ``auto``, what is best for it.

    Raises:
        PipeError: ``auto`` was given options, or the source or the schema is wrong.
    """
    cluster = asked_for_auto(wishes.executor)
    if cluster is None:
        return wishes.executor
    if _is_over_before_it_began(wishes, loop):
        return "sync"
    advice = advice_for(wishes, loop, cluster)
    report.notes.append(f"auto chose '{advice.executor}': {advice.reason}")
    return (advice.executor, dict(advice.options))


def advise_pipe(pipe: Pipe) -> Advice:
    """Where *pipe* is best off, whatever executor it has. A sample is taken even of small input.

    Raises:
        PipeError: The source or the schema is wrong.
    """
    loop = RunLoop()
    try:
        cluster = asked_for_auto(pipe._wishes.executor) or _configured()
        return advice_for(pipe._wishes, loop, cluster, thorough=True)
    finally:
        loop.close()


def asked_for_auto(asked: Any) -> Cluster | None:
    """Whether *asked*, or what the settings say in its place, is ``auto``; and which cluster it may use.

    Raises:
        OptionsError: ``auto`` was given an option that it does not have.
    """
    if isinstance(asked, str) and not asked.strip().startswith(AUTO):
        return None  # on the way of every run
    options: dict[str, Setting] = {}
    for level, selection in _levels(asked):
        if selection.product is not None or selection.model is not None:
            return None
        named = {name: Setting(value, level.source) for name, value in selection.options.items()}
        options = {**named, **options}
        if selection.name is not None:
            return _cluster(options) if selection.name == AUTO else None
    return None


def _levels(asked: Any) -> Iterator[tuple[Setting, Selection]]:
    said = [Setting(asked, "the call")] if asked is not None else []
    for level in (*said, *current_kernel().settings.selections("executor")):
        yield level, parse(level.value, "executor")


def _cluster(options: Mapping[str, Setting]) -> Cluster:
    settings = current_kernel().settings
    for name, setting in options.items():
        if name != "address":
            place = settings.place(setting.source, name)
            raise OptionsError(
                f"The executor 'auto' has no option '{name}' (from {place}): it chooses another executor, which may "
                "not have it. Name that executor to give it options.",
                problems={name: f"auto has no such option (from {place})"},
            )
    if "address" not in options:
        return _configured()
    address = str(options["address"].value)
    executor = SCHEMES.get(address.partition("://")[0])
    if executor is None:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        text = f"The executor 'auto' cannot tell what the address '{redacted(address)}' is of."
        problems = {"address": f"begins with none of {known}"}
        raise OptionsError(f"{text} It must begin with one of {known}.", problems=problems)
    return Cluster(executor, address)


def _configured() -> Cluster:
    """The cluster that a weaker setting names: its options come with its name."""
    for _, selection in _levels(None):
        if selection.name in SCHEMES.values() and "address" in selection.options:
            return Cluster(selection.name)
    return Cluster()


def _is_over_before_it_began(wishes: Wishes, loop: RunLoop) -> bool:
    """Whether the target exists and must not be touched: hooks shall not run for that."""
    if wishes.mode not in ("ignore", "error"):
        return False
    from pipe_core.records.places import as_sink

    sink = as_sink(wishes.sink, loop)
    return sink is not None and sink.exists()


def advice_for(wishes: Wishes, loop: RunLoop, cluster: Cluster, *, thorough: bool = False) -> Advice:
    """Look, and advise.

    Args:
        wishes: What the pipe shall do.
        loop: The run's.
        cluster: The cluster that may be used.
        thorough: Take a sample even of input that is small by its size.
    """
    from pipe_core.records.advice.rules import advise
    from pipe_core.records.advice.source_facts import find_facts

    installed = {entry.name for entry, _ in current_kernel().usable("executors")}
    facts = find_facts(wishes, loop, thorough=thorough)
    return advise(replace(facts, cluster=cluster.executor, address=cluster.address), installed)
