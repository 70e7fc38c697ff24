"""Smoke tests: the smallest thing that shows that a plugin of each family works here."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipe_core.cli.output import redact
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.index import PluginEntry
from pipe_core.kernel.kernel import Kernel
from pipe_core.kernel.settings import using

SECONDS: Final = 60
"""How long an executor may take to start and to answer."""


class _Untried(Exception):  # no error: there is nothing to try it on
    """The plugin was made, and there is nothing here to try it on."""


@dataclass(slots=True, eq=False)
class _Sample:
    """A task as schedulers know them."""

    sequence: int
    band: int = 1
    number: float = 0.0
    tag: str | None = None
    since: float = 0.0


def smoke(kernel: Kernel, entry: PluginEntry) -> dict[str, str]:
    """Try *entry*. The result is ``ok``, ``failed``, ``untried`` or ``blocked``, with a reason; nothing is raised."""
    result, reason = "ok", ""
    if entry.blocked:
        result, reason = "blocked", f"by {entry.blocked}"
    elif (failure := kernel.failure(entry)) is not None:
        result, reason = "failed", str(failure)
    else:
        result, reason = _tried(kernel, entry)
    return {"family": entry.family, "name": entry.qualified, "result": result, "reason": redact(reason)}


def _tried(kernel: Kernel, entry: PluginEntry) -> tuple[str, str]:
    missing = _required(kernel, entry)
    if missing:
        return "untried", f"loaded; it cannot start without its options: {', '.join(missing)}"
    try:
        with using(kernel=kernel):
            return "ok", _TESTS[entry.family](kernel, entry.qualified)
    except _Untried as untried:
        return "untried", str(untried)
    except OptionsError as error:
        return "untried", f"loaded; it needs options: {str(error).splitlines()[0]}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything, and the others are to be checked too
        return "failed", f"{type(error).__name__}: {error}".splitlines()[0]


def _required(kernel: Kernel, entry: PluginEntry) -> list[str]:
    model = kernel.spec(entry.family, entry.qualified).options
    return [name for name, field in model.model_fields.items() if field.is_required()]


def _executor(kernel: Kernel, name: str) -> str:
    from pipe_core.runtime.select import get_executor

    with get_executor(name) as executor:
        answer = executor.submit(pow, 2, 10).result(timeout=SECONDS)
    if answer != 1024:
        raise ValueError(f"2 ** 10 came back as {answer!r}")
    return "a call came back"


def _scheduler(kernel: Kernel, name: str) -> str:
    scheduler, task = kernel.make("schedulers", name), _Sample(1)
    scheduler.push(task)
    if len(scheduler) != 1 or scheduler.pop(0, 0.0) is not task or len(scheduler):
        raise ValueError("a task that was pushed did not come out again")
    return "a task went in and out"


def _codec(kernel: Kernel, name: str) -> str:
    codec = kernel.make("codecs", name)
    value = {"text": "ä", "number": 2**40, "list": [1.5, None, True]}
    data = codec.encode(value)
    if codec.decode(data) != value:
        raise ValueError("a value came back changed")
    return f"a value came back equal ({len(data)} bytes)"


def _format(kernel: Kernel, name: str) -> str:
    made: Any = kernel.make("formats", name)
    suffixes = getattr(kernel.spec("formats", name), "suffixes", ())
    if not suffixes:
        raise _Untried(f"made ({type(made).__name__}); it has no files to try it on")
    with tempfile.TemporaryDirectory(prefix="pipe-check-") as folder:
        return _copied(name, Path(folder) / f"sample{suffixes[0]}")


def _copied(name: str, path: Path) -> str:
    from pipe_core.records import Pipe

    place, back = {"path": str(path), "format": name}, list[Any]()
    Pipe([{"word": "ä", "other": "x"}], place, observers=()).run()
    Pipe(place, back, observers=()).run()
    words = [dict(record)["word"] for record in back]
    if words != ["ä"]:
        raise ValueError(f"a record came back as {back!r}")
    return "a record was written and read"


def _hook(kernel: Kernel, name: str) -> str:
    return f"made ({type(kernel.make('hooks', name)).__name__})"


def _observer(kernel: Kernel, name: str) -> str:
    kernel.observers([name])
    return "made, and fits the hook specifications"


_TESTS: Final[Mapping[str, Callable[[Kernel, str], str]]] = {
    "executors": _executor,
    "schedulers": _scheduler,
    "codecs": _codec,
    "formats": _format,
    "hooks": _hook,
    "observers": _observer,
}
