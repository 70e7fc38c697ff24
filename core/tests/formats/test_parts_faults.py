"""Runs that do not end well leave folders as they were, and workers that cannot write are named."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from part_cases import RECORDS, Row, names_in, opened, read_back
from reading import make

from pipe_core import Pipe, PipeError, SinkError, SourceError
from pipe_core.formats import joined_sink, part_sink
from pipe_core.kernel.errors import OptionsError

# --- runs that do not end well ---


@pytest.mark.parametrize("options", [{}, {"via": "files"}], ids=["parts", "joined"])
@pytest.mark.parametrize("mode", ["error", "overwrite"])
def test_a_run_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, source: Path, executor: Any, least: int, mode: Any, options: dict[str, Any]
) -> None:
    target = tmp_path / "out.jsonl"
    given = (str(target) if options else f"{target}/", options)
    if mode == "overwrite":
        Pipe([{"n": -1}], given).run()
    before = names_in(tmp_path)
    with source.open("a") as file:
        file.write("no number,x\n" * 20)
    with pytest.raises(PipeError):
        Pipe(source, given, schema=Row, executor=executor, mode=mode, max_errors=10).run()
    assert names_in(tmp_path) == before
    if mode == "overwrite":
        got: list[Any] = []
        Pipe(target, got).run()
        assert got == [{"n": -1}]


def test_what_a_broken_source_gave_is_kept_in_parts(tmp_path: Path, least: int) -> None:
    def broken() -> Iterator[dict[str, int]]:
        yield from ({"n": i} for i in range(3))
        raise OSError("gone")

    for _ in range(2):  # the second one takes the place of the first one
        with pytest.raises(SourceError):
            Pipe(broken(), f"{tmp_path}/out.jsonl/").run()
    assert names_in(tmp_path) == ["out.jsonl.partial"]
    got: list[Any] = []
    Pipe((f"{tmp_path}/out.jsonl.partial/", {"format": "jsonl"}), got).run()
    assert got == [{"n": i} for i in range(3)]


KILLED = """
import sys, time
from pipe_core import Pipe
def records():
    for i in range(100_000):
        yield {"n": i, "text": "x" * 100}
        if i == 50_000:
            print("half", flush=True)
            time.sleep(60)
Pipe(records(), sys.argv[1], mode="overwrite").run()
"""


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_killed_leaves_the_target_as_it_was(tmp_path: Path, with_signal: int) -> None:
    out = tmp_path / "out.jsonl"
    Pipe([{"n": -1}], f"{out}/").run()
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, f"{out}/"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(with_signal)
        process.wait(timeout=30)
    assert read_back(out) == [{"n": -1}]
    hidden = [name for name in names_in(tmp_path) if name != "out.jsonl"]
    assert hidden == [] if with_signal == signal.SIGINT else all(name[0] == "." for name in hidden)


def test_parts_of_results_that_nobody_took_do_not_appear(tmp_path: Path, least: int) -> None:
    sink = opened(tmp_path / "out.jsonl")
    encoder = sink.encoder()
    taken, refused = (encoder.merge([encoder.join([b'{"n":%d}' % i])]) for i in range(2))
    assert isinstance(refused, dict) == (least == 1)
    sink.write(taken, 1)
    sink.commit()
    sink.close()
    assert names_in(tmp_path) == ["out.jsonl"]
    assert read_back(tmp_path / "out.jsonl") == [{"n": 0}]


def test_a_chunk_of_several_tries_keeps_its_order(tmp_path: Path, least: int) -> None:
    sink = opened(tmp_path / "out.jsonl")
    encoder = sink.encoder()
    tries = [encoder.merge([encoder.join([b'{"n":%d}' % i])]) for i in range(3)]
    tries[1] = b'{"n":1}\n'
    sink.write(encoder.merge(tries), 3)
    sink.commit()
    sink.close()
    assert read_back(tmp_path / "out.jsonl") == [{"n": i} for i in range(3)]


def test_a_worker_that_ends_later_finds_no_folder_and_leaves_nothing(tmp_path: Path) -> None:
    sink = opened(tmp_path / "out.jsonl")
    encoder = sink.encoder()
    sink.close()
    rows = encoder.join([b"x" * part_sink.LEAST])
    assert encoder.merge([rows]) == rows
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("way", ["parts", "joined"])
def test_a_worker_that_does_not_see_the_folder_gives_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, source: Path
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    given = f"{tmp_path}/out.jsonl/" if way == "parts" else (f"{tmp_path}/out.jsonl", {"via": "files"})
    Pipe(source, given, schema=Row).run()
    got: list[Any] = []
    Pipe(tmp_path / "out.jsonl", got).run()
    assert got == RECORDS


# --- faults ---


def test_a_part_that_is_cut_is_seen(tmp_path: Path) -> None:
    sink = opened(tmp_path / "out.jsonl")
    encoder = sink.encoder()
    payload = encoder.merge([b"x" * part_sink.LEAST + b"\n"])
    [part] = Path(encoder.folder).iterdir()
    part.write_bytes(b"cut")
    with pytest.raises(SinkError, match="damaged: a worker wrote"):
        sink.write(payload, 1)
    part.unlink()
    with pytest.raises(SinkError, match="No such file"):
        sink.write(payload, 1)
    sink.close()
    assert names_in(tmp_path) == []


def test_rows_that_are_cut_are_seen(tmp_path: Path) -> None:
    sink = make("jsonl", via="files").sink(tmp_path / "out.jsonl")
    sink.open("error")
    encoder = travelled(sink.encoder())
    payload = encoder.merge([b"x" * joined_sink.LEAST + b"\n"])
    [piece] = Path(encoder.folder).iterdir()
    piece.write_bytes(b"cut")
    with pytest.raises(SinkError, match="damaged: a worker wrote"):
        sink.write(payload, 1)
    sink.close()
    assert names_in(tmp_path) == []


def travelled(encoder: Any) -> Any:
    import cloudpickle

    return cloudpickle.loads(cloudpickle.dumps(encoder))


@pytest.mark.skipif(os.name == "nt", reason="needs limits of resources")
@pytest.mark.parametrize("way", ["parts", "joined"])
def test_a_worker_that_cannot_write_names_the_target(tmp_path: Path, way: str) -> None:
    import resource

    target = f"{tmp_path}/out.jsonl" + ("/" if way == "parts" else "")
    sink = make("jsonl", via="files").sink(target)
    sink.open("error")
    encoder = travelled(sink.encoder())
    old_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old_limit[1]))
        with pytest.raises(SinkError, match="ulimit") as caught:
            encoder.merge([b"x" * part_sink.LEAST])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
        signal.signal(signal.SIGXFSZ, old_handler)
    assert repr(target) in str(caught.value)
    sink.close()
    assert names_in(tmp_path) == []


def test_a_worker_that_cannot_write_fails_the_run(tmp_path: Path, source: Path, executor: Any) -> None:
    Pipe([{"n": -1}], f"{tmp_path}/out.jsonl/").run()

    if not os.path.isdir("/proc/self/task"):
        pytest.skip("needs /proc")
    done: list[bool] = []

    def once(value: Any, store: Any) -> None:  # nothing can be made in such a folder, not even by root
        if not done:
            done.append(True)
            for hidden in tmp_path.glob(".out.jsonl.*.parts/arrivals"):
                if not hidden.is_symlink():
                    os.rename(hidden, f"{hidden}.away")
                    hidden.symlink_to("/proc/self/task")

    with pytest.raises(SinkError, match=r"out\.jsonl"):
        Pipe(
            source,
            f"{tmp_path}/out.jsonl/",
            schema=Row,
            post_validation_hooks=[once],
            executor=executor,
            mode="overwrite",
        ).run()
    assert read_back(tmp_path / "out.jsonl") == [{"n": -1}]
    assert names_in(tmp_path) == ["in", "out.jsonl"]


def test_places_that_cannot_be_written_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="make it first"):
        Pipe([], f"{tmp_path}/missing/out.jsonl/").run()
    with pytest.raises(SinkError, match="paths only"):
        make("jsonl").sink("s3://bucket/out.jsonl/")
    for target in ("-", "memory://a.jsonl"):
        with pytest.raises(OptionsError, match="beside the target"):
            make("jsonl", via="files").sink(target)
    with pytest.raises(OptionsError, match="via"):
        Pipe([], (f"{tmp_path}/out.json", {"via": "files"})).run()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_access_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(SinkError, match="permissions"):
            Pipe([], f"{tmp_path}/out.jsonl/").run()
    finally:
        tmp_path.chmod(0o700)


def test_parts_are_durable_before_the_folder_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Path, least: int
) -> None:
    events: list[str] = []

    def noted(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(one: Any, *rest: Any, **named: Any) -> Any:
            events.append(f"{name} {os.path.realpath(f'/proc/self/fd/{one}') if isinstance(one, int) else one}")
            return function(one, *rest, **named)

        return call

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", noted(os.fsync, "fsync"))
    monkeypatch.setattr(os, "rename", noted(os.rename, "rename"))
    Pipe(source, f"{tmp_path}/out.jsonl/", schema=Row).run()
    appears = next(i for i, event in enumerate(events) if event.startswith("rename") and event.endswith("/whole"))
    synced = [event for event in events[:appears] if event.startswith("fsync") and event.endswith(".part")]
    assert len(synced) == len(names_in(tmp_path / "out.jsonl"))
    assert events[appears - 1].startswith("fsync")
    assert events[appears - 1].endswith("/whole")
    assert events[appears + 1] == f"fsync {tmp_path}"


def test_permissions_are_private_while_writing_and_usual_afterwards(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        sink = opened(tmp_path / "out.jsonl")
        [hidden] = tmp_path.iterdir()
        assert stat.S_IMODE(hidden.stat().st_mode) == 0o700
        sink.write(b"1\n", 1)
        sink.commit()
        sink.close()
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out.jsonl").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "out.jsonl" / "part-00000.jsonl").stat().st_mode) == 0o640


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out.jsonl").symlink_to(tmp_path / "real")
    Pipe([{"n": 1}], f"{tmp_path}/out.jsonl/", mode="overwrite").run()
    assert (tmp_path / "out.jsonl").is_symlink()
    assert names_in(tmp_path / "real") == ["part-00000.jsonl"]
