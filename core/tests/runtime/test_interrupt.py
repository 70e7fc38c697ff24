from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pipe_core.kernel.ctrl_c import is_ctrl_c
from pipe_core.kernel.errors import RunCancelledError
from pipe_core.runtime import interrupt
from pipe_core.runtime.interrupt import Interrupts, interruptible

BOTH = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The handlers of a plain program, whatever pytest has."""
    before = {number: signal.getsignal(number) for number in BOTH}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def current() -> list[Any]:
    return [signal.getsignal(number) for number in BOTH]


def test_the_handlers_are_there_for_the_block_only() -> None:
    plain = current()
    with Interrupts(print, terminate=True) as interrupts:
        assert current() == [interrupts._handle, interrupts._handle]
    assert current() == plain
    with Interrupts(print) as interrupts:
        assert current() == [interrupts._handle, signal.SIG_DFL]
    assert current() == plain


def test_the_handlers_are_put_back_after_an_exception() -> None:
    plain = current()
    with pytest.raises(KeyError), Interrupts(print, terminate=True):
        raise KeyError

    assert current() == plain


def test_somebody_else_s_handler_is_left_alone() -> None:
    def mine(number: int, frame: object) -> None: ...

    signal.signal(signal.SIGINT, mine)
    with Interrupts(print, terminate=True) as interrupts:
        assert current() == [mine, interrupts._handle]
    assert current() == [mine, signal.SIG_DFL]


def test_blocks_nest() -> None:
    stops: list[str] = []
    with Interrupts(lambda: stops.append("outer")), Interrupts(lambda: stops.append("inner")):
        signal.raise_signal(signal.SIGINT)

    assert stops == ["outer"], "the inner block found a handler of somebody else"


def test_ctrl_c_is_known_from_the_signal_to_the_end_of_the_block() -> None:
    with Interrupts(lambda: None):
        assert not is_ctrl_c(KeyboardInterrupt())
        signal.raise_signal(signal.SIGINT)
        assert is_ctrl_c(KeyboardInterrupt())
        assert not is_ctrl_c(SystemExit())
    assert not is_ctrl_c(KeyboardInterrupt())


def test_in_another_thread_the_block_changes_nothing() -> None:
    seen: list[Any] = []

    def block() -> None:
        with Interrupts(print, terminate=True):
            seen.extend(current())

    plain = current()
    thread = threading.Thread(target=block)
    thread.start()
    thread.join()

    assert seen == plain == current()


@pytest.mark.parametrize("number", BOTH, ids=lambda number: number.name)
def test_the_first_signal_asks_to_stop(number: signal.Signals) -> None:
    stops: list[int] = []
    with Interrupts(lambda: stops.append(1), terminate=True) as interrupts:
        assert interrupts.received is None
        signal.raise_signal(number)
        assert interrupts.received == number

    assert stops == [1]


@pytest.mark.parametrize("second", BOTH, ids=lambda number: number.name)
def test_a_second_signal_ends_user_code(second: signal.Signals) -> None:
    stops: list[int] = []
    with Interrupts(lambda: stops.append(1), terminate=True):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(second)

    assert stops == [1]


def test_code_that_does_not_come_back_is_interrupted_after_the_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupt, "GRACE", 0.02)
    never = threading.Event()
    with Interrupts(lambda: None):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            never.wait(20)


def test_code_that_comes_back_in_time_is_not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupt, "GRACE", 0.1)
    signalled: list[int] = []
    monkeypatch.setattr(interrupt, "_signal_main_thread", signalled.append)
    with Interrupts(lambda: None):
        signal.raise_signal(signal.SIGINT)
    time.sleep(0.3)

    assert signalled == []


def test_a_handler_that_waits_for_what_the_main_thread_holds_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lock of anybody turns Ctrl-C into a program that hangs."""
    monkeypatch.setattr(interrupt, "GRACE", 0.02)
    held = threading.Lock()
    with Interrupts(lambda: held.acquire(timeout=20)), pytest.raises(KeyboardInterrupt), held:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_that_comes_too_late_is_raised_all_the_same(
    number: signal.Signals, raised: type[BaseException]
) -> None:
    reached: list[int] = []
    with pytest.raises(raised), interruptible(lambda: reached.append(1), terminate=True):
        signal.raise_signal(number)

    assert reached == [1]


@pytest.mark.parametrize("error", [RunCancelledError("The run was aborted."), KeyboardInterrupt("of user code")])
def test_what_no_signal_ended_stays_what_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, interruptible(lambda: None):
        raise error

    assert caught.value is error


def test_ctrl_c_in_a_real_program_stops_it_gently() -> None:
    program = """
import threading
import time
from pipe_core.runtime.interrupt import Interrupts
stop = threading.Event()
with Interrupts(stop.set, terminate=True) as interrupts:
    print("ready", flush=True)
    stop.wait(20)
print("stopped by", interrupts.received)
"""
    for number in BOTH:
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            assert process.stdout.read() == f"stopped by {int(number)}\n"
        assert process.returncode == 0
