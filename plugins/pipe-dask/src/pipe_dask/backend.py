"""Calls as tasks of a Dask cluster: bytes go there, bytes come back."""

from __future__ import annotations

import asyncio
import queue
import threading
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from functools import partial
from typing import TYPE_CHECKING

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from pipe_core import BackendLost, Call, Done, MissingResourcesError, OptionsError, Outcome, Take, WorkerKilled
from pipe_core.runtime import wire
from pipe_core.runtime.costs import Cost
from pipe_core.runtime.resources import missing, times
from pipe_core.runtime.submitting import SubmittingBackend
from pipe_dask import shelf, versions
from pipe_dask.address import checked
from pipe_dask.cluster import START, OwnCluster
from pipe_dask.connection import Connection, adopt, connect
from pipe_dask.costs import costs_of_workers
from pipe_dask.deaths import Deaths, OthersDeaths, OwnDeaths
from pipe_dask.worker import forget, run_beside

if TYPE_CHECKING:
    from pipe_dask.plugin import DaskOptions


class DaskBackend(SubmittingBackend):
    """Runs calls on a cluster of somebody else's, or on one of its own.

    Args:
        options: Of the plugin. With an address or a client the connection is made here, else `start` starts a cluster.
    """

    name = "dask"

    def __init__(self, options: DaskOptions) -> None:
        self._options = options
        self._cluster: OwnCluster | None = None
        self._is_own = options.address is None and options.client is None
        self._its_resources = options.worker_resources or {}
        self._there: Connection
        if options.client is not None and options.address is not None:
            raise OptionsError("Give 'dask' an address or a client, not both.")
        if options.worker_resources and not self._is_own:
            raise OptionsError(
                "worker_resources= is for a cluster that 'dask' starts itself. The workers of another one have what "
                "they were started with: dask worker --resources 'GPU=1' ..."
            )
        if options.client is not None:
            self._reach(self._connection(adopt(options.client)))
        elif options.address is not None:
            self._reach(self._connected(options.address))

    def _connected(self, address: str) -> Connection:
        options = self._options
        files = {"tls_ca_file": options.tls_ca, "tls_client_cert": options.tls_cert, "tls_client_key": options.tls_key}
        given = {name: path for name, path in files.items() if path is not None}
        place = checked(address, tls=bool(given), allow_insecure=options.allow_insecure)
        return self._connection(connect(place, given, options.timeout))

    def _connection(self, client: Client) -> Connection:
        timeout = self._options.timeout
        if self._cluster is not None:
            patience, further = max(timeout, START), self._cluster.further
            return Connection(client, ours=True, timeout=timeout, without_workers=patience, further=further)
        return Connection(client, ours=self._options.client is None, timeout=timeout, without_workers=timeout)

    def _reach(self, connection: Connection) -> None:
        try:
            connection.wait_for_workers()
            versions.check(connection)
        except BaseException:
            connection.close()
            raise
        self.slots = connection.threads
        self._there = connection

    def start(self, slots: int, take: Take, done: Done) -> None:
        """Start a cluster, unless there is one."""
        super().start(slots, partial(self._take_within, take), done)
        self._most = slots
        self._taken = 0
        self._taking = threading.Lock()
        self._out: dict[int, tuple[int, Call]] = {}  # handed over, and not known to have ended
        self._suspects: deque[tuple[int, Call]] = deque()
        self._suspect: Call | None = None  # the one that runs again
        self._shelf = f"pipe_shelf_{uuid.uuid4().hex}"
        self._shelved: set[str] = set()
        self._shelving = threading.Lock()
        self._ending = threading.Lock()
        self._ended = self._killed = False
        self._ends: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._teller = threading.Thread(target=self._tell, name="pipe-dask", daemon=True)
        self._deaths: Deaths = OthersDeaths()
        if self._is_own:
            self._start_cluster(slots)
        self._teller.start()

    def _start_cluster(self, slots: int) -> None:
        self._cluster = OwnCluster(slots, self._its_resources)
        self._deaths = OwnDeaths(self._cluster)
        try:
            self._reach(self._connected(self._cluster.address()))
        except BaseException:
            self._ended = True
            self._cluster.stop(kill=True)
            raise

    # --- the way of a call ---

    def _take_within(self, take: Take, slot: int) -> Call | None:
        """On a cluster with more threads than slots, calls that are held ready would run: so there none are."""
        with self._taking:
            if self._taken >= self._most < self._there.threads:
                return None
            call = take(slot)
            self._taken += call is not None
            return call

    def ended(self, slot: int, call: Call, outcome: Outcome | bytes) -> None:
        """The call has ended, and makes room for another one."""
        with self._taking:
            self._taken -= 1
        super().ended(slot, call, outcome)

    def submit(self, slot: int, call: Call) -> None:
        """Hand the call's bytes over to the cluster."""
        if call.resources is not None and self._is_own and not times(self._its_resources, call.resources):
            text = missing(call.resources, "dask", [self._its_resources])  # and no other worker will ever come
            raise MissingResourcesError(text, resources=call.resources, executor="dask")
        future = self._there.send(call.id, call.frame(), call.resources)
        self._out[call.id] = slot, call
        try:
            self._there.spawn(self._follow(slot, call, future))
        except BackendLost:
            self._out.pop(call.id, None)
            raise

    async def _follow(self, slot: int, call: Call, future: Future[bytes]) -> None:
        """In the client's event loop: wait for the end of a call."""
        ended: Outcome | bytes | None
        try:
            ended = await self._end(call, future)
        except (asyncio.CancelledError, CancelledError) as error:
            ended = self._without_answer(call, str(error))
        except Exception as error:  # Dask's own: what the call raises is in its answer
            ended = Outcome(error=error)
        self._ends.put(partial(self._ended_there, slot, call, ended))

    async def _end(self, call: Call, future: Future[bytes]) -> Outcome | bytes | None:
        try:
            coming = self._there.results.of(call.id, future)
            if call.resources is None:
                answer = await coming
            else:
                answer = await self._there.resources.while_there_are(call.resources, coming)
        except KilledWorker as killed:
            return await self._deaths.judge(call, killed)
        return answer

    def _without_answer(self, call: Call, why: str) -> Outcome:
        if not self._killed:
            return Outcome(error=self._there.gone(why or "its scheduler is gone"))
        if self._cluster is not None and call.id in self._cluster.running():
            return Outcome(error=WorkerKilled("The executor 'dask' was terminated while it ran the call."))
        return Outcome(unstarted=True)

    # --- in a thread of its own: what follows the end of a call is the business of others, and may take long ---

    def _tell(self) -> None:
        while (ended := self._ends.get()) is not None:
            ended()

    def _ended_there(self, slot: int, call: Call, ended: Outcome | bytes | None) -> None:
        if call.id not in self._out:
            return  # told before
        if call is self._suspect:
            self._suspect = None
        if ended is None:
            self._suspects.append((slot, call))
            self._run_suspect()
            return
        del self._out[call.id]
        self._run_suspect()
        self.ended(slot, call, ended)

    def _run_suspect(self) -> None:
        """Run the next call again that died together with others. It is the only one of them on the cluster."""
        while self._suspect is None and self._suspects:
            slot, self._suspect = self._suspects.popleft()
            call = self._suspect
            try:
                self.submit(slot, call)
            except BaseException as error:  # told to the one who waits for the call
                self._suspect = None
                self._out.pop(call.id, None)
                self.ended(slot, call, Outcome(error=error))

    # --- the workers ---

    def everywhere(self, frame: bytes) -> list[bytes]:
        """Run *frame* on every worker, behind the call that it runs and before those that it holds ready."""
        answers = self._there.ask(lambda client: client.run(run_beside, frame, on_error="return"))
        return [answer for answer in answers.values() if isinstance(answer, bytes)]  # the others died of it

    def broadcast(self, frame: bytes) -> None:
        """Run *frame* in the event loop of every worker, while its threads run their calls."""
        self._there.tell(lambda client: client.run(wire.run_frame, frame, on_error="ignore"))

    def costs(self) -> list[Cost]:
        """What each worker costs, as its event loop says beside its calls. One that says nothing is left out."""
        return self._there.ask(costs_of_workers)

    def resources(self) -> list[dict[str, float]]:
        """What each worker has, by the names and numbers that it was started with."""
        there = self._there.resources
        return self._there.ask(lambda client: there.now())

    def put(self, digest: str, data: bytes) -> Callable[[str], bytes]:
        """Let the scheduler keep *data*: no worker's death matters to it."""
        with self._shelving:
            if not self._shelved:
                made = shelf.make(self._shelf, self._there.client_id)
                self._there.ask(lambda client: client.register_plugin(made, name=self._shelf))
            if digest not in self._shelved:
                self._there.ask(lambda client: client.run_on_scheduler(shelf.keeping(self._shelf, digest, data)))
                self._shelved.add(digest)
        return partial(shelf.pull, self._shelf)

    # --- the end ---

    def stop(self, kill: bool = False) -> None:
        """Leave the cluster as it was, or end the one that was started."""
        with self._ending:
            if not self._ended:
                self._ended, self._killed = True, kill
                self._leave(kill)
                self._ends.put(None)
        if not kill and self._teller.is_alive() and threading.current_thread() is not self._teller:
            self._teller.join()

    def _leave(self, kill: bool) -> None:
        if self._cluster is None:
            self._clear()
        elif kill:
            self._cluster.kill()
        self._there.close()
        for slot, call in list(self._out.values()):  # nobody follows them any more, if anybody did
            self._ends.put(partial(self._ended_there, slot, call, self._without_answer(call, "it was closed")))
        if self._cluster is not None:
            self._cluster.stop(kill)

    def _clear(self) -> None:
        """Take away what the scheduler and the workers keep for us."""
        if not self._shelved:
            return
        digests = list(self._shelved)
        try:
            self._there.ask(lambda client: client.run_on_scheduler(shelf.clearing(self._shelf)))
            self._there.ask(lambda client: client.run(forget, digests, on_error="ignore"))
        except BackendLost:
            pass  # and with it what it kept
