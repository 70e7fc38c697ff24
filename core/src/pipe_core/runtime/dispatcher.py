"""The dispatcher: what runs next, decided by a pure state machine.

It has no thread, no lock and no clock: whoever owns it holds a lock and says what time it is. An `Executor` and the
event loop of events are thin shells around one, so that all that is decided can be tested without a wait.

A pending task waits in the scheduler, or for a time to come (a retry, a permission that was not given), or in hand with
someone who asks whether it may start. Taken, it is in the hand of a slot until it ends, or comes back unstarted.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from pipe_core.kernel.contracts import Scheduler
from pipe_core.runtime.ledger import Ledger, TaskStatus, Tracked

PENDING, PROCESSING, CANCELLED = TaskStatus.PENDING, TaskStatus.PROCESSING, TaskStatus.CANCELLED


class Dispatched(Protocol):
    """What a dispatcher must know of a task, which is `Tracked` as well."""

    slot: int

    def claim(self) -> bool:
        """The task starts now. False when it was cancelled before."""


class Permit(Protocol):
    """Leave to start one task, for whatever it uses: a circuit breaker. Tasks of other dispatchers may share it."""

    def take(self, now: float, /) -> bool:
        """Leave for the task to start now. False when it may not."""

    def wait(self, now: float, /) -> float:
        """Seconds until a task that got no leave should ask again."""

    def refusal(self, now: float, /) -> BaseException | None:
        """Why a task that got no leave is refused, rather than put off."""

    def tell(self, ok: bool, now: float, /) -> None:
        """A task that had leave has ended, well or not."""

    def leave(self) -> None:
        """A task that had leave has not started, or has ended without a word."""


class Permits(Protocol):
    """Leave to start tasks, whichever they are: a rate limit, a budget."""

    def wait(self, now: float, /) -> float:
        """Seconds until the next task may start; 0.0 when it may now."""

    def take(self, now: float, /) -> None:
        """A task starts."""


class Listener(Protocol):
    """Hears of every move, before anybody else can."""

    def moved(self, task: Any, to: TaskStatus, now: float, reason: str, /) -> None:
        """*task*, whose status is still the old one, goes to another one. Pending from nowhere: it was submitted."""


T = TypeVar("T", bound=Tracked)


class Dispatcher(Generic[T]):
    """Decides which task a slot runs next.

    Args:
        scheduler: The order of those that wait.
        slots: How many tasks run at once.
        ready: How many tasks a busy slot may hold ready.
        permits: Leave to start.
        listener: Hears of every move.
        retain: Gets every task that has ended, which the ledger then keeps until it is told to forget it.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        slots: int,
        *,
        ready: float = 0,
        permits: Permits | None = None,
        listener: Listener | None = None,
        retain: Callable[[T], None] | None = None,
    ) -> None:
        self.ledger = Ledger()
        self.hands: list[list[T]] = [[] for _ in range(slots)]
        self.ready = ready
        self.paused = False
        self.free = slots
        self.most = slots
        """How many slots may run something."""
        self.scheduler = scheduler
        self._per_slot = bool(getattr(scheduler, "per_slot", False))
        self._permits = permits
        self._listener = listener
        self._retain = retain
        self._returned: deque[T] = deque()  # taken, and given back unstarted: they go first
        self._pinned: dict[int, deque[T]] = {}  # for one slot only
        self.refused: list[tuple[T, BaseException]] = []  # those that have ended so, for the owner to tell
        self._later: list[tuple[float, int, T]] = []  # a heap; those that were withdrawn stay until their time
        self._put_off: dict[T, int] = {}  # each with the number of its place in the heap
        self._numbers = itertools.count()

    def __len__(self) -> int:
        """How many tasks could start now, as far as time is concerned."""
        return len(self.scheduler) + len(self._returned)

    @property
    def open(self) -> int:
        """How many tasks have not ended."""
        return self.ledger.count(PENDING) + self.ledger.count(PROCESSING)

    # --- in ---

    def add(self, task: T, now: float, waits: bool = True) -> None:
        """*task* waits from now on. If not *waits*, it is with someone who brings it to `begin`, `put_off` or `end`."""
        if self._listener is not None:
            self._listener.moved(task, PENDING, now, "")
        self.ledger.add(task)
        if waits:
            self.scheduler.push(task)

    def pin(self, task: T, slot: int, now: float) -> None:
        """*task* waits for that slot, in front of all others."""
        if self._listener is not None:
            self._listener.moved(task, PENDING, now, "")
        self.ledger.add(task)
        self._pinned.setdefault(slot, deque()).append(task)

    # --- out: what a slot runs next ---

    def take(self, slot: int, now: float, anywhere: bool = False) -> T | None:
        """The next task for *slot*, which is in its hand then. None when there is none for it now.

        With *anywhere*, for slots that are only a count, also one that the scheduler keeps for another free slot.
        """
        hand = self.hands[slot]
        if hand:
            if not (len(hand) <= self.ready and len(self.scheduler) + len(self._returned) > self.free):
                return None
        elif len(self.hands) - self.free >= self.most:
            return None
        while True:
            if self._returned:
                task: T | None = self._returned.popleft()
                break
            task = self.pick(slot, now)
            if task is None and self._per_slot and anywhere and not hand:
                others = (self.pick(other, now) for other, held in enumerate(self.hands) if not held)
                task = next((other for other in others if other is not None), None)
            if task is None:
                return None
            task.slot = slot  # type: ignore[attr-defined]  # what is dispatched has one
            if self.begin(task, now):
                break
        assert task is not None
        task.slot = slot  # type: ignore[attr-defined]  # one that was given back has that of before
        if not hand:
            self.free -= 1
        hand.append(task)
        return task

    def pick(self, slot: int, now: float) -> T | None:
        """The next task for *slot*, still pending, for someone who asks whether it may start.

        It must come to `begin`, `put_off` or `end` then.
        """
        if self._pinned and (pinned := self._pinned.get(slot)):
            return pinned.popleft()
        if self._later and self._later[0][0] <= now:
            self._bring_back(now)
        if self.paused or (self._permits is not None and len(self.scheduler) and self._permits.wait(now) > 0):
            return None
        found: T | None = self.scheduler.pop(slot, now)
        return found

    def begin(self, task: T, now: float) -> bool:
        """A task that was picked starts. False when it was cancelled before, or was refused or put off."""
        permit: Permit | None = task.permit  # type: ignore[attr-defined]  # what is dispatched has one, if only None
        if permit is not None and not self._has_leave(task, permit, now):
            return False
        if not task.claim():  # type: ignore[attr-defined]  # what is dispatched has one
            if permit is not None:
                permit.leave()
            self.end(task, CANCELLED, now)
            return False
        if self._permits is not None:
            self._permits.take(now)
        if self._listener is not None:
            self._listener.moved(task, PROCESSING, now, "")
        self.ledger.move(task, PROCESSING)
        return True

    def _has_leave(self, task: T, permit: Permit, now: float) -> bool:
        if permit.take(now):
            return True
        error = permit.refusal(now)
        if error is None:
            self.put_off(task, now + permit.wait(now))
        else:
            self.refuse(task, error, now)
        return False

    def due(self, now: float) -> float | None:
        """Seconds until a free slot should ask again though nothing was submitted or has ended; None for never."""
        if self.paused or not (self._later or self._permits):
            return None
        times = []
        while self._later and self._put_off.get(self._later[0][2]) != self._later[0][1]:
            heapq.heappop(self._later)
        if self._later:
            times.append(max(0.0, self._later[0][0] - now))
        if self._permits is not None and len(self.scheduler) and (wait := self._permits.wait(now)) > 0:
            times.append(wait)
        return min(times, default=None)

    def put_off(self, task: T, until: float) -> None:
        """A pending task, picked and not begun, waits until a time has come."""
        self._put_off[task] = number = next(self._numbers)
        heapq.heappush(self._later, (until, number, task))

    def _bring_back(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            _, number, task = heapq.heappop(self._later)
            if self._put_off.get(task) == number:
                del self._put_off[task]
                self.scheduler.push(task)

    # --- back ---

    def release(self, task: T) -> bool:
        """Take *task* out of the hand of its slot. False when it is there no more: it was given up."""
        hand = self.hands[task.slot]  # type: ignore[attr-defined]  # what is dispatched has one
        try:
            hand.remove(task)
        except ValueError:
            return False
        if not hand:
            self.free += 1
        return True

    def give_back(self, task: T) -> None:
        """A task that was released has not begun: it goes to the next slot that asks."""
        self._returned.append(task)

    def end(self, task: T, to: TaskStatus, now: float, reason: str = "") -> None:
        """A task that is in no hand and waits nowhere has ended."""
        if self._listener is not None:
            self._listener.moved(task, to, now, reason)
        if self._retain is None:
            self.ledger.end(task, to)
        else:
            self.ledger.move(task, to)
            self._retain(task)

    def refuse(self, task: T, error: BaseException, now: float) -> None:
        """A pending task that waits nowhere never begins: it has ended, and its owner finds it among the `refused`."""
        self.end(task, TaskStatus.ABORTED, now, str(error))
        self.refused.append((task, error))

    def retry(self, task: T, now: float, after: float, reason: str = "") -> None:
        """A task that was released has failed, and waits for its next attempt."""
        if self._listener is not None:
            self._listener.moved(task, TaskStatus.FAILED, now, reason)
        self.ledger.move(task, TaskStatus.FAILED)
        if self._listener is not None:
            self._listener.moved(task, PENDING, now, f"again after {after:.3g} s")
        self.ledger.move(task, PENDING)
        self.put_off(task, now + after)

    def time_of(self, task: T) -> float:
        """Until when a task is put off; minus infinity for one that is not."""
        number = self._put_off.get(task)
        return next((until for until, one, _ in self._later if one == number), -math.inf)

    def permits_wait(self, now: float) -> float:
        """Seconds until the next task may start, whichever it is."""
        return 0.0 if self._permits is None else self._permits.wait(now)

    def withdraw(self, task: T) -> bool:
        """Let a task that waits wait no more. False when it does not wait. It must come to `begin` or `end` then."""
        if task.status is not PENDING:
            return False
        if self._put_off.pop(task, None) is not None:
            if len(self._later) > 2 * len(self._put_off) + 16:  # mostly of tasks that were withdrawn
                self._later = [entry for entry in self._later if self._put_off.get(entry[2]) == entry[1]]
                heapq.heapify(self._later)
            return True
        return self.scheduler.remove(task)

    def withdraw_all(self) -> list[T]:
        """Every task that waits, which waits no more. Each must come to `end` then."""
        waiting = [task for task in self.ledger.tasks(PENDING) if self.withdraw(task)]
        waiting += [task for tasks in self._pinned.values() for task in tasks]
        self._pinned.clear()
        return waiting

    def recall(self, wanted: Callable[[T], bool]) -> T | None:
        """A task that was given back, which waits no more. It must come to `end` then."""
        task = next(filter(wanted, self._returned), None)
        if task is not None:
            self._returned.remove(task)
        return task

    def recall_all(self) -> list[T]:
        """Every task that was given back, as `recall`."""
        returned, self._returned = list(self._returned), deque()
        return returned
