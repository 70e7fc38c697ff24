from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pluggy
import pytest
from fake_distributions import Site, plugin

from pipe_core import Pipe, PluginIncompatibleError, PluginNotFoundError, get_executor, hookimpl, using
from pipe_core.kernel.events import EVENTS
from pipe_core.kernel.facts import EntryFailure, RunInfo
from pipe_core.kernel.hookspecs import EventHooks
from pipe_core.kernel.kernel import Kernel
from pipe_core.kernel.specs import ExecutorSpec
from pipe_core.runtime.select import choose_executor

RUN = RunInfo("1", "records", "test", "sync")


class Listener:
    """Writes down what it hears."""

    def __init__(self, name: str = "", heard: list[str] | None = None) -> None:
        self.name = name
        self.heard: list[str] = [] if heard is None else heard

    @hookimpl
    def pipe_run_started(self, run: RunInfo) -> None:
        self.heard.append(f"{self.name}:started {run.id}")

    @hookimpl
    def pipe_entry_failed(self, failure: EntryFailure) -> None:
        self.heard.append(f"{self.name}:failed {failure.position}")


class Failing(Listener):
    """Hears, and raises every time."""

    @hookimpl
    def pipe_configure(self) -> None:
        raise ValueError("configure")

    @hookimpl
    def pipe_run_started(self, run: RunInfo) -> None:
        super().pipe_run_started(run)
        raise ValueError("the observer's own fault")


# --- hearing ---


def test_an_observer_hears_the_arguments_that_it_asks_for(kernel: Kernel) -> None:
    listener = Listener()
    observers = kernel.observers([listener])
    observers.tell("pipe_run_started", run=RUN)
    observers.tell("pipe_entry_failed", run=RUN, failure=EntryFailure(7, "validate", []))
    observers.tell("pipe_run_finished", run=RUN, report=None)

    assert listener.heard == [":started 1", ":failed 7"]


def test_observers_are_told_in_the_order_in_which_they_were_named(kernel: Kernel) -> None:
    heard: list[str] = []
    observers = kernel.observers([Listener(name, heard) for name in "abc"])
    observers.tell("pipe_run_started", run=RUN)

    assert heard == ["a:started 1", "b:started 1", "c:started 1"]


def test_an_observer_may_ask_to_be_first_or_last(kernel: Kernel) -> None:
    class First(Listener):
        @hookimpl(tryfirst=True)
        def pipe_run_started(self, run: RunInfo) -> None:
            super().pipe_run_started(run)

    class Last(Listener):
        @hookimpl(trylast=True)
        def pipe_run_started(self, run: RunInfo) -> None:
            super().pipe_run_started(run)

    heard: list[str] = []
    kinds = {"last": Last, "a": Listener, "b": Listener, "first": First}
    kernel.observers([kind(name, heard) for name, kind in kinds.items()]).tell("pipe_run_started", run=RUN)

    assert [text.partition(":")[0] for text in heard] == ["first", "a", "b", "last"]


def test_what_an_observer_raises_is_logged_and_others_still_hear(
    kernel: Kernel, caplog: pytest.LogCaptureFixture
) -> None:
    before, failing, after = Listener("before"), Failing("failing"), Listener("after")
    observers = kernel.observers([before, failing, after])
    caplog.clear()
    observers.tell("pipe_run_started", run=RUN)

    assert [len(one.heard) for one in (before, failing, after)] == [1, 1, 1]
    [record] = caplog.records
    assert (record.name, record.levelno) == ("pipe_core", logging.ERROR)
    assert record.getMessage() == "run 1: an observer failed in pipe_run_started; the run goes on"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "the observer's own fault"


def test_an_observer_that_cannot_be_configured_is_logged_and_hears_the_run(
    kernel: Kernel, caplog: pytest.LogCaptureFixture
) -> None:
    failing, after = Failing("failing"), Listener("after")
    kernel.observers([failing, after]).tell("pipe_run_started", run=RUN)

    assert next(record.exc_info[1].args for record in caplog.records if record.exc_info) == ("configure",)  # type: ignore[union-attr]  # an error is logged with its exception
    assert [len(one.heard) for one in (failing, after)] == [1, 1]


def test_a_run_is_not_changed_by_what_its_observers_raise(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        """Raises at everything."""

    def broken(event: str) -> Callable[..., None]:
        names = list(vars(EventHooks)[event].__annotations__)[:-1]
        scope: dict[str, Any] = {}
        exec(f"def {event}(self, {', '.join(names)}): raise ValueError({event!r})", scope)
        return hookimpl(scope[event])

    for event in EVENTS:
        setattr(Broken, event, broken(event))
    plain, watched = [], []
    for sink, observers in ((plain, []), (watched, [Broken()])):
        Pipe([{"a": 1}, {"a": 2}], sink, observers=observers, executor="sync").run()

    assert plain == watched == [{"a": 1}, {"a": 2}]
    told = {str(record.exc_info[1]) for record in caplog.records if record.exc_info}
    assert {"pipe_configure", "pipe_run_started", "pipe_run_finished"} <= told


# --- who is refused ---


@pytest.mark.parametrize("kind", ["coroutine", "generator", "wrapper", "name", "argument"])
def test_an_observer_that_would_never_be_heard_right_is_refused_at_load(kernel: Kernel, kind: str) -> None:
    class Coroutine:
        @hookimpl
        async def pipe_run_started(self, run: RunInfo) -> None: ...

    class Generator:
        @hookimpl
        async def pipe_run_started(self, run: RunInfo) -> Any:
            yield

    class Wrapper:
        @hookimpl(wrapper=True)
        def pipe_run_started(self, run: RunInfo) -> Iterator[None]:
            return (yield)

    class Name:
        @hookimpl
        def pipe_run_begun(self, run: RunInfo) -> None: ...

    class Argument:
        @hookimpl
        def pipe_run_started(self, rnu: RunInfo) -> None: ...

    kinds: dict[str, tuple[type, str]] = {
        "coroutine": (Coroutine, "not awaited"),
        "generator": (Generator, "not awaited"),
        "wrapper": (Wrapper, "wrap"),
        "name": (Name, "no hook"),
        "argument": (Argument, "rnu"),
    }
    observer, reason = kinds[kind]
    with pytest.raises(PluginIncompatibleError, match=reason) as caught:
        kernel.observers([Listener(), observer()])

    assert "pipe_run_" in str(caught.value)
    assert observer.__name__ in str(caught.value)


def test_an_unknown_observer_is_refused(kernel: Kernel) -> None:
    with pytest.raises(PluginNotFoundError, match=r"No observer named 'progess'.*Did you mean 'progress'"):
        kernel.observers(["progess"])


# --- how they are named ---


@pytest.fixture
def bells(site: Site) -> Site:
    """A site with the observers ``bell`` and ``gong``, whose products say their names."""
    source = plugin("observer", "bell", "gong").replace("lambda options: (name, options)", "lambda options: Bell(name)")
    source += "\nclass Bell:\n    def __init__(self, name): self.name = name\n"
    site.install("pipe-bell", source, "bell", "gong", family="observers")
    return site


def names(kernel: Kernel, asked: list[Any] | str | None = None) -> list[str]:
    return [observer.name for observer in kernel.observers(asked).objects]  # type: ignore[attr-defined]  # a bell


def test_observers_are_named_by_argument(bells: Site, kernel: Kernel) -> None:
    assert names(kernel, ["gong", Listener("mine"), ("bell", {"size": 2})]) == ["gong", "mine", "bell"]
    assert names(kernel, "bell") == ["bell"]


def test_observers_are_named_by_a_block(bells: Site, kernel: Kernel) -> None:
    with using(observers=["bell", "gong"]):
        assert names(kernel) == ["bell", "gong"]
        with using(observers="gong, bell"):
            assert names(kernel) == ["gong", "bell"]
    assert names(kernel) == []


def test_observers_are_named_by_the_environment(bells: Site, tmp_path: Path) -> None:
    assert names(Kernel(environ={"PIPE_OBSERVERS": "bell, gong,"}, folder=tmp_path)) == ["bell", "gong"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pipe.toml", 'observers = ["bell", {name = "gong", size = 3}]'),
        ("pyproject.toml", '[tool.pipe]\nobservers = ["bell", "gong"]'),
    ],
)
def test_observers_are_named_by_a_file(bells: Site, tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)

    assert names(Kernel(environ={}, folder=tmp_path)) == ["bell", "gong"]


def test_an_empty_list_silences_those_of_the_settings(bells: Site, tmp_path: Path) -> None:
    kernel = Kernel(environ={"PIPE_OBSERVERS": "bell"}, folder=tmp_path)

    assert names(kernel, []) == []
    with using(observers=[]):
        assert names(kernel) == []


def test_python_shows_nothing_unless_asked(kernel: Kernel) -> None:
    assert kernel.observers().objects == ()


# --- nobody listens, nothing is called ---


def count_hook_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the kernel's hooks that are called from now on."""
    calls: list[str] = []
    real = pluggy.HookCaller.__call__

    def counted(self: pluggy.HookCaller, **facts: Any) -> Any:
        if self.name.startswith("pipe_"):  # pytest has hooks of its own
            calls.append(self.name)
        return real(self, **facts)

    monkeypatch.setattr(pluggy.HookCaller, "__call__", counted)
    return calls


def test_calls_of_hooks_are_counted(monkeypatch: pytest.MonkeyPatch, kernel: Kernel) -> None:
    calls = count_hook_calls(monkeypatch)
    kernel.choose("codecs", "msgpack")

    assert calls == ["pipe_codec"]


def test_without_a_listener_no_hook_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    Pipe([{"a": 0}], [], executor=get_executor_quietly()).run()  # plugins are asked when they are first selected
    calls = count_hook_calls(monkeypatch)
    monkeypatch.setattr("pipe_core.kernel.events.Observers.tell", lambda self, event, **facts: calls.append(event))
    sink: list[Any] = []
    Pipe([{"a": i} for i in range(500)], sink, executor=get_executor_quietly(), chunk_size=10).run()

    assert len(sink) == 500
    assert set(calls) <= {"pipe_configure", "pipe_run_started", "pipe_run_finished"}, "the task path called a hook"


def get_executor_quietly() -> Any:
    """An executor made without asking a plugin: asking is a hook call, and not one of the task path."""
    from pipe_core import SyncFifoExecutor

    return SyncFifoExecutor()


def test_only_what_somebody_hears_is_told(kernel: Kernel) -> None:
    observers = kernel.observers([Listener()])

    assert {event for event in EVENTS if observers.hears(event)} == {"pipe_run_started", "pipe_entry_failed"}
    assert not any(kernel.observers([]).hears(event) for event in EVENTS)


def test_a_finished_executor_runs_calls_without_any_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    with get_executor("sync") as executor:
        calls = count_hook_calls(monkeypatch)
        assert list(executor.map(abs, range(-100, 0))) == list(range(100, 0, -1))

    assert calls == []


# --- wrappers ---


class Tracing:
    """Decorates the factory of every executor, as a tracing plugin would."""

    def __init__(self) -> None:
        self.made: list[str] = []

    @hookimpl(wrapper=True)
    def pipe_executor(self, name: str) -> Iterator[None]:
        spec: ExecutorSpec | None = yield
        if spec is None:
            return spec

        def factory(options: Any) -> Any:
            self.made.append(name)
            return spec.factory(options)

        return ExecutorSpec(factory, spec.options, spec.summary, capabilities=spec.capabilities)


def test_an_observer_decorates_the_factory_of_an_executor(kernel: Kernel) -> None:
    tracing = Tracing()
    with using(kernel=kernel):
        observers = kernel.observers([tracing])
        with choose_executor("sync", default=None, observers=observers)[0] as executor:
            assert executor.submit(abs, -3).result() == 3
        assert tracing.made == ["sync"]
        with (
            choose_executor("sync", default=None)[0],
            choose_executor("sync", default=None, observers=kernel.observers())[0],
        ):
            pass

    assert tracing.made == ["sync"], "somebody else's executor was decorated too"


def test_a_run_s_observer_decorates_its_executor() -> None:
    tracing = Tracing()
    sink: list[Any] = []
    Pipe([{"a": 1}], sink, observers=[tracing], executor="sync").run()

    assert sink == [{"a": 1}]
    assert tracing.made == ["sync"]


def test_a_decorator_that_spoils_the_answer_is_told(kernel: Kernel) -> None:
    class Spoiling:
        @hookimpl(wrapper=True)
        def pipe_executor(self, name: str) -> Iterator[None]:
            yield
            return "no spec"

    with pytest.raises(PluginIncompatibleError, match=r"pipe_executor\(\) returned str, not ExecutorSpec"):
        kernel.choose("executors", "sync", observers=kernel.observers([Spoiling()]))
    assert kernel.choose("executors", "sync").entry.name == "sync", "the failure was remembered for everybody"


def test_an_observer_hears_the_settings(tmp_path: Path) -> None:
    class Configured:
        @hookimpl
        def pipe_configure(self, settings: dict[str, Any]) -> None:
            self.settings = settings

    configured = Configured()
    Kernel(environ={"PIPE_CHUNK_SIZE": "12"}, folder=tmp_path).observers([configured])

    assert configured.settings["chunk_size"] == 12
