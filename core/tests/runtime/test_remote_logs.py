from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from pipe_core import Executor, get_executor
from pipe_core.runtime import remote_logs
from pipe_core.runtime.trace import run_id
from pipe_core.runtime.wire import open_answer, pack_call, run_frame


@pytest.fixture
def lone() -> Iterator[Executor]:
    """An executor over one fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, get_executor(pool) as executor:
        yield executor


def warn(text: str, *args: object, level: int = logging.WARNING, **options: Any) -> int:
    import logging
    import os

    logging.getLogger("their.logger").log(level, text, *args, **options)
    return os.getpid()


def test_what_a_worker_logs_reaches_the_handlers_here(processes: Executor, caplog: pytest.LogCaptureFixture) -> None:
    process = processes.submit(warn, "%s of %d", "one", 2, extra={"shop": "x", "odd": object()}).result()
    [record] = caplog.records

    assert (record.name, record.levelno, record.levelname) == ("their.logger", logging.WARNING, "WARNING")
    assert (record.getMessage(), record.args) == ("one of 2", ())
    assert (record.process, record.threadName, record.funcName) == (process, "MainThread", "warn")
    assert (record.filename, record.module) == (Path(__file__).name, Path(__file__).stem)
    assert record.pathname == __file__
    assert re.fullmatch(rf".+:{process}", record.pipe_worker)  # type: ignore[attr-defined]  # ours
    assert record.pipe_run is None  # type: ignore[attr-defined]  # ours
    assert record.shop == "x"  # type: ignore[attr-defined]  # from extra
    assert not hasattr(record, "odd")
    assert logging.Formatter("%(asctime)s %(msecs)d %(message)s").format(record)


def test_records_know_their_run(processes: Executor, caplog: pytest.LogCaptureFixture) -> None:
    token = run_id.set("run-7")
    try:
        processes.submit(warn, "text").result()
    finally:
        run_id.reset(token)

    assert [record.pipe_run for record in caplog.records] == ["run-7"]  # type: ignore[attr-defined]  # ours


def test_a_traceback_is_logged_as_text(processes: Executor, caplog: pytest.LogCaptureFixture) -> None:
    def failing() -> None:
        import logging

        try:
            raise KeyError("lost")
        except KeyError:
            logging.getLogger("x").exception("it failed")

    processes.submit(failing).result()

    assert "it failed\nTraceback (most recent call last):" in caplog.text
    assert "KeyError: 'lost'" in caplog.text


def test_records_come_with_errors_and_with_bytes_too(processes: Executor, caplog: pytest.LogCaptureFixture) -> None:
    def failing() -> None:
        import logging

        logging.getLogger("x").warning("before the failure")
        raise ValueError("x")

    def raw() -> bytes:
        import logging

        logging.getLogger("x").warning("before the bytes")
        return b"raw"

    assert isinstance(processes.submit(failing).exception(), ValueError)
    assert processes.submit(raw).result() == b"raw"
    assert caplog.messages == ["before the failure", "before the bytes"]


def test_records_of_other_threads_of_the_worker_come_too(processes: Executor, caplog: pytest.LogCaptureFixture) -> None:
    def threaded() -> None:
        import logging
        import threading

        thread = threading.Thread(target=logging.warning, args=["from a thread"], name="their-thread")
        thread.start()
        thread.join()

    processes.submit(threaded).result()

    assert [(record.message, record.threadName) for record in caplog.records] == [("from a thread", "their-thread")]


# --- levels ---


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR])
def test_the_level_here_decides_what_is_sent(level: int, processes: Executor, caplog: pytest.LogCaptureFixture) -> None:
    def log_all() -> None:
        import logging

        for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger("their.logger").log(number, "text")

    with caplog.at_level(level):
        processes.submit(log_all).result()

    assert [record.levelno for record in caplog.records] == list(range(level, logging.ERROR + 1, 10))


def test_what_nobody_wants_is_not_even_formatted(processes: Executor) -> None:
    def log_odd() -> list[str]:
        import logging

        seen = []

        class Odd:
            def __str__(self) -> str:
                seen.append("formatted")
                return "odd"

        logging.getLogger("x").info("%s", Odd())
        return seen

    assert processes.submit(log_odd).result() == []


def test_a_logger_that_is_stricter_here_stays_so(processes: Executor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "their.logger"):
        processes.submit(warn, "unwanted").result()
        processes.submit(warn, "wanted", level=logging.ERROR).result()

    assert caplog.messages == ["wanted"]


def test_logging_that_is_disabled_here_sends_nothing() -> None:
    logging.disable(logging.ERROR)
    try:
        assert remote_logs.threshold() == logging.ERROR + 1
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("level", "sent"), [(0, 1), (1, 1), (30, 30), (255, 255), (1000, 255)])
def test_any_level_fits_in_a_byte(level: int, sent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "level", level)
    assert remote_logs.threshold() == sent


# --- bounds ---


def test_a_flood_is_cut_and_counted(lone: Executor, caplog: pytest.LogCaptureFixture) -> None:
    def flood() -> float:
        import logging
        import time

        started = time.monotonic()
        for number in range(20_000):
            logging.getLogger("x").warning("record %d", number)
        return time.monotonic() - started

    seconds = lone.submit(flood).result()
    texts = caplog.messages
    [count] = re.findall(r"^and ([\d,]+) more log records were dropped here", texts[-1])

    assert texts[:100] == [f"record {number}" for number in range(100)]
    assert 100 <= len(texts) - 1 <= 100 * (seconds + 1)
    assert len(texts) - 1 + int(count.replace(",", "")) == 20_000


def test_a_long_text_is_cut(processes: Executor, caplog: pytest.LogCaptureFixture) -> None:
    processes.submit(warn, "x" * 10**6).result()

    assert 10_000 < len(caplog.messages[0]) < 50_000


def test_an_answer_without_records_has_nothing_for_them(processes: Executor) -> None:
    assert run_frame(pack_call(bytes, (b"raw",), {})) == b"\x01Braw"


# --- what goes wrong ---


def test_a_record_whose_text_cannot_be_made_says_where(processes: Executor, caplog: pytest.LogCaptureFixture) -> None:
    processes.submit(warn, "%d", "no number").result()

    assert re.search(r"log record of .*test_remote_logs.py:\d+ whose text cannot be made: TypeError", caplog.text)


def test_a_filter_here_that_fails_fails_no_call(processes: Executor, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(record: logging.LogRecord) -> bool:
        raise RuntimeError("the filter is broken")

    logging.getLogger("their.logger").addFilter(fails)
    try:
        assert processes.submit(warn, "text").result() > 0
    finally:
        logging.getLogger("their.logger").removeFilter(fails)
    assert "the filter is broken" in capsys.readouterr().err


def test_damaged_logs_harm_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert open_answer(b"\x01braw\xc1\0\0\0\x01").value == b"raw"
    assert "Traceback" in capsys.readouterr().err


# --- where no handler belongs ---


def test_in_the_process_of_the_driver_nothing_is_collected(caplog: pytest.LogCaptureFixture) -> None:
    before = list(logging.root.handlers)
    answer = run_frame(pack_call(warn, ("once",), {}))

    assert open_answer(answer).value == os.getpid()
    assert caplog.messages == ["once"]
    assert [type(handler) for handler in logging.root.handlers] == [type(handler) for handler in before]


def run_script(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(textwrap.dedent(text))
    return subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=50, check=True
    )


def test_importing_adds_no_handler(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
        import logging
        import pipe_core, pipe_core.runtime.wire, pipe_core.runtime.remote_logs, pipe_core.runtime.foreign
        assert logging.root.handlers == []
        assert logging.root.level == logging.WARNING
        """,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_worker_shows_a_record_once_and_keeps_its_own_handlers(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        import logging
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from pipe_core import get_executor

        def own_handler():
            handler = logging.FileHandler("worker.log")
            logging.getLogger("their.logger").addHandler(handler)

        logging.basicConfig(level=logging.INFO, format="%(message)s by %(pipe_worker)s")
        with ProcessPoolExecutor(1, mp_context=get_context("fork"), initializer=own_handler) as pool:
            with get_executor(pool) as executor:
                executor.submit(lambda: logging.getLogger("their.logger").info("hello")).result()
        """,
    )

    assert re.fullmatch(r"hello by .+:\d+\n", done.stderr), done.stderr
    assert (tmp_path / "worker.log").read_text() == "hello\n"


def test_a_worker_that_logs_more_by_itself_goes_on_doing_so(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        import logging
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from pipe_core import get_executor

        def chatty():
            logging.basicConfig(level=logging.DEBUG, filename="worker.log", format="%(message)s")

        if __name__ == "__main__":
            with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=chatty) as pool:
                with get_executor(pool) as executor:
                    executor.submit(lambda: logging.getLogger("x").debug("detail")).result()
                    executor.submit(lambda: logging.getLogger("x").warning("hint")).result()
        """,
    )

    assert (tmp_path / "worker.log").read_text() == "detail\nhint\n"
    assert done.stderr == "hint\n"
