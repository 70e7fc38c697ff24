"""`TaskExecutor`: calls with priorities, a bounded queue, rate limits, retries and statistics, on any executor."""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, TypeVar

from pipe_core.kernel.contracts import Scheduler
from pipe_core.kernel.errors import OptionsError, QueueFullError, TaskTimeoutError
from pipe_core.kernel.priority import TaskPriority, priority_key
from pipe_core.runtime.dispatcher import Dispatcher
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.history import Transition
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.runtime.mapping import begin
from pipe_core.runtime.permits import CircuitBreaker, RateLimit
from pipe_core.runtime.retries import Retry
from pipe_core.runtime.task import Task
from pipe_core.tasks import waiting
from pipe_core.tasks.audit import Log, remembered
from pipe_core.tasks.call import INSIDE, TaskCall, TaskFuture
from pipe_core.tasks.elastic import Elastic
from pipe_core.tasks.policies import (
    Retention,
    call_options,
    check_count,
    makes_priority,
    needs_priorities,
    start_parts,
    waiting_order,
)
from pipe_core.tasks.statistics import ExecutorStats, Times, percentiles
from pipe_core.tasks.usage import MemoryLimit, Usage
from pipe_core.tasks.views import Views

if TYPE_CHECKING:
    from rich.console import Console

    from pipe_core.tasks.watch import Watch

P = ParamSpec("P")
R = TypeVar("R")
OnFull = Literal["block", "raise", "caller_runs", "drop_oldest"]
POLICIES: Final = ("block", "raise", "caller_runs", "drop_oldest")

PENDING, PROCESSING = TaskStatus.PENDING, TaskStatus.PROCESSING

_LOOK: Final = 0.05
"""Seconds between two looks at the memory while admission waits for it."""


class TaskExecutor(Views, Executor):
    """A `concurrent.futures.Executor` that decides which call goes next, how many wait, and how often they start.

    Args:
        executor: Where calls run: anything that `get_executor` takes. Default ``"threads"``.
        max_workers: How many run at once. Default: the executor's own, mostly one a core. A pair ``(2, 8)`` lets that
            number follow the work between the two.
        queue_capacity: How many calls may wait. Those that run do not count.
        thread_stack_size: Bytes of stack of each thread, on ``threads``. Default: the system's.
        scheduler: Which waiting call goes next: a name, ``(name, options)`` or a scheduler. Default ``"priority"``.
        on_full: What ``submit`` does when the queue is full. ``"block"`` waits for room, except on the thread of a
            running event loop, where that would stop everything else, and except in a call of this executor, which
            runs the new call itself; ``"raise"`` raises; ``"caller_runs"`` runs the call in the calling thread;
            ``"drop_oldest"`` refuses the call that has waited longest.
        rate_limit: How often calls may start: a number a second, ``(number, seconds)`` or a `RateLimit`.
        memory_limit: Bytes, or text such as ``"8GB"``, that this process and its children may have in memory. Above
            that the queue counts as full.
        retention: Which ended calls `tasks` still knows. Default: none.
        history: How many transitions `history` remembers; or where all of them are kept besides: a path that ends in
            ``.jsonl``, ``.sqlite`` or ``.db``, or an object with ``write(transitions)`` and ``close()``.

    Raises:
        PluginError: The executor or the scheduler is not installed; says how it is.
        OptionsError: An option is wrong.
    """

    def __init__(
        self,
        executor: Any = None,
        max_workers: int | tuple[int, int] | None = None,
        queue_capacity: int = 10_000,
        thread_stack_size: int | None = None,
        scheduler: Any = None,
        on_full: OnFull = "block",
        rate_limit: float | tuple[float, float] | RateLimit | None = None,
        memory_limit: int | str | None = None,
        retention: Retention | None = None,
        history: Log = 10_000,
    ) -> None:
        if on_full not in POLICIES:
            raise OptionsError(f"on_full is one of {', '.join(map(repr, POLICIES))}, not {on_full!r}.")
        check_count("queue_capacity", queue_capacity)
        self.queue_capacity = queue_capacity
        self.on_full: OnFull = on_full
        self._rate = RateLimit.of(rate_limit)
        self._memory = None if memory_limit is None else MemoryLimit(memory_limit)
        self._retention = retention
        self._kept: deque[tuple[float, TaskCall]] = deque()
        self._history = remembered(history)
        self._times = Times()
        self._rejected = 0
        self._blocked = 0
        self._expiries: list[tuple[float, int, TaskCall, int]] = []  # a heap; the attempt 0 is for a deadline
        self._expiry_numbers = itertools.count()
        self._began = monotonic()
        self._usage = Usage(self)
        chosen = waiting_order(scheduler)
        asked = max_workers if max_workers is not None else getattr(chosen, "workers", None)
        self._elastic = Elastic(*asked) if isinstance(asked, tuple) else None
        backend, parameters = start_parts(executor, asked, thread_stack_size)
        self._has_priorities = needs_priorities(chosen)
        self._per_slot = bool(getattr(chosen, "per_slot", False))
        super().__init__(backend, scheduler=chosen, **{**parameters, "prefetch": parameters["prefetch"] or 0})
        self._room = threading.Condition(self._lock)
        if bind := getattr(chosen, "bind", None):
            bind(self.slots)

    def _make_dispatcher(self, scheduler: Scheduler, ready: float) -> Dispatcher[Any]:
        retain = self._retain if self._retention is not None else None
        made: Dispatcher[Any] = Dispatcher(
            scheduler, self._slots, ready=ready, permits=self._rate, listener=self, retain=retain
        )
        if self._elastic is not None:
            made.most = self._elastic.most
        return made

    # --- submitting ---

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run ``fn(*args, **kwargs)`` as soon as its turn comes. Returns at once, unless the queue is full.

        Args:
            fn: The function. Async functions run on the executor's event loop.
            *args: Its arguments.
            **kwargs: Its keyword arguments. ``priority=`` is ours, unless *fn* has a parameter of that name: a
                `TaskPriority`, or a finite number, of which lower ones go first. See `submit_with` for the rest.

        Raises:
            RuntimeError: The executor was shut down.
            QueueFullError: The queue is full, and the policy is not to wait.
            TypeError: *fn* cannot be called.
        """
        task = TaskCall(self, next(self._numbers), fn, args, kwargs)
        if "priority" in kwargs and makes_priority(fn, kwargs["priority"]):
            self._prioritise(task, kwargs.pop("priority"))
        return self._admit(task)

    def submit_with(
        self,
        *,
        priority: TaskPriority | float | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        retries: int | Retry | None = None,
        breaker: CircuitBreaker | None = None,
        tags: Hashable | Iterable[Hashable] = (),
    ) -> Callable[..., Future[Any]]:
        """A function that submits with options: ``executor.submit_with(retries=3)(fetch, url)``.

        Args:
            priority: See `submit`.
            timeout: How many seconds one attempt may run. Then its worker is killed, or its thread left behind, and
                the future has `TaskTimeoutError`.
            deadline: In how many seconds, from its submission, the call must have ended.
            retries: How many attempts may follow a failed one, or a `Retry` that also says when.
            breaker: Hears how the call ends, and keeps it back while its resource fails.
            tags: What the call is about. The first is what the scheduler ``fair`` goes round by.

        Raises:
            OptionsError: An option is wrong.
            UnsupportedCapabilityError: A limit of time was given, and this executor cannot end a call that runs.
        """
        options = call_options(self, timeout=timeout, deadline=deadline, retries=retries, breaker=breaker, tags=tags)

        def submit(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            task = TaskCall(self, next(self._numbers), fn, args, kwargs)
            if priority is not None:
                self._prioritise(task, priority)
            for name, value in options.items():
                setattr(task, name, value)
            return self._admit(task)

        return submit

    def _prioritise(self, task: TaskCall, priority: Any) -> None:
        if not self._has_priorities:
            raise OptionsError(
                f"The scheduler {type(self._dispatcher.scheduler).__name__} knows no priorities, so priority="
                f"{priority!r} would change nothing. Leave it out, or choose scheduler='priority'."
            )
        task.band, task.number = priority_key(priority)

    # --- admission ---

    def _admit(self, task: TaskCall) -> Future[Any]:
        with self._lock:
            while (policy := self._lack()) is not None:
                if policy == "caller_runs":
                    break
                if policy == "drop_oldest":
                    self._drop_oldest()
                elif policy == "raise":
                    raise self._rejection()
                else:
                    self._blocked += 1
                    try:
                        self._room.wait(_LOOK if self._memory is not None else None)
                    finally:
                        self._blocked -= 1
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._dispatcher.add(task, monotonic(), waits=policy is None)
            if task.deadline is not None:
                task.deadline += task.since
                self._expire_at(task.deadline, task, 0)
            if self._elastic is not None:
                self._adapt()
            if self._per_slot:
                self._rouse()  # only one of those who sleep may take it
            sleeper = self._asleep.pop() if self._asleep else None
        if self._dispatcher.refused:
            self._tell_refused()
        if policy is not None:
            self._run_here(task)
        elif sleeper is None:
            self._backend.wake()
        else:
            sleeper.release()
        return task.future

    def _lack(self) -> OnFull | None:
        """What a submit has to do now. None when there is room."""
        full = self._dispatcher.ledger.count(PENDING) >= self.queue_capacity
        if not (full or (self._memory is not None and self._memory.exceeded())) or self._closed:
            return None
        if self.on_full in ("block", "caller_runs"):
            if INSIDE.executor is self:
                return "caller_runs"
            if _in_event_loop():
                return "raise"
        return "raise" if self.on_full == "drop_oldest" and not full else self.on_full

    def _rejection(self) -> QueueFullError:
        self._rejected += 1
        waiting = self.ledger.count(TaskStatus.PENDING)
        why = f"{waiting} calls wait, and queue_capacity is {self.queue_capacity}"
        if waiting < self.queue_capacity and self._memory is not None:
            why = f"the process has {self._memory.used / 2**20:.0f} MiB in memory, of {self._memory.limit / 2**20:.0f}"
        where = " On the thread of an event loop submit() never waits: await it in another thread." * _in_event_loop()
        return QueueFullError(
            f"No room for another call: {why}.{where} Try again when some have run, or submit with on_full='block'.",
            queue_size=waiting,
            max_size=self.queue_capacity,
        )

    def _drop_oldest(self) -> None:
        oldest = next(iter(self.ledger.tasks(TaskStatus.PENDING)))
        if self._dispatcher.withdraw(oldest):
            error = QueueFullError(
                "The call was dropped to make room for a newer one (on_full='drop_oldest').",
                queue_size=self.ledger.count(TaskStatus.PENDING),
                max_size=self.queue_capacity,
            )
            self._dispatcher.refuse(oldest, error, monotonic())

    # --- cancelling, and running what a task waits for ---

    def _cancel(self, task: TaskCall) -> bool:
        future = task.future
        with self._lock:
            if task.status is not TaskStatus.PENDING or not self._dispatcher.withdraw(task):
                return future.cancelled()
            self._end(task, TaskStatus.CANCELLED)
        Future.cancel(future)
        future.set_running_or_notify_cancel()
        self._settle(task)
        return True

    def _help(self, task: TaskCall) -> None:
        """Inside a task: run the call that it waits for, whenever it may start, unless somebody else runs it."""
        while True:
            with self._lock:
                wait = self._dispatcher.time_of(task) - monotonic()
                if not self._dispatcher.withdraw(task):
                    return  # it runs, or has ended
                if wait > 0:
                    self._dispatcher.put_off(task, monotonic() + wait)
            if wait > 0:
                sleep(min(wait, _LOOK))
            else:
                self._run_here(task)  # and once more round: it may have failed, to be tried again

    def _run_here(self, task: TaskCall) -> None:
        """Run a pending call, which waits nowhere, in this thread."""
        task.slot = -1
        while True:
            with self._lock:
                now = monotonic()
                wait = self._dispatcher.permits_wait(now)
                begun = wait <= 0 and self._dispatcher.begin(task, now)
            if wait <= 0:
                break
            sleep(wait)
        self._tell_refused()
        if begun:
            outcome = task.run()
            with self._lock:
                told = self._settled(task, outcome)
            self._tell(task, told)

    # --- what the runtime tells ---

    def moved(self, task: Any, to: TaskStatus, now: float, reason: str) -> None:
        """A call goes to another status; the lock is held. For the dispatcher."""
        if type(task) is Task:
            return  # of `everywhere`: nobody submitted it
        before = task.status
        slot, name = -1, ""
        attempt = task.attempt
        if to is PROCESSING:
            slot, name = task.slot, task.name
            task.started = now
            self._times.waits.append(now - task.since)
            if task.timeout is not None:
                self._expire_at(now + task.timeout, task, attempt)
        elif before is PROCESSING:
            slot = task.slot
            task.ended = now
            times = self._times
            times.runs.append(ran := now - task.started)
            times.total += ran
        elif before is None:
            name = task.name
            task.since = now
        elif to is PENDING:
            attempt += 1
            self._times.retries += 1
        else:
            task.ended = now
        if self._blocked and before is PENDING:
            self._room.notify()
        self._history.add((task.id, before, to, now, attempt, reason, slot, name))

    def _retain(self, task: Any) -> None:
        assert self._retention is not None
        if type(task) is Task:
            self.ledger.forget(task)
            return
        self._kept.append((task.ended, task))
        for old in self._retention.expired(self._kept, task.ended):
            self.ledger.forget(old)

    # --- limits of time ---

    def _expire_at(self, at: float, task: TaskCall, attempt: int) -> None:
        if len(self._expiries) > 64 + 4 * self._dispatcher.open:  # mostly of calls that have ended
            self._expiries = [entry for entry in self._expiries if not _is_over(entry)]
            heapq.heapify(self._expiries)
        heapq.heappush(self._expiries, (at, next(self._expiry_numbers), task, attempt))
        self._alarm.set(at)

    def _wake(self) -> None:
        self._expire()
        if self._elastic is not None:
            with self._lock:
                self._adapt()
        super()._wake()

    def _adapt(self) -> None:
        """Use more workers, or fewer, for what waits now."""
        assert self._elastic is not None
        now = monotonic()
        oldest = next(iter(self.ledger.tasks(TaskStatus.PENDING)), None)
        due = self._elastic.look(now, None if oldest is None else oldest.since)
        self._dispatcher.most = self._elastic.most
        if due is not None:
            self._alarm.set(now + due)

    def _expire(self) -> None:
        """End the calls whose time is over."""
        late = []
        with self._lock:
            now = monotonic()
            while self._expiries and self._expiries[0][0] <= now:
                entry = heapq.heappop(self._expiries)
                task, attempt = entry[2:]
                if _is_over(entry):
                    continue
                if task.status is TaskStatus.PROCESSING:
                    late.append((task, attempt))
                elif self._dispatcher.withdraw(task):
                    after = entry[0] - task.since
                    error = TaskTimeoutError(f"{task.name} was not begun within {after:g} s, by its deadline.")
                    self._dispatcher.refuse(task, error, now)
            if self._expiries:
                self._alarm.set(self._expiries[0][0])
        self._tell_refused()
        for task, attempt in late:
            limit = f"its timeout of {task.timeout:g} s" if attempt else "its deadline"
            error = TaskTimeoutError(f"{task.name} ran longer than {limit}, and was given up.")
            error.retryable = attempt > 0  # there is no time left for another attempt behind a deadline
            self.give_up(task.future, error)

    # --- its end ---

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As `Executor.shutdown`; with *wait* every transition is kept then, where ``history=`` said."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait and (keeper := self._history.keeper) is not None:
            keeper.close()

    def _stop_when_idle(self) -> None:
        super()._stop_when_idle()
        if (keeper := self._history.keeper) is not None:
            with self._lock:
                over = self._stopped and not self._is_open()
            if over:
                keeper.stop()

    # --- seen from outside ---

    def pause(self) -> None:
        """Start no more calls until `resume`. What runs goes on, and calls may be submitted."""
        with self._lock:
            self._dispatcher.paused = True

    def resume(self) -> None:
        """Start calls again."""
        with self._lock:
            self._dispatcher.paused = False
        super()._wake()

    def wait(self, futures: Iterable[Future[Any]], timeout: float | None = None) -> waiting.Done:
        """The futures that have ended, when all have or after *timeout* seconds; the others are its ``not_done``.

        Inside a task of this executor it runs what has no slot, unless there is a *timeout*.
        """
        return waiting.wait(self, futures, timeout)

    def as_completed(self, futures: Iterable[Future[Any]], timeout: float | None = None) -> Iterator[Future[Any]]:
        """Each future as it ends, as `concurrent.futures.as_completed`. Inside a task it helps, as `wait` does.

        Raises:
            TimeoutError: Not all have ended within *timeout* seconds.
        """
        return waiting.as_completed(self, futures, timeout)

    def call(self, fn: Callable[..., R], /, *args: Any, timeout: float | None = None, **kwargs: Any) -> R:
        """Submit and wait.

        Raises:
            TimeoutError: There is no result after *timeout* seconds. A call that has not begun is cancelled.
        """
        future = self.submit(fn, *args, **kwargs)
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise

    def submit_batch(self, calls: Iterable[tuple[Any, ...]], batch_size: int = 100) -> list[Future[Any]]:
        """Submit many small calls, *batch_size* of them in one task. Gives the future of each call, in order.

        Args:
            calls: ``(fn, *args)`` each.
            batch_size: How many go together.
        """
        check_count("batch_size", batch_size)
        packed = not self.capabilities.in_process
        pairs = ((fn, tuple(args)) for fn, *args in calls)
        batches = iter(lambda: list(islice(pairs, batch_size)), [])
        return [future for batch in batches for future in begin(self, batch, packed)]

    def history(self, call: int | Future[Any] | None = None) -> list[Transition]:
        """The transitions of one call, by its future or its number, or of all, in order, as far as remembered."""
        number = call.number if isinstance(call, TaskFuture) else call
        with self._lock:
            return list(self._history) if number is None else self._history.of(number)

    def _remembered(self) -> list[Transition]:
        return self.history()

    def watch(self, console: Console | None = None, *, refresh: float = 4.0, every: float = 10.0) -> Watch:
        """A live view: ``with executor.watch(): ...``, or ``executor.watch().until_done(seconds)``.

        On a terminal it is drawn *refresh* times a second; elsewhere there is a line *every* so many seconds.

        Args:
            console: Where to. Default: standard error.
            refresh: How often it is drawn.
            every: Seconds between two lines.

        Raises:
            OptionsError: A number is not positive.
        """
        from pipe_core.tasks.watch import Watch

        return Watch(self, console, refresh=refresh, every=every)

    def get_stats(self) -> ExecutorStats:
        """What has happened so far."""
        with self._lock:
            count, totals, times = self.ledger.count, self.ledger.totals, self._times
            failed = totals[TaskStatus.FAILED] - times.retries
            ended = totals[TaskStatus.COMPLETED] + failed
            uptime = monotonic() - self._began
            waits, runs = list(times.waits), list(times.runs)
            numbers = {
                "active_threads": count(TaskStatus.PROCESSING),
                "queued_tasks": count(TaskStatus.PENDING),
                "completed_tasks": totals[TaskStatus.COMPLETED],
                "failed_tasks": failed,
                "cancelled_tasks": totals[TaskStatus.CANCELLED],
                "aborted_tasks": totals[TaskStatus.ABORTED],
                "submitted_tasks": self.ledger.added,
                "rejected_tasks": self._rejected,
                "retries": times.retries,
                "steals": getattr(self._dispatcher.scheduler, "steals", 0),
            }
            total = times.total
        return ExecutorStats(
            **numbers,
            total_execution_time=total,
            queue_wait=percentiles(waits),
            run_time=percentiles(runs),
            throughput=ended / uptime if uptime > 0 else 0.0,
            uptime=uptime,
        )

    def get_cpu_usage(self) -> float:
        """Per cent, 0 to 100, of the cores that its workers can use, since the last call; its children count."""
        return self._usage.cpu()

    def get_memory_usage(self) -> int:
        """Bytes in memory of this process and its children; on clusters those of the workers too."""
        return self._usage.memory()


def _is_over(entry: tuple[float, int, TaskCall, int]) -> bool:
    """Whether the call, or the attempt, has ended whose time this is."""
    task, attempt = entry[2:]
    if task.status is TaskStatus.PROCESSING:
        return attempt not in (0, task.attempt)
    return attempt > 0 or task.status is not TaskStatus.PENDING


def _in_event_loop() -> bool:
    """Whether the calling thread runs an event loop, which must not be kept waiting."""
    asyncio = sys.modules.get("asyncio")  # no loop runs where nobody has imported it
    return asyncio is not None and asyncio._get_running_loop() is not None
