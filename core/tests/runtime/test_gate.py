from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from pipe_core.runtime.gate import Gate


def test_an_open_gate_lets_everybody_through_at_once() -> None:
    gate = Gate()
    assert not gate
    gate.open()
    gate.open()

    assert gate
    assert gate.wait()
    assert gate.wait(0)


def test_a_closed_gate_lets_nobody_through() -> None:
    gate = Gate()
    began = time.monotonic()

    assert not gate.wait(0)
    assert not gate.wait(0.05)
    assert time.monotonic() - began >= 0.05


def test_all_who_wait_go_on() -> None:
    gate, through = Gate(), []
    threads = [threading.Thread(target=lambda: through.append(gate.wait(20))) for _ in range(5)]
    for thread in threads:
        thread.start()
    gate.open()
    for thread in threads:
        thread.join(20)

    assert through == [True] * 5


def test_a_signal_handler_opens_it_wherever_it_interrupts_who_waits() -> None:
    """One signal at every line and call of `wait`: a `threading.Event` hangs at one of them."""
    moments = 0
    while True:
        gate, passed = Gate(), 0

        def trace(frame: FrameType, event: str, argument: Any, gate: Gate = gate, moment: int = moments) -> Any:
            nonlocal passed
            if "gate.py" in frame.f_code.co_filename:
                passed += 1
                if passed == moment + 1:
                    signal.raise_signal(signal.SIGINT)
            return trace

        before = signal.signal(signal.SIGINT, lambda *_, gate=gate: gate.open())
        sys.settrace(trace)
        try:
            gate.wait(0.2)
        finally:
            sys.settrace(None)
            signal.signal(signal.SIGINT, before)
        if passed <= moments:
            break
        assert gate
        moments += 1

    assert moments > 3
