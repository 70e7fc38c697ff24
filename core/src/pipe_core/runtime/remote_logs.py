"""Logs of workers: what is logged there during a call is handed to the driver's loggers with the answer.

A worker collects only what the driver would show, and at most `MOST` records a second; beyond that it counts.
"""

from __future__ import annotations

import functools
import logging
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any, Final, cast

from pipe_core.runtime.trace import run_id

MOST: Final = 100
"""How many records a worker sends of one second."""

_MOST_WAITING: Final = 10 * MOST
_LONGEST: Final = 20_000
_SECOND: Final = 1.0
_SENT: Final = (
    "name", "levelno", "levelname", "created", "pathname", "lineno", "funcName", "stack_info", "process", "processName",
    "threadName", "taskName",
)  # fmt: skip
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "exc_text", "taskName"}

_driver: int | None = None
_collector: _Collector | None = None
_inherited: list[tuple[logging.Logger, logging.Handler]] = []
_lock = threading.Lock()


# --- in the worker ---


class _Collector(logging.Handler):
    """Keeps records until the next answer takes them."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[dict[str, Any]] = []
        self.dropped = 0
        self.threshold = -1
        self.ready = False
        self._second = 0.0
        self._count = 0
        self._told = 0.0
        self._root_level = logging.root.level

    def want(self, threshold: int) -> None:
        """Let through what the driver shows. A level that somebody chose in this process is never made stricter."""
        self.threshold = threshold
        self.setLevel(threshold)
        logging.root.setLevel(min(self._root_level, threshold))

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._second >= _SECOND:
            self._second, self._count = now, 0
        self._count += 1
        if self._count > MOST or len(self.waiting) >= _MOST_WAITING:
            self.dropped += 1
        else:
            self.waiting.append(_as_data(record))
        self.ready = True

    def take(self) -> list[dict[str, Any]]:
        """What came since the last time. Dropped records are told of once a second."""
        with cast(threading.RLock, self.lock):
            taken, self.waiting, self.ready = self.waiting, [], False
            now = time.monotonic()
            if self.dropped and now - self._told >= _SECOND:
                taken.append(_as_data(_notice(self.dropped)))
                self.dropped, self._told = 0, now
            return taken


def _notice(count: int) -> logging.LogRecord:
    record = logging.LogRecord("pipe_core", logging.WARNING, __file__, 0, "", (), None)
    record.msg = f"and {count:,} more log records were dropped here: a worker sends at most {MOST} a second"
    return record


def _as_data(record: logging.LogRecord) -> dict[str, Any]:
    facts = {key: value for key in _SENT if _is_plain(value := getattr(record, key, None))}
    facts["message"] = _message(record)[:_LONGEST]
    if record.exc_info and record.exc_info[0] is not None:
        facts["exc_text"] = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")[-_LONGEST:]
    extra = {key: value for key, value in vars(record).items() if key not in _OWN and _is_plain(value)}
    extra.setdefault("pipe_run", run_id.get())
    facts["extra"] = extra
    return facts


def _message(record: logging.LogRecord) -> str:
    try:
        return str(record.getMessage())
    except Exception as error:
        return f"<log record of {record.pathname}:{record.lineno} whose text cannot be made: {type(error).__name__}>"


def _is_plain(value: Any) -> bool:
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return type(value) in (str, float, bool, type(None))


def _remember_inherited() -> None:
    """Note in a fresh fork which handlers are its parent's."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    found = [
        (logger, handler) for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers
    ]
    _inherited[:] = [(logger, handler) for logger, handler in found if handler is not _collector]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_remember_inherited)


def _install() -> _Collector:
    global _collector  # one a process
    with _lock:
        if _collector is None:
            _collector = _Collector()
            logging.root.addHandler(_collector)
        while _inherited:  # the driver has the same ones, and every record would be shown twice
            logger, handler = _inherited.pop()
            logger.removeHandler(handler)
        return _collector


def listen(threshold: int) -> None:
    """Collect what is logged from now on at *threshold* or above, if this process is a worker."""
    collector = _collector
    if collector is None or _inherited:
        if _driver == os.getpid():  # its own handlers hear it
            return
        collector = _install()
    if collector.threshold != threshold:
        collector.want(threshold)


def take() -> bytes:
    """What was collected, as bytes; empty when there is nothing."""
    collector = _collector
    if collector is None or not (collector.ready or collector.dropped):
        return b""
    records = collector.take()
    if not records:
        return b""
    import msgpack

    return cast(bytes, msgpack.packb([_worker(), records], unicode_errors="backslashreplace"))


def _worker() -> str:
    return f"{_host()}:{os.getpid()}"


@functools.cache
def _host() -> str:
    return socket.gethostname()


# --- on the driver ---


def threshold() -> int:
    """The level below which this process shows nothing, as one byte. Says as well that calls start here."""
    global _driver
    if _driver is None:
        _driver = os.getpid()
    root = logging.root
    return max(0, min(255, max(root.level, root.manager.disable + 1)))


def hand_on(data: bytes) -> None:
    """Give what a worker collected to the loggers of the same names. Never raises: the answer matters more."""
    import msgpack

    try:
        worker, records = msgpack.unpackb(data)
        for facts in records:
            logger = logging.getLogger(facts["name"])
            if logger.isEnabledFor(facts["levelno"]):
                logger.handle(_as_record(facts, worker))
    except Exception:  # a filter of the user's, or damaged bytes
        if logging.raiseExceptions and sys.stderr:
            traceback.print_exc()


def _as_record(facts: Mapping[str, Any], worker: str) -> logging.LogRecord:
    known = {key: facts[key] for key in _SENT if key in facts}
    created = known["created"]
    known |= {"msg": facts["message"], "args": (), "msecs": created % 1 * 1000, "exc_text": facts.get("exc_text")}
    file = os.path.basename(known.get("pathname") or "")
    known |= {"filename": file, "module": os.path.splitext(file)[0]}
    return logging.makeLogRecord({"pipe_worker": worker} | facts["extra"] | known)
