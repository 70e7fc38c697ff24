"""The public names as a user's type checker sees them. Checked by pyright in strict mode (`tox -e type`); never run."""

from concurrent.futures import Future
from typing import assert_type

from pydantic import BaseModel

from pipe_core import (
    Backend,
    Capabilities,
    Codec,
    Executor,
    FlowReport,
    Pipe,
    PipeError,
    Project,
    RunFailedError,
    Runner,
    Scheduler,
    get_codec,
    get_executor,
    get_scheduler,
    using,
)


class Person(BaseModel):
    name: str
    age: int


def double(number: int) -> int:
    return 2 * number


def records() -> None:
    people: list[dict[str, object]] = [{"name": "Ada", "age": "36"}]
    report = Pipe(people, [], schema=Person, errors=[], executor="sync").run()
    assert_type(report, FlowReport)
    assert_type(report.valid, int)
    assert_type(report.failed, int)


def projects() -> None:
    project = Project.load(".", "test", overrides={"nodes.total.retries": 3})
    with Runner(project, "threads", max_workers=2) as runner:
        try:
            result = runner.run("daily", start_date="2025-01-01", end_date="2025-01-31")
            assert_type(result.statuses, dict[str, str])
        except RunFailedError as error:
            assert_type(error.node, str)


def executors() -> None:
    with using(executor="sync"), get_executor() as executor:
        assert_type(executor, Executor)
        assert_type(executor.capabilities, Capabilities)
        assert_type(executor.submit(double, 21), Future[int])
        assert_type(list(executor.map(double, [1, 2])), list[int])


def plugins() -> None:
    assert_type(get_codec("msgpack"), Codec)
    assert_type(get_scheduler("fifo"), Scheduler)


class Silent(Backend):
    """A backend that runs nothing. What it has no capability for (`kill`, `put`) it leaves out."""

    def start(self, slots: int, take: object, done: object) -> None:
        pass

    def wake(self) -> None:
        pass

    def stop(self, kill: bool = False) -> None:
        pass


def accept(backend: Backend) -> None:
    print(backend)


def contracts() -> None:
    accept(Silent())
    assert issubclass(PipeError, Exception)
