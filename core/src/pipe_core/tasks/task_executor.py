"""`TaskExecutor`: calls with priorities, a bounded queue, rate limits, retries and statistics, on any executor."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from pipe_core.kernel.contracts import Scheduler
from pipe_core.kernel.error_text import short_repr
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.priority import TaskPriority, priority_key
from pipe_core.runtime.dispatcher import Dispatcher
from pipe_core.runtime.executor import AFTER_SHUTDOWN, Executor
from pipe_core.runtime.history import Transition
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.runtime.mapping import begin
from pipe_core.runtime.permits import CircuitBreaker, RateLimit
from pipe_core.runtime.retries import Retry
from pipe_core.runtime.task import Task
from pipe_core.tasks import in_line, waiting
from pipe_core.tasks.admission import Admission, OnFull
from pipe_core.tasks.audit import Log, remembered
from pipe_core.tasks.call import TaskCall, TaskFuture
from pipe_core.tasks.call_records import CallRecords
from pipe_core.tasks.elastic import Elastic
from pipe_core.tasks.policies import (
    Retention,
    call_options,
    check_count,
    check_retention,
    makes_priority,
    needs_priorities,
    start_parts,
    waiting_order,
)
from pipe_core.tasks.reasons import hint_at_options, reason_of
from pipe_core.tasks.statistics import ExecutorStats, percentiles
from pipe_core.tasks.status import as_status
from pipe_core.tasks.time_limits import TimeLimits
from pipe_core.tasks.usage import Usage
from pipe_core.tasks.views import Views

if TYPE_CHECKING:
    from rich.console import Console

    from pipe_core.tasks.watch import Watch

P = ParamSpec("P")
R = TypeVar("R")
PENDING, PROCESSING = TaskStatus.PENDING, TaskStatus.PROCESSING


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
        retention: Which ended calls `tasks` still knows. Default: none. ``Retention(keep_failed=True)`` keeps those
            that failed for good, for `dead_letters`.
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
        self._admission = Admission(self, queue_capacity, on_full, memory_limit)
        self._lack = self._admission.lack
        check_retention(retention)
        self._rate = RateLimit.of(rate_limit)
        self._retention = retention
        self._usage = Usage(self)
        chosen = waiting_order(scheduler)
        asked = max_workers if max_workers is not None else getattr(chosen, "workers", None)
        self._elastic = Elastic(*asked) if isinstance(asked, tuple) else None
        backend, parameters = start_parts(executor, asked, thread_stack_size)
        self._has_priorities = needs_priorities(chosen)
        self._per_slot = bool(getattr(chosen, "per_slot", False))
        self._history = remembered(history)
        super().__init__(backend, scheduler=chosen, **{**parameters, "prefetch": parameters["prefetch"] or 0})
        if bind := getattr(chosen, "bind", None):
            bind(self.slots)

    def _make_dispatcher(self, scheduler: Scheduler, ready: float) -> Dispatcher[Any]:
        self._limits = TimeLimits(self._alarm)
        self._records = records = CallRecords(self._history, self._retention, self._limits, self._admission)
        retain = records.retain if self._retention is not None else None
        made: Dispatcher[Any] = Dispatcher(
            scheduler, self._slots, ready=ready, permits=self._rate, listener=records, retain=retain
        )
        records.ledger = made.ledger
        self._admission.guard(made.ledger, self._lock)
        if self._elastic is not None:
            made.most = self._elastic.most
        return made

    @property
    def queue_capacity(self) -> int:
        """How many calls may wait."""
        return self._admission.capacity

    @property
    def on_full(self) -> OnFull:
        """What `submit` does when the queue is full."""
        return self._admission.on_full

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
        resources: Mapping[str, float] | None = None,
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
            resources: What it needs of its worker, and has to itself while it runs: ``{"GPU": 1}``. Its slot is taken
                while it waits for that.

        Raises:
            OptionsError: An option is wrong.
            UnsupportedCapabilityError: A limit of time was given, and this executor cannot end a call that runs; or
                resources were, and it knows none.
        """
        options = call_options(
            self, timeout=timeout, deadline=deadline, retries=retries, breaker=breaker, tags=tags, resources=resources
        )

        def submit(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            task = TaskCall(self, next(self._numbers), fn, args, kwargs)
            if priority is not None:
                self._prioritise(task, priority)
            for name, value in options.items():
                setattr(task, name, value)
            return self._admit(task)

        return submit

    def submit_needing(
        self, resources: Mapping[str, float], fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[R]:
        """``submit_with(resources=resources)(fn, *args, **kwargs)``."""
        return self.submit_with(resources=resources)(fn, *args, **kwargs)

    def _prioritise(self, task: TaskCall, priority: Any) -> None:
        if not self._has_priorities:
            raise OptionsError(
                f"The scheduler {type(self._dispatcher.scheduler).__name__} knows no priorities, so priority="
                f"{priority!r} would change nothing. Leave it out, or choose scheduler='priority'."
            )
        task.band, task.number = priority_key(priority)

    def _admit(self, task: TaskCall, instead: TaskCall | None = None) -> Future[Any]:
        """Let *task* wait for its turn, in the place of a dead letter if there is one."""
        with self._lock:
            while (policy := self._lack()) is not None and not self._closed:
                if policy == "caller_runs" and task.resources is None:
                    break
                if policy == "drop_oldest":
                    self._drop_oldest()
                elif policy == "raise":
                    raise self._admission.rejection()
                else:
                    self._admission.wait()
            if self._closed:
                raise RuntimeError(AFTER_SHUTDOWN)
            if instead is not None:
                self._records.forget(instead)
            self._dispatcher.add(task, monotonic(), waits=policy is None)
            if task.deadline is not None:
                task.deadline += task.since
                self._limits.add(task.deadline, task, 0)
            if self._elastic is not None:
                self._adapt()
            if self._per_slot:
                self._rouse()  # only one of those who sleep may take it
            sleeper = self._asleep.pop() if self._asleep else None
        if self._dispatcher.refused:
            self._fail_refused()
        if policy is not None:
            in_line.run(self, task)
        elif sleeper is None:
            self._backend.wake()
        else:
            sleeper.release()
        return task.future

    def _explain(self, task: Task, error: BaseException) -> str:
        hint_at_options(task, error)
        return reason_of(error)

    def _drop_oldest(self) -> None:
        oldest = next(iter(self.ledger.tasks(PENDING)))
        if self._dispatcher.withdraw(oldest):
            self._dispatcher.refuse(oldest, self._admission.dropping(), monotonic())

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

    # --- when a time has come ---

    def _wake(self) -> None:
        self._end_late()
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

    def _end_late(self) -> None:
        """End the calls whose time is over."""
        running = []
        with self._lock:
            now = monotonic()
            for task, error in self._limits.late(now):
                if task.status is PROCESSING:
                    running.append((task.future, error))
                elif self._dispatcher.withdraw(task):
                    self._dispatcher.refuse(task, error, now)
        self._fail_refused()
        for future, error in running:
            self.give_up(future, error)

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
        with self._lock:
            return self._records.history(call.number if isinstance(call, TaskFuture) else call)

    def tasks(self, status: TaskStatus | str | None = None) -> list[TaskCall]:
        """The calls with *status*, in the order in which they came to it; or all, by status.

        Those that wait and run are always known, those that have ended as far as ``retention=`` says. A call says what
        it is (`id`, `name`, `fn`, `args`, `kwargs`, `tags`), where it is (`status`, `attempt`, `error`), and when it
        was submitted, began and ended (`since`, `started`, `ended`, by `time.monotonic`). Its `error` may come a moment
        later than its status. Calls that `map` and `submit_batch` put together are one.

        Args:
            status: One of the seven, or its name, such as ``"failed"``.

        Raises:
            OptionsError: There is no such status.
        """
        wanted = TaskStatus if status is None else [as_status(status)]
        with self._lock:
            return self._records.of(*wanted)

    @property
    def dead_letters(self) -> list[TaskCall]:
        """The calls that nobody has a result of, nor gave up: failed for good, out of time, and refused ones.

        Kept ones only: ``retention=Retention(keep_failed=True)`` keeps all that failed. `requeue` submits one again.

        Raises:
            OptionsError: None are kept, whatever happens.
        """
        if self._retention is None:
            raise OptionsError(
                "Nothing keeps the calls that have ended, so nobody knows which of them failed. Make the executor with "
                "retention=Retention(keep_failed=True)."
            )
        with self._lock:
            return self._records.of(TaskStatus.FAILED, TaskStatus.ABORTED)

    def requeue(self, call: TaskCall) -> Future[Any]:
        """Submit a call again that has ended without a result, with all that was said of it, and forget the old one.

        It is a new call, with a number of its own. When this raises, nothing has changed.

        Args:
            call: One of the `dead_letters`, or a cancelled one that is kept.

        Raises:
            IllegalTransitionError: It is not here, or no more; has not ended; or is completed.
            QueueFullError: The queue is full, and the policy is not to wait.
            RuntimeError: The executor was shut down.
            TypeError: It is no call.
        """
        if not isinstance(call, TaskCall):
            raise TypeError(
                f"requeue() wants a call that has ended, such as one of dead_letters, not {short_repr(call)}."
                + isinstance(call, TaskFuture) * " The call of a future has its number as id."
            )
        task = TaskCall(self, next(self._numbers), call.fn, call.args, call.kwargs)
        vars(task).update(vars(call))  # what was said of it
        if call.deadline is not None:
            task.deadline = call.deadline - call.since
        return self._admit(task, instead=call)

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
            numbers, waits, runs = self._records.numbers()
            steals = getattr(self._dispatcher.scheduler, "steals", 0)
        return ExecutorStats(**numbers, steals=steals, queue_wait=percentiles(waits), run_time=percentiles(runs))

    def get_cpu_usage(self) -> float:
        """Per cent, 0 to 100, of the cores that its workers can use, since the last call; its children count."""
        return self._usage.cpu()

    def get_memory_usage(self) -> int:
        """Bytes in memory of this process and its children; on clusters those of the workers too."""
        return self._usage.memory()
