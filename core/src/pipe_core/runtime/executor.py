"""The one executor: a true `concurrent.futures.Executor` over any backend.

Futures, cancelling, the queue, prefetch, the ledger and shutdown are written once, here. A backend only pulls: `_take`
gives a slot its next call, `_done` hears how the call ended. Which slot holds which calls is always known.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import itertools
import math
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from threading import get_ident
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar

from pipe_core.kernel.contracts import Backend, Outcome, Scheduler
from pipe_core.kernel.specs import Capabilities
from pipe_core.runtime import wire
from pipe_core.runtime.alarm import Alarm
from pipe_core.runtime.all_workers import AllWorkers
from pipe_core.runtime.cores import cores
from pipe_core.runtime.dispatcher import Dispatcher
from pipe_core.runtime.giving_up import GivingUp
from pipe_core.runtime.held_ready import HeldReady
from pipe_core.runtime.ledger import Ledger, TaskStatus
from pipe_core.runtime.resources import NeedingTask, needed
from pipe_core.runtime.share import Shared
from pipe_core.runtime.task import Attempt, Task, no_function
from pipe_core.runtime.yielding_lock import YieldingLock

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from pipe_core.runtime.costs import Cost

P = ParamSpec("P")
T = TypeVar("T")

_MANY: Final = 1_000
"""So many futures may have told everybody before they are counted, which takes the lock."""

AFTER_SHUTDOWN: Final = "cannot schedule new futures after shutdown: this executor was shut down; make another one."
"""The first part is what the standard library says."""


class Executor(concurrent.futures.Executor):
    """Runs calls on a backend.

    Args:
        backend: Where calls run.
        slots: How many run at once; default: the backend's ``slots`` if it says, else one a core.
        scheduler: Which waiting call goes next; default: the order of submission.
        capabilities: What the backend can do.
        name: What users type, for messages and reports.
        prefetch: How many calls a busy slot may hold ready. They can neither be cancelled nor overtaken any more; with
            0, the default, every call is chosen when a slot is free for it.
        defaults: What pipes that run on it take for settings that they do not say themselves.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        slots: int | None = None,
        scheduler: Scheduler | None = None,
        capabilities: Capabilities | None = None,
        name: str = "",
        prefetch: int | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        if scheduler is None:
            from pipe_core.kernel.access import get_scheduler

            scheduler = get_scheduler()
        self.name = name or type(backend).__name__
        self.capabilities = capabilities or Capabilities()
        self.prefetch = prefetch or 0
        self.defaults = dict(defaults or {})
        self._backend = backend
        self._slots = slots or getattr(backend, "slots", None) or cores()
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()  # re-entrant: a backend may end a call while it takes another one
        self._worker_lock = YieldingLock(self._lock)  # the same, for threads that no signal reaches
        self._main_thread = threading.main_thread().ident
        self._asleep: list[threading.Lock] = []  # a gate for each thread that sleeps in `_take`
        self._idle = threading.Condition(self._lock)  # shut down, and nothing is open any more
        self._alarm = Alarm(self._wake)
        ready = math.inf if getattr(backend, "inline", False) else self.prefetch
        self._dispatcher = self._make_dispatcher(scheduler, ready)
        self._hands = self._dispatcher.hands
        self._held_ready = HeldReady(self._dispatcher, prefetch)
        self._giving_up = GivingUp(backend, self.capabilities, self._dispatcher, self._alarm)
        self._workers = AllWorkers(backend, self.capabilities, self._submit_to_each)
        self._ended = 0  # tasks, whose futures tell everybody; once for each of them there is something in `_told`
        self._told: list[None] = []
        self._closed = False
        self._stopped = False
        self._at_exit = partial(_shut_down, weakref.ref(self))
        backend.start(self._slots, self._take, self._done)
        atexit.register(self._at_exit)  # behind what the backend's modules registered, and so called before

    def _make_dispatcher(self, scheduler: Scheduler, ready: float) -> Dispatcher[Task]:
        """What decides. For subclasses that decide more."""
        return Dispatcher(scheduler, self._slots, ready=ready)

    @property
    def ledger(self) -> Ledger:
        """Counts of its tasks by status."""
        return self._dispatcher.ledger

    @property
    def slots(self) -> int:
        """How many calls can run at once."""
        return self._slots

    @property
    def max_workers(self) -> int:
        """The same as `slots`, under the name that `concurrent.futures` uses."""
        return self._slots

    @property
    def loop(self) -> AbstractEventLoop | None:
        """The running event loop that the executor was given, where it takes one."""
        loop: AbstractEventLoop | None = getattr(self._backend, "loop", None)
        return loop

    def coroutine_loop(self) -> AbstractEventLoop:
        """The loop on which coroutine functions run, its own or the one that it was given. The first use starts it.

        Raises:
            UnsupportedCapabilityError: It has none: it does not claim ``native_async``.
        """
        return self._backend.coroutine_loop()

    def __repr__(self) -> str:
        state = "shut down" if self._closed else "open"
        waiting, running = (self.ledger.count(s) for s in (TaskStatus.PENDING, TaskStatus.PROCESSING))
        return f"<Executor {self.name}: {self._slots} slots, {waiting} waiting, {running} running, {state}>"

    # --- what users call ---

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``fn(*args, **kwargs)`` when a slot is free; the future has its result.

        Raises:
            RuntimeError: The executor was shut down.
            TypeError: *fn* cannot be called.
        """
        if not callable(fn):
            raise no_function(fn)
        task = Task(next(self._numbers), fn, args, kwargs)
        with self._lock:
            if self._closed:
                raise RuntimeError(AFTER_SHUTDOWN)
            self._dispatcher.add(task, monotonic())
            sleeper = self._asleep.pop() if self._asleep else None
        if sleeper is None:
            self._backend.wake()
        else:
            sleeper.release()
        return task.future

    def submit_needing(
        self, resources: Mapping[str, float], fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """As `submit`, for a call that runs only on a worker that has *resources*, which are its own while it runs.

        Args:
            resources: How much it needs of what, as the system counts it: ``{"GPU": 1}``.
            fn: The function.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Raises:
            UnsupportedCapabilityError: This executor knows no resources; names the installed ones that do.
            OptionsError: *resources* are none.
            RuntimeError: The executor was shut down.

        Where no worker has them, or none has them any more, the future has `MissingResourcesError`.
        """
        if not callable(fn):
            raise no_function(fn)
        task = NeedingTask(next(self._numbers), fn, args, kwargs)
        task.resources = needed(resources, self)
        with self._lock:
            if self._closed:
                raise RuntimeError(AFTER_SHUTDOWN)
            self._dispatcher.add(task, monotonic())
            self._rouse()
        self._backend.wake()
        return task.future

    def resources(self) -> list[dict[str, float]]:
        """What each worker has for calls that need something, or each machine where its workers share that.

        Raises:
            BackendLost: The cluster is gone.
        """
        return self._workers.resources()

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """``fn`` of each item, or of each group of items of several iterables; results in the order of the items.

        Args:
            fn: The function.
            *iterables: Its arguments. The shortest one ends it.
            timeout: In how many seconds, from now, a result that is asked for must be there.
            chunksize: How many calls go together as one task, where one of them is quick.
            buffersize: How many tasks are submitted ahead of the results that were asked for. Default: all, at once.

        Raises:
            ValueError: A number is less than 1.
            RuntimeError: The executor was shut down.

        The iterator raises what a call raised, at its place, and `TimeoutError`; what has not begun is cancelled then.
        """
        from pipe_core.runtime.mapping import mapped  # most executors never map

        packed = not self.capabilities.in_process
        return mapped(self, fn, iterables, timeout=timeout, chunksize=chunksize, buffersize=buffersize, packed=packed)

    def _wake(self) -> None:
        """A time has come: something may have changed for everybody who sleeps."""
        with self._lock:
            if not self._stopped:
                self._giving_up.kill_again()
            self._rouse()
        self._backend.wake()

    def share(self, value: T) -> Shared[T]:
        """*value* for many calls: give the handle as an argument and call ``handle.get()`` in the function.

        In one process it is the value itself. Elsewhere its bytes travel once to each worker that lacks them.
        """
        return self._workers.share(value)

    def everywhere(self, fn: Callable[..., Any], /, *args: Any) -> list[Outcome]:
        """Call ``fn(*args)`` once in every worker process that lives; in one process, once here.

        It overtakes what waits, but not what a worker has in hand.

        Raises:
            UnsupportedCapabilityError: The system does not say which workers it has.
            RuntimeError: The executor was shut down.
        """
        return self._workers.everywhere(fn, args)

    def _submit_to_each(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> list[Future[Any]]:
        """Let every slot call ``fn(*args)``, before all that waits."""
        tasks = [Task(next(self._numbers), fn, args, {}) for _ in range(self._slots)]
        with self._lock:
            if self._closed:
                raise RuntimeError(AFTER_SHUTDOWN)
            for slot, task in enumerate(tasks):
                self._dispatcher.pin(task, slot, monotonic())
            self._rouse()
        self._backend.wake()
        return [task.future for task in tasks]

    def hold_ready(self, calls: int) -> Callable[[], None]:
        """Let busy slots hold so many calls ready until the result is called. Whoever said a `prefetch` keeps that."""
        with self._lock:
            self._held_ready.ask(calls)

        def release() -> None:
            with self._lock:
                self._held_ready.release(calls)

        return release

    def broadcast(self, fn: Callable[..., Any], /, *args: Any) -> bool:
        """Call ``fn(*args)`` in every worker process at once, beside what it runs, and wait for nothing.

        False where the system has no way past a call that runs.
        """
        return self._workers.broadcast(fn, args)

    def costs(self) -> list[Cost]:
        """What each worker process of a cluster costs now, beside the call that it runs. Elsewhere nothing.

        Raises:
            BackendLost: The cluster is gone.
        """
        return self._workers.costs()

    @property
    def can_give_up(self) -> bool:
        """Whether a call that runs can be ended, or left behind: see `give_up`."""
        return self._giving_up.possible

    def give_up(self, future: Future[Any], error: BaseException) -> bool:
        """End a call that a slot has in hand, as far as its caller is concerned: *future* gets *error*.

        With ``hard_timeout`` its worker is killed, now or, of a call that is held ready, when its turn comes. A thread
        cannot be killed: it is left behind, another one takes its slot, and what the call gives in the end is refused.
        False when the call has ended, or cannot be given up here.
        """
        with self._lock:
            task = self._giving_up.give_up(future, error)
            if task is None or self._giving_up.is_in_hand(task):
                return task is not None
            final = self._decide(task, Outcome(error=error))
        self._backend.wake()  # the slot is free, and nobody else says so
        self._fulfil(task, final)
        return True

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. May be called again.

        Args:
            wait: Return when everything submitted has ended, callbacks included, and the backend gave back what it
                took. Not from a call or a callback of this executor, which would wait for itself.
            cancel_futures: Cancel what has not started.
        """
        with self._lock:
            self._closed = True
        if cancel_futures:
            self._cancel_waiting()
        with self._lock:
            while wait and self._is_open():
                self._idle.wait()
            self._rouse()
        self._stop_when_idle()
        if wait:
            self._backend.stop()  # again: a thread of the backend's own may have been first, and cannot join itself

    def terminate(self) -> None:
        """Shut down without waiting: cancel what has not started, and end by force what runs where that can be."""
        with self._lock:
            self._closed = self._stopped = True
        self._cancel_waiting()
        with self._lock:
            returned = self._dispatcher.recall_all()
            for task in returned:
                if task.permit is not None:
                    task.permit.leave()
                self._end(task, TaskStatus.CANCELLED)
            self._rouse()
        for task in returned:
            task.future.set_exception(concurrent.futures.CancelledError())
            self._settle(task)
        self._alarm.close()
        self._backend.stop(kill=True)
        atexit.unregister(self._at_exit)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Wait for every call. When the block is left by an exception, cancel what has not started first."""
        self.shutdown(cancel_futures=kind is not None)

    async def __aenter__(self) -> Self:
        """Use it for a block of asynchronous code."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """As the plain block, but the event loop goes on."""
        import asyncio

        await asyncio.to_thread(self.shutdown, cancel_futures=kind is not None)

    # --- what the backend calls ---

    def _take(self, slot: int, wait: bool = False) -> Task | None:
        while True:
            with self._lock if get_ident() == self._main_thread else self._worker_lock:
                task = self._dispatcher.take(slot, monotonic(), not wait)
                gate = None
                if task is None:
                    if (due := self._dispatcher.due(monotonic())) is not None:
                        self._alarm.set(monotonic() + due)
                    if wait and not (self._stopped or (self._closed and not self._is_open())):
                        gate = threading.Lock()  # a Condition would do the same in twice the time
                        gate.acquire()
                        self._asleep.append(gate)
            if self._dispatcher.refused:
                self._fail_refused()
            if task is not None:
                return task if task.attempt == 1 else Attempt(task)  # type: ignore[return-value]  # it stands for one
            if gate is None:
                break
            gate.acquire()
        if self._closed:
            self._stop_when_idle()  # what was left may have been cancelled
        return None

    def _fail_refused(self) -> None:
        """Give the futures of tasks that were refused their errors. Without the lock: callbacks run here."""
        with self._lock:
            refused, self._dispatcher.refused = self._dispatcher.refused, []
            self._ended += len(refused)
        for task, error in refused:
            if task.claim():
                self._fulfil(task, Outcome(error=error))
            else:
                self._settle(task)

    def _rouse(self) -> None:
        """Let everybody who sleeps look again."""
        while self._asleep:
            self._asleep.pop().release()

    def _done(self, call: Any, outcome: Outcome | bytes) -> None:
        ended = wire.open_answer(outcome) if isinstance(outcome, bytes) else outcome
        task: Task = call if type(call) is not Attempt else call.task
        why = "" if ended.error is None else self._explain(task, ended.error)
        with self._lock if get_ident() == self._main_thread else self._worker_lock:
            if task.attempt != (1 if task is call else call.number) or not self._dispatcher.release(task):
                return  # given up before: its caller has been told something else
            final = self._decide(task, ended, why)
            hand = self._hands[task.slot]
            if hand and hand[0].given_up is not None:
                self._giving_up.kill(task.slot)  # its turn has come
        self._fulfil(task, final)

    def _explain(self, task: Task, error: BaseException) -> str:
        """What the log says of why an attempt failed. For subclasses that have one. Without the lock: as in user code.

        Whatever the error's own code does, it must come back with a text, or the call is lost.
        """
        return ""

    def _decide(self, task: Task, ended: Outcome, why: str = "") -> Outcome | None:
        """Decide what follows an attempt that is in no hand any more. None when it is not the end of the task.

        Args:
            task: It.
            ended: How the attempt ended.
            why: What `_explain` said of its error.
        """
        if task.given_up is not None and (ended.unstarted or ended.error is not None):
            why = self._explain(task, task.given_up)  # whoever gives calls up gives an error of ours
            ended, task.given_up = Outcome(error=task.given_up), None
        if task.permit is not None and not ended.unstarted:
            task.permit.tell(ended.error is None, monotonic())
        if ended.unstarted:
            if not self._stopped:
                self._dispatcher.give_back(task)
                self._rouse()
                return None
            if task.permit is not None:
                task.permit.leave()
            ended = Outcome(error=concurrent.futures.CancelledError())
        elif ended.error is not None and task.retry is not None:
            after = task.retry.after(task.attempt, ended.error)
            if after is not None:
                now = monotonic()
                task.unclaim()
                task.context = task.context.copy()  # a thread that was left behind may still be in this one
                self._dispatcher.retry(task, now, after, why)
                self._alarm.set(now + after)
                return None
        self._end(task, TaskStatus.FAILED if ended.error is not None else TaskStatus.COMPLETED, why)
        return ended

    def _fulfil(self, task: Task, final: Outcome | None) -> None:
        """Give the future of *task* what `_decide` gave. Callbacks run here, without the lock."""
        if final is None:
            self._backend.wake()
            return
        if final.error is not None:
            task.future.set_exception(final.error)
        else:
            task.future.set_result(final.value)
        self._settle(task)
        if self._closed:
            self._stop_when_idle()

    def _end(self, task: Task, to: TaskStatus, why: str = "") -> None:
        """*task* has ended. Once everybody has been told, it comes to `_settle`."""
        self._dispatcher.end(task, to, monotonic(), why)
        self._ended += 1

    def _settle(self, task: Task) -> None:
        """Everybody knows how *task* has ended."""
        task.let_go()
        self._told.append(None)  # a count that needs no lock: everybody wants the one that there is
        if self._closed or len(self._told) > _MANY:
            with self._lock:
                told = len(self._told)
                del self._told[:told]
                self._ended -= told
                if self._closed and not self._is_open():
                    self._idle.notify_all()
                    self._rouse()

    def _is_open(self) -> bool:
        """Whether something was submitted whose future has not told everybody yet how it ended."""
        return self._ended > len(self._told) or self._dispatcher.open > 0

    def _cancel_waiting(self) -> None:
        with self._lock:
            waiting = self._dispatcher.withdraw_all()
            for task in waiting:
                self._end(task, TaskStatus.CANCELLED)
        for task in waiting:  # without the lock: callbacks run here
            Future.cancel(task.future)
            task.future.set_running_or_notify_cancel()
            self._settle(task)

    def _stop_when_idle(self) -> None:
        with self._lock:
            if not self._closed or self._stopped or self._is_open():
                return
            self._stopped = True
            self._idle.notify_all()
        self._alarm.close()
        self._backend.stop()
        atexit.unregister(self._at_exit)


def _shut_down(executor: weakref.ref[Executor]) -> None:
    """At the end of the interpreter: what was submitted still runs, as with the executors of the standard library."""
    found = executor()
    if found is not None:
        found.shutdown()
