"""Calls on the slots of a Ray cluster: bytes go to the host, bytes come back."""

from __future__ import annotations

import copy
import itertools
import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipe_core import (
    BackendLost,
    Call,
    CodecError,
    Done,
    MissingResourcesError,
    OptionsError,
    Outcome,
    PipeError,
    Take,
    VersionMismatchError,
    WorkerKilled,
)
from pipe_core.runtime.cores import cores
from pipe_core.runtime.costs import Cost
from pipe_core.runtime.handshake import compare
from pipe_core.runtime.resources import in_words, missing
from pipe_core.runtime.submitting import SubmittingBackend
from pipe_ray.address import checked, connected
from pipe_ray.link import DISTRIBUTIONS, Link
from pipe_ray.messages import (
    ANSWER,
    CALL,
    COSTS,
    DOWN,
    FAILED,
    KILL,
    KILLED,
    MISSING,
    NEED,
    PUT,
    READY,
    REFUSED,
    RESOURCES,
    START,
    STOP,
    UNSTARTED,
    UP,
    with_needs,
    with_slot,
)
from pipe_ray.worker import pull

if TYPE_CHECKING:
    from pipe_ray.plugin import RayOptions

_AWAY: Final = 1_000_000
"""What a slot without a worker seems to have in hand: it gets calls when no other slot is there."""
_GATHER: Final = 5.0
"""Seconds that the first worker waits for the others at the start. A busy cluster gives them later, or never."""
_LOOKS: Final = 10.0
"""Seconds that the host has to say what the workers cost."""
_PATIENCE: Final = 20.0
"""Seconds that the host has to end in order."""

Ended = Callable[["Outcome | bytes"], None]


@dataclass(slots=True, eq=False)
class _Pending:
    """A call that the host has. `slot` is None for what is no call."""

    slot: int | None
    then: Ended


class RayBackend(SubmittingBackend):
    """Runs calls on a cluster of somebody else's, or on one of its own.

    Args:
        options: Of the plugin. With an address the connection is made here, else `start` starts a cluster.
    """

    name = "ray"

    def __init__(self, options: RayOptions) -> None:
        self._options = options
        self._link: Link | None = None
        self.slots = cores()
        address = options.address
        if address is not None:
            address = checked(address, allow_insecure=options.allow_insecure)
        if address in (None, "auto"):
            address = connected() or address
        if options.resources is not None:
            _check_own(options.resources, address)
        if address is not None:
            self._link, self.slots = self._connect(address, 0)

    def _connect(self, address: str | None, slots: int) -> tuple[Link, int]:
        options = self._options
        link = Link(address, slots=slots, namespace=options.namespace, resources=options.resources)
        try:
            return link, max(1, link.wait_for(READY, self._options.timeout))
        except BaseException:
            link.kill()
            link.end(0)
            raise

    def start(self, slots: int, take: Take, done: Done) -> None:
        """Start a cluster, unless there is one, and the workers."""
        super().start(slots, take, done)
        link = self._link = self._link or self._connect(None, slots)[0]
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}  # in the order in which they were handed over
        self._changed = threading.Condition(self._lock)
        self._hands = [_AWAY] * slots
        self._workers: dict[str, dict[str, str]] = {}  # by name, the versions
        self._lost: PipeError | None = None
        self._mismatch: VersionMismatchError | None = None
        self._gathered = False
        self._stopping = self._killed = False
        link.line.send(START, slots)
        self._listener = threading.Thread(target=self._listen, args=(link,), name="pipe-ray", daemon=True)
        self._listener.start()
        try:
            self._gather(slots)
        except BaseException:
            self.stop(kill=True)
            self._listener.join(_PATIENCE)
            raise

    def _gather(self, slots: int) -> None:
        """Wait for the workers, and make sure that they run what runs here."""
        deadline = time.monotonic() + self._options.timeout
        with self._changed:
            while self._lost is None and len(self._workers) < slots:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                first = not self._workers
                self._changed.wait(left)
                if first and self._workers:
                    deadline = min(deadline, time.monotonic() + _GATHER)
            workers = dict(self._workers)
            if self._lost is not None:
                raise copy.copy(self._lost)
        if not workers:
            raise BackendLost(
                f"No worker of 'ray' came up in {self._options.timeout:g} seconds. Each needs one CPU of the cluster; "
                "are all of them in use (`ray status`)?"
            )
        compare("ray", workers, DISTRIBUTIONS)
        self._gathered = True

    # --- the way of a call ---

    def submit(self, slot: int, call: Call) -> None:
        """Hand the call's bytes over to the host."""
        kind, body = CALL, call.frame()
        if call.resources is None:
            body = with_slot(slot, body)
        else:
            kind, body = NEED, with_needs(slot, call.resources, body)
        self._ask(kind, slot, body, lambda ended: self.ended(slot, call, ended))

    def _ask(self, kind: bytes, slot: int | None, body: bytes, then: Ended) -> None:
        with self._lock:
            if self._lost is not None:
                raise copy.copy(self._lost)
            number = next(self._numbers)
            self._pending[number] = _Pending(slot, then)
        self._tell(kind, number, body)

    def _tell(self, kind: bytes, number: int = 0, body: bytes = b"") -> None:
        try:
            self._there.line.send(kind, number, body)
        except OSError:
            pass  # the host is gone, and whoever listens tells all that is pending

    @property
    def _there(self) -> Link:
        assert self._link is not None  # since `start`
        return self._link

    # --- in a thread of its own: what the host says ---

    def _listen(self, link: Link) -> None:
        failure: bytes | None = None
        try:
            while True:
                kind, number, body = link.line.receive()
                if kind == FAILED:
                    failure = body
                    break
                self._hear(kind, number, body)
        except (EOFError, OSError):
            pass
        self._lose(link, failure)
        if not self._stopping:
            link.kill()  # what it may have left behind
        link.end(_PATIENCE)

    def _hear(self, kind: bytes, number: int, body: bytes) -> None:
        if kind == UP:
            self._up(number, json.loads(body))
        elif kind == DOWN:
            with self._lock:
                self._hands[number] += _AWAY
        else:
            with self._lock:
                pending = self._pending.pop(number)
            pending.then(_outcome(kind, body))

    def _up(self, slot: int, facts: dict[str, Any]) -> None:
        if self._gathered:
            try:
                compare("ray", {facts["name"]: facts["versions"]}, DISTRIBUTIONS)
            except VersionMismatchError as error:
                self._mismatch = error
                self._there.kill()  # and all that is pending is told
                return
        with self._changed:
            if slot >= len(self._hands):
                return  # it has something that calls need, and runs no others
            self._workers[facts["name"]] = facts["versions"]
            self._hands[slot] -= _AWAY
            self._changed.notify_all()
        self.wake()

    def _lose(self, link: Link, failure: bytes | None) -> None:
        """The host is gone. Tell everybody who waits."""
        with self._changed:
            self._lost = self._mismatch or (link.loss if self._gathered else link.failure)(failure)
            pending, self._pending = list(self._pending.values()), {}
            self._changed.notify_all()
        at_work: set[int] = set()
        for one in pending:
            outcome = Outcome(error=copy.copy(self._lost))  # each its own: they get tracebacks and notes
            if self._killed and one.slot is not None:
                outcome = Outcome(unstarted=True)
                if one.slot not in at_work:
                    outcome = Outcome(error=WorkerKilled("The executor 'ray' was terminated while it ran the call."))
                at_work.add(one.slot)
            one.then(outcome)

    # --- the workers ---

    def kill(self, slot: int) -> None:
        """End the worker of *slot*; another one takes its place."""
        with self._lock:
            number = next((number for number, one in self._pending.items() if one.slot == slot), None)
        if number is not None:
            self._tell(KILL, number, with_slot(slot, b""))

    def everywhere(self, frame: bytes) -> list[bytes]:
        """Run *frame* on every worker, behind what it has in hand."""
        answers: queue.SimpleQueue[Outcome | bytes] = queue.SimpleQueue()
        with self._lock:
            slots = [slot for slot, hand in enumerate(self._hands) if hand < _AWAY]
        for slot in slots:
            self._ask(CALL, slot, with_slot(slot, frame), answers.put)
        found = [answers.get() for _ in slots]
        return [answer for answer in found if isinstance(answer, bytes)]  # the others died of it, or before

    def costs(self) -> list[Cost]:
        """What each worker costs, as others of its machine say. Those that nobody has said anything of are left out."""
        answers: queue.SimpleQueue[Outcome | bytes] = queue.SimpleQueue()
        self._ask(COSTS, None, b"", answers.put)
        try:
            answer = answers.get(timeout=_LOOKS)
        except queue.Empty:  # the host has its hands full
            return []
        if isinstance(answer, Outcome):
            raise answer.error or BackendLost("Nobody says what the workers of 'ray' cost.")
        return [Cost(**one) for one in json.loads(answer)]

    def resources(self) -> list[dict[str, float]]:
        """What each machine of the cluster has beside the CPUs that its workers for other calls take."""
        answers: queue.SimpleQueue[Outcome | bytes] = queue.SimpleQueue()
        self._ask(RESOURCES, None, b"", answers.put)
        answer = answers.get()
        if isinstance(answer, Outcome):
            raise answer.error or BackendLost("Nobody says what the machines of 'ray' have.")
        found: list[dict[str, float]] = json.loads(answer)
        return found

    def put(self, digest: str, data: bytes) -> Callable[[str], bytes]:
        """Keep *data* in Ray's object store, as long as the executor is there."""
        answers: queue.SimpleQueue[Outcome | bytes] = queue.SimpleQueue()
        self._ask(PUT, None, digest.encode() + b" " + data, answers.put)
        answer = answers.get()
        if isinstance(answer, Outcome) and answer.error is not None:
            raise answer.error
        return pull

    # --- the end ---

    def stop(self, kill: bool = False) -> None:
        """Leave the cluster as it was, or end the one that was started."""
        link = self._link
        if link is None:
            return
        with self._lock:
            first, self._stopping = not self._stopping, True
            self._killed = self._killed or kill
        if kill:
            link.kill()
            return
        if first:
            self._tell(STOP)
        if threading.current_thread() is not self._listener:
            self._listener.join(_PATIENCE)
            if self._listener.is_alive():
                link.kill()
                self._listener.join()


def _check_own(resources: Mapping[str, float], address: str | None) -> None:
    """Make sure that a Ray of this machine will be started, and can have *resources*.

    Raises:
        OptionsError: It will not, or cannot.
    """
    if address is not None:
        raise OptionsError(
            "resources= is for a Ray that 'ray' starts itself. The machines of another one have what they were started "
            "with: ray start --num-gpus=1 --resources='{\"licence\": 2}' ..."
        )
    if "CPU" in resources:
        raise OptionsError("How many CPUs a Ray of this machine has is what max_workers says, not resources=.")


def _outcome(kind: bytes, body: bytes) -> Outcome | bytes:
    if kind == ANSWER:
        return body
    if kind == UNSTARTED:
        return Outcome(unstarted=True)
    if kind == KILLED:
        facts = json.loads(body)
        return Outcome(error=WorkerKilled(facts["message"], at=facts["at"], hook=facts["hook"]))
    if kind == MISSING:
        facts = json.loads(body)
        if "why" in facts:
            return Outcome(error=OptionsError(f"Ray counts no {in_words(facts['resources'])}: {facts['why']}"))
        text = missing(facts["resources"], "ray", facts["machines"])
        return Outcome(error=MissingResourcesError(text, resources=facts["resources"], executor="ray"))
    assert kind == REFUSED
    return Outcome(error=CodecError(f"Ray could not bring a value: {body.decode()}"))
