"""The way to a cluster: a client, its event loop, and a watch that notices when the cluster is gone.

Whatever waits for the cluster waits in a task of the client's event loop. When the cluster is lost all of these tasks
are cancelled, so that nobody waits for ever.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import time
import uuid
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

import dask.config
from distributed import Client, Future
from distributed.security import Security

from pipe_core import BackendLost, OptionsError
from pipe_dask.meeting import meet
from pipe_dask.resources import WorkersResources
from pipe_dask.results import Results
from pipe_dask.worker import run

T = TypeVar("T")

_ENCRYPTED: Final = ("tls://", "wss://")
_OFTEN: Final = 1.0
"""Seconds between two questions whether the scheduler is there."""
_CLOSE: Final = 5.0
"""Seconds that closing a client may take."""
_LOGGERS: Final = ("distributed.client", "distributed.batched")
"""Where Dask's client logs."""
_EXPECTED: Final = ("Failed to reconnect to scheduler", "Couldn't gather", "Batched Comm Closed")
"""How messages of it begin about what we tell or mend."""
_FURTHER: Final = (
    "The logs of its scheduler and its workers may say why. Start it again, or name another executor, and run again."
)
"""What to do about a lost cluster of somebody else's."""


class Connection:
    """A client of a cluster, and a watch over the cluster.

    Args:
        client: A `distributed.Client`. Its event loop runs in another thread, and there its methods give awaitables,
            which its annotations do not say.
        ours: Whether it is closed at the end.
        timeout: Seconds of silence after which the scheduler counts as lost.
        without_workers: Seconds that the cluster may be without any worker.
        further: What is known of a lost cluster beside that it is lost, and what to do.
    """

    def __init__(
        self,
        client: Any,
        *,
        ours: bool,
        timeout: float,
        without_workers: float,
        further: Callable[[], str] = lambda: _FURTHER,
    ) -> None:
        self.lost: BackendLost | None = None
        self.threads = 0  # of all workers, as they were a moment ago
        self.results = Results(client)
        self.resources = WorkersResources(client, without_workers)
        self._client = client
        self._ours = ours
        self._timeout = timeout
        self._without_workers = without_workers
        self._further = further
        self._loop: asyncio.AbstractEventLoop = self._client.loop.asyncio_loop
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._name = f"pipe_call-{uuid.uuid4().hex}"
        self._sent = 0
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._is_news)
        self.spawn(self._watch())

    @property
    def client_id(self) -> str:
        """What the scheduler calls the client."""
        return str(self._client.id)

    # --- calls ---

    def send(self, number: int, frame: bytes, resources: Mapping[str, float] | None = None) -> Future[bytes]:
        """Hand a call over, for a worker that has *resources*. Raises `BackendLost` when the cluster is gone."""
        self.check()
        self._sent += 1
        key = f"{self._name}-{number}-{self._sent}"
        try:
            if len(frame) < _large():
                return self._submit(key, number, frame, resources)
            with warnings.catch_warnings():  # it is one chunk of records, which somebody wanted that large
                warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
                return self._submit(key, number, frame, resources)
        except (OSError, RuntimeError) as error:
            raise self.gone(f"a call could not be handed over: {error}") from error

    def _submit(self, key: str, number: int, frame: bytes, resources: Mapping[str, float] | None) -> Future[bytes]:
        needs = {} if resources is None else {"resources": dict(resources)}
        future: Future[bytes] = self._client.submit(
            run, number, frame, self.results.topic, pure=False, key=key, **needs
        )
        return future

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run *coroutine* in the client's event loop until it ends or the cluster is lost."""
        try:
            if self._closing:
                raise RuntimeError
            self._loop.call_soon_threadsafe(self._spawn, coroutine)
        except RuntimeError:  # nobody runs the loop any more
            coroutine.close()
            raise self.gone("the client is closed") from None

    def _spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.lost is not None or self._closing:
            self._loop.call_soon(task.cancel)

    # --- questions ---

    def ask(self, question: Callable[[Any], Awaitable[T]]) -> T:
        """The answer to ``await question(client)``. Raises `BackendLost` when the cluster is gone."""
        self.check()
        answer: concurrent.futures.Future[T] = concurrent.futures.Future()
        self.spawn(self._ask(question, answer))
        try:
            return answer.result()
        except concurrent.futures.CancelledError:
            raise self.gone("it was closed") from None
        except (OSError, TimeoutError) as error:
            raise self.gone(f"it gave no answer: {type(error).__name__}: {error}") from error

    def tell(self, question: Callable[[Any], Awaitable[Any]]) -> None:
        """As `ask`, for a question whose answer nobody waits for."""
        self.spawn(self._ask(question, concurrent.futures.Future()))

    async def _ask(self, question: Callable[[Any], Awaitable[T]], answer: concurrent.futures.Future[T]) -> None:
        try:
            answer.set_result(await question(self._client))
        except asyncio.CancelledError:
            answer.cancel()
        except Exception as error:
            answer.set_exception(error)

    def wait_for_workers(self) -> None:
        """Return when there is one, and with it `threads`. Raises `BackendLost` when none comes."""
        self.ask(lambda client: client.wait_for_workers(1, timeout=self._without_workers))
        workers: dict[str, int] = self.ask(lambda client: client.scheduler.ncores())
        self.threads = sum(workers.values())

    # --- the end ---

    async def _watch(self) -> None:
        """Ask the scheduler again and again which workers it has."""
        seen = time.monotonic()
        try:
            while True:
                async with asyncio.timeout(self._timeout):
                    workers = await self._client.scheduler.ncores()
                self.threads = sum(workers.values())
                if workers:
                    seen = time.monotonic()
                elif time.monotonic() > seen + self._without_workers:
                    self.gone(f"it has had no worker for {self._without_workers:g} seconds")
                    return
                await asyncio.sleep(_OFTEN)
        except TimeoutError:
            self.gone(f"its scheduler has not answered for {self._timeout:g} seconds")
        except Exception as error:  # also what is no message of Dask's, when something else has got the port meanwhile
            self.gone(f"its scheduler does not answer: {type(error).__name__}: {error}")

    def gone(self, why: str) -> BackendLost:
        """The cluster is lost: let nobody wait for it. Returns the error for one who did."""
        if self.lost is None:
            further = "" if self._closing else f" {self._further()}"
            self.lost = BackendLost(f"The Dask cluster at {_place(self._client)} is lost: {why}.{further}")
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._cancel)
        return BackendLost(str(self.lost))

    def _is_news(self, record: logging.LogRecord) -> bool:
        """Whether what Dask's client logs is something that we neither mend nor tell."""
        if str(record.msg).startswith(_EXPECTED):
            return False
        kind = record.exc_info[0] if record.exc_info else None
        given_up = self.lost is not None or self._closing
        return not (given_up and kind is not None and issubclass(kind, asyncio.CancelledError | OSError))

    def check(self) -> None:
        """Raises `BackendLost` when the cluster is lost."""
        if self.lost is not None:
            raise BackendLost(str(self.lost))

    def _cancel(self) -> None:
        for task in self._tasks:
            self._loop.call_soon(task.cancel)  # not before it has begun: what it does at its end matters

    async def _cancelled(self) -> None:
        self._cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def close(self) -> None:
        """End what waits, and close the client if it is ours."""
        self._closing = True
        if not self._loop.is_closed():
            try:
                asyncio.run_coroutine_threadsafe(self._cancelled(), self._loop).result(_CLOSE)
                self.results.close()
                if self._ours:
                    self._client.close(timeout=_CLOSE)
            except Exception:  # the scheduler hangs, or the client has broken; its own threads end with this process
                logging.getLogger("pipe_core").warning("a Dask client could not be closed in order")
                if self._ours:
                    self._client.status = "closed"  # or it tries again, and fails, when it is collected
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._is_news)


def connect(address: str, files: Mapping[str, str], timeout: float) -> Client:
    """A client of the scheduler at *address*, which is no one's default client.

    Args:
        address: As Dask wants it.
        files: The certificates and the key for TLS, as `distributed.Security` takes them. Empty for none.
        timeout: Seconds until somebody must have answered.

    Raises:
        BackendLost: Nobody answers there.
        OptionsError: There is no certificate, or none that will do.
    """
    make: Any = Client
    security = _secured(files, address)
    meet(address, security.get_connection_args("client"), timeout)
    try:
        client: Client = make(address, security=security, timeout=timeout, set_as_default=False, name="pipe")
        return client
    except Exception as error:  # for example ImportError, for versions that cannot talk
        raise BackendLost(
            f"No Dask scheduler answers at {address}: {type(error).__name__}: {error}. Is it running, and in the "
            "version of Dask that is here?"
        ) from error


def _secured(files: Mapping[str, str], address: str) -> Any:
    make: Any = Security
    try:
        security = make(**files, require_encryption=True) if files else make()  # else as Dask's own settings say
        found = security.get_connection_args("client")["ssl_context"]
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise OptionsError(f"The certificates for {address} cannot be used: {error}.") from error
    if found is None and address.startswith(_ENCRYPTED):
        raise OptionsError(f"{address} wants certificates: give tls_ca, tls_cert and tls_key.")
    return security


def adopt(client: Any) -> Client:
    """A client that somebody gave, if it will do.

    Raises:
        OptionsError: It is none, or one whose event loop is the caller's own.
    """
    if not isinstance(client, Client):
        raise OptionsError(f"client= wants a distributed.Client, not {client!r}.")
    if client.asynchronous or client.loop is None:
        raise OptionsError("client= wants a distributed.Client that is not asynchronous and is open.")
    return client


def _place(client: Any) -> str:
    return str(client._start_arg or "an unknown address")


def _large() -> int:
    from dask.utils import parse_bytes

    limit: int = parse_bytes(dask.config.get("distributed.admin.large-graph-warning-threshold"))
    return limit // 2
