"""Files of fsspec's own store in memory, and of a web server: what is promised of any store."""

from __future__ import annotations

import gzip
import pickle
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from reading import make, read_chunks, read_splits

from pipe_core import OptionsError, Pipe, PipeError, SinkError, SourceError, SourceNotFoundError, TargetExistsError
from pipe_core.formats.remote_file import RemoteFile

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'pipe-core[cloud]'")

from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402  # behind the line that skips

CSV = b"id,text\n" + b"".join(b'%d,"row ""%d"""\n' % (i, i) for i in range(20_000))


@pytest.fixture
def store() -> Iterator[Any]:
    """The store behind ``memory://``, empty."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def names(store: Any) -> list[str]:
    return sorted(store.store)


def local(tmp_path: Path, data: bytes, source: str, sink: str, **how: Any) -> bytes:
    """What the same run writes from and to paths."""
    (tmp_path / source).write_bytes(data)
    Pipe(str(tmp_path / source), str(tmp_path / sink), mode="overwrite", **how).run()
    return (tmp_path / sink).read_bytes()


# --- reading and writing ---


@pytest.mark.parametrize("sink", ["out.jsonl", "out.csv", "out.json", "out.jsonl.gz", "out.csv.lz4", "out.tsv"])
@pytest.mark.parametrize("source", ["in.csv", "in.csv.gz", "in.csv.lz4"])
def test_bytes_are_those_of_a_run_over_paths(store: Any, tmp_path: Path, source: str, sink: str) -> None:
    import lz4.frame

    data = {"gz": gzip.compress, "lz4": lz4.frame.compress, "csv": bytes}[source.rpartition(".")[2]](CSV)
    store.pipe(f"/a/{source}", data)
    report = Pipe(f"memory://a/{source}", f"memory://b/{sink}").run()
    assert (report.source, report.sink, report.read) == (f"memory://a/{source}", f"memory://b/{sink}", 20_000)
    assert report.delivery == "exactly-once"
    assert store.cat(f"/b/{sink}") == local(tmp_path, data, source, sink)
    assert names(store) == [f"/a/{source}", f"/b/{sink}"]


@pytest.mark.parametrize("split", [1_000, 77_777, 1 << 20])
def test_splits_are_those_of_a_path(store: Any, tmp_path: Path, split: int) -> None:
    data = b"\xef\xbb\xbf" + CSV.replace(b"row ", b"two\r\nlines \xc3\xa9")
    store.pipe("/a.csv", data)
    (tmp_path / "a.csv").write_bytes(data)
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + b'{"a":"\xc3\xa9"}\n\n' * 3_000)
    store.pipe("/a.jsonl", (tmp_path / "a.jsonl").read_bytes())
    for name in ("csv", "jsonl"):
        remote = make(name).source(f"memory://a.{name}")
        assert remote.splits(lambda: split) is None  # nothing is known before it is opened
        found = read_splits(remote, split)
        assert found == read_splits(make(name).source(tmp_path / f"a.{name}"), split) != None  # noqa: E711
        assert remote.size == make_opened(name, tmp_path / f"a.{name}").size


def make_opened(name: str, path: Path) -> Any:
    source = make(name).source(path)
    source.open()
    source.close()
    return source


def test_records_longer_than_what_comes_behind_a_split_are_whole(store: Any) -> None:
    rows = b"".join(b'{"a":"%s"}\n' % (b"x" * 300_000) for _ in range(6))
    store.pipe("/long.jsonl", rows)
    found = read_splits(make("jsonl").source("memory://long.jsonl"), 100_000)
    assert found is not None
    assert [len(record["a"]) for record in found.records] == [300_000] * 6


def test_a_split_needs_few_requests(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pipe("/a.csv", CSV)
    source = make("csv").source("memory://a.csv")
    source.open()
    splits = source.splits(lambda: 50_000)
    source.close()
    assert splits is not None
    asked: list[tuple[int, int]] = []
    real = MemoryFileSystem.cat_file

    def cat_file(self: Any, path: str, start: int = 0, end: int | None = None) -> bytes:
        asked.append((start, end or 0))
        return real(self, path, start, end)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", cat_file)
    for number, split in enumerate(splits, 1):
        assert list(split.batches(500))
        assert len(asked) == number
    assert all(0 < end - start < 190_000 for start, end in asked)


def test_a_split_travels_and_shows_no_secret(store: Any) -> None:
    store.pipe("/a.csv", CSV)
    source = make("csv", storage_options={"skip_instance_cache": "CANARY"}).source("memory://a.csv")
    source.open()
    [split] = source.splits(lambda: 1 << 20) or ()
    source.close()
    assert "CANARY" not in repr(split)
    travelled = pickle.loads(pickle.dumps(split))
    assert sum(len(batch.records) for batch in travelled.batches(1000)) == 20_000
    assert travelled.extent.of == "memory://a.csv"


def test_an_empty_file_has_no_records(store: Any) -> None:
    store.pipe("/a.jsonl", b"")
    assert Pipe("memory://a.jsonl", []).run().read == 0


def test_other_encodings_are_read_from_the_beginning(store: Any, tmp_path: Path) -> None:
    data = "näme,x\nÄ,1\nß,2\n".encode("utf-16")
    store.pipe("/a.csv", data)
    (tmp_path / "a.csv").write_bytes(data)
    found = read_chunks(make("csv", encoding="utf-16").source("memory://a.csv"))
    assert found == read_chunks(make("csv", encoding="utf-16").source(tmp_path / "a.csv"))
    assert found.records[0] == {"näme": "Ä", "x": "1"}


def test_a_reader_is_a_binary_file(store: Any) -> None:
    store.pipe("/a.bin", bytes(range(256)) * 2000)
    with RemoteFile("memory://a.bin", {}).open() as file:
        assert (file.readable(), file.seekable(), file.seek(0, 2)) == (True, True, 512_000)
        assert file.read(1) == b""
        file.seek(-3, 2)
        assert (file.read(), file.tell()) == (b"\xfd\xfe\xff", 512_000)
        file.seek(10)
        file.seek(5, 1)
        buffer = bytearray(4)
        assert (file.readinto(buffer), bytes(buffer)) == (4, bytes(range(15, 19)))
        file.seek(0)
        assert file.read() == bytes(range(256)) * 2000
        with pytest.raises(ValueError, match="before its beginning"):
            file.seek(-1)


# --- modes ---


def test_modes_mean_what_they_mean_for_paths(store: Any) -> None:
    rows = [{"a": 1}]
    store.pipe("/out.jsonl", b"old\n")
    with pytest.raises(TargetExistsError, match=r"'memory://out\.jsonl' exists already\. Use mode='overwrite', or ano"):
        Pipe(rows, "memory://out.jsonl").run()
    Pipe(rows, "memory://out.jsonl", mode="ignore").run()
    assert store.cat("/out.jsonl") == b"old\n"
    Pipe(rows, "memory://new.jsonl", mode="ignore").run()
    assert store.cat("/new.jsonl") == b'{"a":1}\n'
    Pipe(rows, "memory://out.jsonl", mode="overwrite").run()
    assert store.cat("/out.jsonl") == b'{"a":1}\n'
    assert names(store) == ["/new.jsonl", "/out.jsonl"]


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "json"])
def test_appending_is_refused_before_anything_runs(store: Any, suffix: str, exists: bool) -> None:
    if exists:
        store.pipe(f"/out.{suffix}", b"")
    with pytest.raises(SinkError, match="append"):
        Pipe([{"a": 1}], f"memory://out.{suffix}", mode="append").run()
    assert names(store) == ([f"/out.{suffix}"] if exists else [])


def test_a_run_that_fails_leaves_the_target_as_it_was(store: Any) -> None:
    store.pipe("/out.jsonl", b"old\n")
    with pytest.raises(PipeError):
        Pipe([{"a": 1}, 2] * 10, "memory://out.jsonl", schema=dict, on_error="fail", mode="overwrite").run()
    assert (names(store), store.cat("/out.jsonl")) == (["/out.jsonl"], b"old\n")


def test_nothing_is_to_be_seen_before_the_commit(store: Any) -> None:
    sink = make("jsonl").sink("memory://a/out.jsonl")
    sink.open("error")
    sink.write(b"1\n", 1)
    assert not sink.exists()
    sink.commit()
    assert store.cat("/a/out.jsonl") == b"1\n"
    sink.close()
    assert names(store) == ["/a/out.jsonl"]


def test_what_was_not_committed_is_removed_or_kept(store: Any) -> None:
    for keep in (False, True):
        sink = make("jsonl").sink("memory://a/out.jsonl.gz")
        sink.open("error")
        sink.write(b"1\n", 1)
        place = sink.abort(keep)
        sink.close()
        assert place == ("memory://a/out.jsonl.gz.partial" if keep else None)
        assert names(store) == (["/a/out.jsonl.gz.partial"] if keep else [])
    assert gzip.decompress(store.cat("/a/out.jsonl.gz.partial")) == b"1\n"


def test_a_copy_that_is_not_whole_is_an_error(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryFileSystem, "cp_file", lambda self, one, other: self.pipe(other, b"half"))
    with pytest.raises(SinkError, match="8 bytes were written and 4 are there"):
        Pipe([{"a": 1}], "memory://out.jsonl").run()


def test_a_leftover_that_cannot_be_removed_is_told_and_fails_no_run(
    store: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def rm_file(self: Any, path: str) -> None:
        raise PermissionError("no, CANARY")

    monkeypatch.setattr(MemoryFileSystem, "rm_file", rm_file)
    sink = ("memory://out.jsonl", {"storage_options": {"skip_instance_cache": "CANARY"}})
    assert Pipe([{"a": 1}], sink).run().valid == 1
    assert store.cat("/out.jsonl") == b'{"a":1}\n'
    assert "memory://out.jsonl is complete" in caplog.text
    assert "CANARY" not in caplog.text


# --- faults ---


def test_a_missing_file_is_named(store: Any) -> None:
    with pytest.raises(SourceNotFoundError, match=r"There is no file 'memory://a\.csv'"):
        Pipe("memory://a.csv", []).run()


def test_a_folder_is_no_file(store: Any) -> None:
    store.pipe("/a.csv/b.csv", CSV)
    with pytest.raises(SourceError, match="it is a folder"):
        Pipe("memory://a.csv", []).run()


def test_names_of_no_store_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    for scheme in ("local", "dir", "simplecache", "zip"):
        with pytest.raises(OptionsError, match=f"'{scheme}://' names no store"):
            Pipe(f"{scheme}://{tmp_path}/a.csv", []).run()
    for path in (f"simplecache::file://{tmp_path}/a.csv", "nosuch://host/a.csv"):
        with pytest.raises(PipeError):
            Pipe((path, {"format": "csv"}), []).run()
    with pytest.raises(OptionsError, match="no store that fsspec knows as 'nosuch://'"):
        make("csv").source("nosuch://host/a.csv").open()


def test_a_store_that_needs_a_package_names_it() -> None:
    if "gcsfs" in fsspec.available_protocols():  # pragma: no cover
        pytest.skip("a plugin of fsspec")
    try:
        import gcsfs  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match=r"need the module gcsfs.*pip install 'pipe-core\[cloud\]' gcsfs"):
            Pipe("gs://bucket/a.csv", []).run()
    else:
        pytest.skip("gcsfs is installed")


def test_a_file_that_is_replaced_is_never_mixed(store: Any) -> None:
    store.pipe("/a.csv", CSV)
    source = make("csv").source("memory://a.csv")
    source.open()
    first, second = source.splits(lambda: len(CSV) // 2 + 1) or ()
    source.close()
    assert list(first.batches(1000))
    store.pipe("/a.csv", CSV.upper())  # as long as before
    with pytest.raises(SourceError, match=r"'memory://a\.csv' cannot be read: it was replaced while it was read") as e:
        list(second.batches(1000))
    assert e.value.position == 0
    store.rm("/a.csv")
    with pytest.raises(SourceError, match="it was removed while it was read"):
        list(second.batches(1000))


@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_file_that_is_replaced_between_two_requests_is_noticed(
    store: Any, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    store.pipe("/a.csv.gz", gzip.compress(CSV))
    real = MemoryFileSystem.cat_file

    def cat_file(self: Any, path: str, start: int = 0, end: int | None = None) -> bytes:
        if when == "before":
            self.pipe(path, gzip.compress(CSV.upper()))
        data = real(self, path, start, end)
        if when == "behind":
            self.pipe(path, gzip.compress(CSV.upper()))
        return data

    source = make("csv").source("memory://a.csv.gz")
    monkeypatch.setattr(MemoryFileSystem, "cat_file", cat_file)
    found = read_chunks(source)
    assert found.records == []
    assert "replaced while it was read" in str(found.error)


@pytest.mark.parametrize("source", ["in.csv", "in.csv.gz"])
def test_what_came_before_a_failure_is_kept(store: Any, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    data = CSV if source == "in.csv" else gzip.compress(CSV, compresslevel=0)
    store.pipe(f"/{source}", data)
    real = MemoryFileSystem.cat_file

    def cat_file(self: Any, path: str, start: int = 0, end: int | None = None) -> bytes:
        if path == f"/{source}" and (end or 0) > 400_000:
            raise ConnectionResetError("the line broke at memory://in.csv?token=CANARY, key CANARY")
        return real(self, path, start, end)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", cat_file)
    good: list[Any] = []
    given = (f"memory://{source}", {"storage_options": {"skip_instance_cache": "CANARY"}})
    with pytest.raises(SourceError, match="cannot be read: the line broke") as caught:
        Pipe(given, good).run()
    assert "CANARY" not in str(caught.value)
    assert 0 < len(good) < 20_000
    assert [int(record["id"]) for record in good] == list(range(len(good)))
    with pytest.raises(SourceError) as caught:
        Pipe(given, "memory://out.jsonl").run()
    assert names(store) == sorted([f"/{source}", "/out.jsonl.partial"])
    assert 0 < store.cat("/out.jsonl.partial").count(b"\n") < 20_000


def test_a_store_that_fails_while_writing_is_named(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def cp_file(self: Any, one: str, other: str) -> None:
        raise RuntimeError("quota of CANARY reached")

    monkeypatch.setattr(MemoryFileSystem, "cp_file", cp_file)
    sink = ("memory://out.jsonl", {"storage_options": {"skip_instance_cache": "CANARY"}})
    with pytest.raises(SinkError, match=r"'memory://out\.jsonl' cannot be written: RuntimeError: quota of \*\*\* reac"):
        Pipe([{"a": 1}], sink).run()
    assert names(store) == []


# --- patterns ---


def test_a_pattern_reads_many_files_in_the_order_of_their_names(store: Any, tmp_path: Path) -> None:
    for number in (2, 0, 1):
        part = b"id,text\n" + b"".join(b"%d,%d\n" % (i, number) for i in range(number * 1000, (number + 1) * 1000))
        store.pipe(f"/parts/part-{number}.csv", part)
        (tmp_path / f"part-{number}.csv").write_bytes(part)
    zipped = gzip.compress(store.cat("/parts/part-1.csv"))
    store.rm("/parts/part-1.csv")
    store.pipe("/parts/part-1.csv.gz", zipped)
    store.pipe("/parts/part-9.csv/not-this", b"")  # a folder
    good: list[Any] = []
    report = Pipe(("memory://parts/part-*", {"format": "csv"}), good).run()
    assert (report.source, report.read) == ("memory://parts/part-*", 3000)
    assert [int(record["id"]) for record in good] == list(range(3000))
    assert Pipe("memory://parts/part-[02].csv", []).run().read == 2000
    assert Pipe("memory://parts/part-?.csv", []).run().read == 2000


def test_a_file_of_exactly_that_name_comes_first(store: Any) -> None:
    store.pipe("/part-[1].csv", b"id\n1\n2\n")
    store.pipe("/part-1.csv", b"id\n1\n")
    assert Pipe("memory://part-[1].csv", []).run().read == 2


def test_a_pattern_without_files_is_an_error(store: Any) -> None:
    with pytest.raises(SourceNotFoundError, match=r"No file is called like 'memory://part-\*\.csv'"):
        Pipe("memory://part-*.csv", []).run()


# --- the web ---


class Web(BaseHTTPRequestHandler):
    """Serves `files`. With `ranges` it gives pieces of them."""

    files: ClassVar[dict[str, bytes]] = {}
    ranges: ClassVar[bool] = True
    asked: ClassVar[list[str]] = []
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:  # the base class calls it so
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        data = self.files.get(path)
        if data is None:
            self._answer(404, b"")
        elif path.startswith("/secret") and "token=CANARY" not in self.path:
            self._answer(403, b"")
        elif self.ranges and (asked := self.headers.get("Range")):
            begin, _, end = asked.removeprefix("bytes=").partition("-")
            self._answer(206, data[int(begin) : int(end) + 1])
        else:
            self._answer(200, data)

    def _answer(self, status: int, data: bytes) -> None:
        if self.command == "GET":
            self.asked.append(f"{self.path} {status} {len(data)}")
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "text/csv")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def web() -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed: pip install 'pipe-core[cloud]'")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    Web.files, Web.ranges, Web.asked = {"/a.csv": CSV, "/secret.csv": CSV, "/a.csv.gz": gzip.compress(CSV)}, True, []
    yield f"127.0.0.1:{server.server_port}"
    fsspec.filesystem("http").clear_instance_cache()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("source", ["a.csv", "a.csv.gz", "secret.csv?token=CANARY"])
def test_files_of_the_web_are_read(web: str, tmp_path: Path, source: str, ranges: bool) -> None:
    Web.ranges = ranges
    out = tmp_path / "out.jsonl"
    report = Pipe(f"http://{web}/{source}", str(out)).run()
    assert report.source == f"http://{web}/{source}".replace("token=CANARY", "***")
    assert out.read_bytes() == local(tmp_path, CSV, "in.csv", "local.jsonl")
    whole = sum(f" {len(CSV)}" in line for line in Web.asked)
    # A server that cannot give pieces sends everything, which must not happen for every piece.
    assert whole <= (0 if ranges else 3), Web.asked


def test_pieces_of_a_file_of_the_web_are_read_by_workers(web: str) -> None:
    found = read_splits(make("csv").source(f"http://{web}/a.csv"), 50_000)
    assert found is not None
    assert len(found.records) == 20_000
    Web.ranges = False
    assert read_splits(make("csv").source(f"http://{web}/a.csv"), 50_000) is None


def test_more_bytes_than_were_asked_for_are_not_taken_for_them(web: str) -> None:
    source = make("csv").source(f"http://{web}/a.csv")
    source.open()
    _, second, *_ = source.splits(lambda: 50_000) or ()
    source.close()
    Web.ranges = False
    with pytest.raises(SourceError, match=rf"{len(CSV):,} bytes came where 18\d,\d\d\d were asked for"):
        list(second.batches(1000))


def test_errors_of_the_web_are_told_apart_and_hide_the_query(web: str) -> None:
    with pytest.raises(SourceNotFoundError, match=r"no file 'http://127\.0\.0\.1:\d+/none\.csv\?\*\*\*'"):
        Pipe(f"http://{web}/none.csv?token=CANARY", []).run()
    with pytest.raises(SourceError, match=r"403.*storage_options") as caught:
        Pipe(f"http://me:CANARY@{web}/secret.csv?other=CANARY", []).run()
    assert not isinstance(caught.value, SourceNotFoundError)
    assert "CANARY" not in str(caught.value)
    with pytest.raises(SourceError, match="cannot be read: Connect call failed") as caught:
        Pipe("http://127.0.0.1:9/a.csv?token=CANARY", []).run()
    assert not isinstance(caught.value, SourceNotFoundError)


def test_no_traceback_shows_the_query(web: str) -> None:
    import traceback

    for url in (
        f"http://{web}/none.csv?t=CANARY",
        f"http://{web}/secret.csv?t=CANARY",
        "http://127.0.0.1:9/a.csv?t=CANARY",
    ):
        with pytest.raises(SourceError) as caught:
            Pipe(url, []).run()
        assert "CANARY" not in "".join(traceback.format_exception(caught.value))
        assert caught.value.filename is None


def test_nothing_is_written_to_the_web(web: str) -> None:
    with pytest.raises(SinkError, match=r"can only be read: nothing is written to http"):
        Pipe([{"a": 1}], f"http://{web}/a.jsonl", mode="overwrite").run()


def test_a_pattern_reads_the_links_of_a_page(web: str) -> None:
    Web.files = {"/": b'<a href="a1.csv">1</a> <a href="a2.csv">2</a> <a href="b.csv">3</a>'}
    Web.files |= {f"/{name}.csv": b"id\n%d\n" % i for i, name in enumerate(("a1", "a2", "b"))}
    good: list[Any] = []
    assert Pipe(f"http://{web}/a*.csv", good).run().read == 2
    assert good == [{"id": "0"}, {"id": "1"}]
