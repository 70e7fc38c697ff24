"""What pipe asks: the options and capabilities of ``hello``. Imports nothing that is heavy."""

from pydantic import BaseModel, Field

from pipe_core import Backend, Capabilities, ExecutorSpec, hookimpl


class HelloOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of ``hello``.

    Attributes:
        max_workers: How many threads. Default: one a core.
    """

    max_workers: int | None = Field(default=None, ge=1)


def start(options: HelloOptions) -> Backend:
    """Import what the executor needs, here and not at the top."""
    from pipe_hello.backend import HelloBackend

    return HelloBackend()


@hookimpl
def pipe_executor(name: str) -> ExecutorSpec | None:
    """Describe ``hello``."""
    if name != "hello":
        return None
    return ExecutorSpec(start, HelloOptions, "a thread a slot", capabilities=Capabilities(isolation="thread"))
