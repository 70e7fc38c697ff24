"""Files that are written: whole or not at all, with the bytes that were promised."""

from __future__ import annotations

import errno
import gzip
import io
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from reading import make, read

from pipe_core.kernel.contracts import Mode, Sink
from pipe_core.kernel.errors import OptionsError, SinkError, TargetExistsError
from pipe_core.testing.formats import PlainSerializer

ROWS = [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}]


def put(sink: Sink, rows: list[Any], fields: tuple[str, ...] | None = None, mode: Mode = "error") -> None:
    encoder = sink.encoder()
    row = encoder.bind(PlainSerializer(fields))
    try:
        sink.open(mode)
        sink.write(encoder.join([row(one) for one in rows]), len(rows))
        sink.commit()
    finally:
        sink.close()


def csv_of(tmp_path: Path, rows: list[Any], fields: tuple[str, ...] | None = None, **options: Any) -> str:
    path = tmp_path / "out.csv"
    put(make("csv", **options).sink(path), rows, fields, "overwrite")
    return path.read_bytes().decode(options.get("encoding", "utf-8"))


# --- CSV ---


def test_columns_come_from_the_schema(tmp_path: Path) -> None:
    assert csv_of(tmp_path, [{"b": 1, "a": 2}], ("a", "b", "c")) == "a,b,c\n2,1,\n"


def test_columns_come_from_the_options_first(tmp_path: Path) -> None:
    assert csv_of(tmp_path, ROWS, ("id", "text"), fieldnames=["text", "id"]) == "text,id\na,1\nb,2\n"


def test_columns_come_from_the_first_row_where_nobody_knows_them(tmp_path: Path) -> None:
    assert csv_of(tmp_path, [{"id": 1, "x": 2}, {"id": 3}]) == "id,x\n1,2\n3,\n"


def test_a_later_row_with_other_keys_is_refused_or_cut(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="no column for 'new'"):
        csv_of(tmp_path, [{"id": 1}, {"id": 2, "new": 3}])
    assert csv_of(tmp_path, [{"id": 1}, {"id": 2, "new": 3}], on_extra="ignore") == "id\n1\n2\n"


def test_a_row_with_an_unknown_key_fails_alone_where_the_columns_are_known(tmp_path: Path) -> None:
    row = make("csv").sink(tmp_path / "a.csv").encoder().bind(PlainSerializer(("id",)))
    with pytest.raises(ValueError, match="no column for 'new'"):
        row({"id": 1, "new": 2})
    assert row({"id": 1})


def test_values_are_written_as_json_has_them(tmp_path: Path) -> None:
    values = {"n": None, "t": True, "f": False, "x": 0.1, "big": 10**30, "l": [1, "é"], "d": {"a": None}, "e": ""}
    text = csv_of(tmp_path, [values])
    assert text == 'n,t,f,x,big,l,d,e\n,true,false,0.1,1000000000000000000000000000000,"[1,""é""]","{""a"":null}",\n'


def test_a_column_named_id_or_position_survives(tmp_path: Path) -> None:
    assert csv_of(tmp_path, [{"position": 7, "id": 8}]) == "position,id\n7,8\n"


@pytest.mark.parametrize("cell", ["a\rb", "a\nb", "a\r\nb", "", " ", "\n", '"', "a,b"])
def test_any_cell_comes_back(tmp_path: Path, cell: str) -> None:
    csv_of(tmp_path, [{"one": cell}])
    assert read("csv", tmp_path / "out.csv").records == [{"one": cell}]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\0"])
def test_formulas_are_escaped_or_refused_on_demand(tmp_path: Path, start: str) -> None:
    rows = [{"cell": f"{start}cmd()", "number": -5}]
    sink = make("csv", formula="escape").sink(tmp_path / "a.csv")
    _, line = sink.encoder().bind(PlainSerializer(("cell", "number")))(rows[0])
    assert line.lstrip(b'"').startswith(f"'{start}".encode())
    assert line.endswith(b",-5\n")
    refusing = (
        make("csv", formula="reject").sink(tmp_path / "a.csv").encoder().bind(PlainSerializer(("cell", "number")))
    )
    with pytest.raises(ValueError, match="formula"):
        refusing(rows[0])
    raw = make("csv").sink(tmp_path / "a.csv").encoder().bind(PlainSerializer(("cell", "number")))
    assert f"{start}cmd()".encode() in raw(rows[0])[1]


def test_a_header_can_be_left_out(tmp_path: Path) -> None:
    assert csv_of(tmp_path, ROWS, write_header=False) == "1,a\n2,b\n"


def test_an_empty_output_has_the_header_that_the_options_name(tmp_path: Path) -> None:
    assert csv_of(tmp_path, [], fieldnames=["a", "b"]) == "a,b\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32", "cp1252"])
def test_a_byte_order_mark_is_written_once(tmp_path: Path, encoding: str) -> None:
    assert csv_of(tmp_path, [{"é": "ü"}] * 3, ("é",), encoding=encoding) == "é\nü\nü\nü\n"


def test_what_an_encoding_cannot_hold_fails_its_record(tmp_path: Path) -> None:
    row = make("csv", encoding="cp1252").sink(tmp_path / "a.csv").encoder().bind(PlainSerializer(("a",)))
    with pytest.raises(UnicodeEncodeError):
        row({"a": "🎈"})


def test_a_record_that_is_no_object_fails(tmp_path: Path) -> None:
    for fields in (None, ("a",)):
        row = make("csv").sink(tmp_path / "a.csv").encoder().bind(PlainSerializer(fields))
        with pytest.raises(ValueError, match="names and values, not list"):
            row([1, 2])


def test_a_stamp_fills_the_position_column_that_is_there() -> None:
    encoder = make("csv").sink("x.csv").encoder()
    row = encoder.bind(PlainSerializer(("position", "a")))({"a": 1})
    assert encoder.stamp(5, row) == (("position", "a"), b"5,1\n")
    assert encoder.stamp(5, encoder.bind(PlainSerializer(("a",)))({"a": 1})) == (("position", "a"), b"5,1\n")
    assert encoder.stamp(5, {"a": 1}) == {"position": 5, "a": 1}


def test_appending_needs_the_same_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    put(make("csv").sink(path), ROWS)
    put(make("csv").sink(path), ROWS, mode="append")
    assert path.read_text() == "id,text\n1,a\n2,b\n1,a\n2,b\n"
    with pytest.raises(SinkError, match=r"has the columns \['id', 'text'\]"):
        put(make("csv").sink(path), [{"other": 1}], ("other",), mode="append")
    assert path.read_text() == "id,text\n1,a\n2,b\n1,a\n2,b\n"


# --- JSON ---


def test_json_is_one_record_a_line(tmp_path: Path) -> None:
    put(make("json").sink(tmp_path / "a.json"), ROWS)
    assert (tmp_path / "a.json").read_bytes() == b'[\n{"id":1,"text":"a"},\n{"id":2,"text":"b"}\n]\n'
    put(make("json").sink(tmp_path / "b.json"), [])
    assert (tmp_path / "b.json").read_bytes() == b"[]\n"


def test_json_is_refused_for_appending_and_in_other_encodings(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="jsonl"):
        make("json").sink(tmp_path / "a.json").open("append")
    for name in ("json", "jsonl"):
        with pytest.raises(OptionsError, match="UTF-8"):
            make(name, encoding="latin-1").sink(tmp_path / "a")


def test_an_empty_object_can_be_stamped() -> None:
    encoder = make("jsonl").sink("a.jsonl").encoder()
    assert encoder.stamp(3, b"{}") == b'{"position":3}'
    assert encoder.stamp(3, b'{"a":1}') == b'{"position":3,"a":1}'


# --- files ---


def test_appending_behind_half_a_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a":1}\n{"a"')
    with pytest.raises(SinkError, match="line end"):
        make("jsonl").sink(tmp_path / "a.jsonl").open("append")
    assert (tmp_path / "a.jsonl").read_bytes() == b'{"a":1}\n{"a"'


def test_appending_to_an_empty_file_writes_a_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"")
    put(make("csv").sink(tmp_path / "a.csv"), ROWS, mode="append")
    assert (tmp_path / "a.csv").read_text().startswith("id,text\n")


def test_an_aborted_append_that_began_the_file_leaves_none(tmp_path: Path) -> None:
    sink = make("jsonl").sink(tmp_path / "a.jsonl")
    sink.open("append")
    sink.write(b"1\n", 1)
    sink.abort()
    sink.close()
    assert os.listdir(tmp_path) == []


def test_what_an_append_did_not_commit_can_be_kept(tmp_path: Path) -> None:
    sink = make("jsonl").sink(tmp_path / "a.jsonl")
    sink.open("append")
    sink.write(b"1\n", 1)
    sink.commit()
    sink.write(b"2\n", 1)
    place = sink.abort(keep=True)
    sink.close()
    assert place is not None
    assert (Path(place).read_bytes(), (tmp_path / "a.jsonl").read_bytes()) == (b"2\n", b"1\n")


def test_permissions_are_private_while_writing_and_usual_afterwards(tmp_path: Path) -> None:
    sink = make("jsonl").sink(tmp_path / "a.jsonl")
    old = os.umask(0o027)
    try:
        sink.open("error")
        [part] = tmp_path.iterdir()
        assert part.name.startswith(".a.jsonl.")
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        sink.commit()
        sink.close()
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.jsonl").stat().st_mode) == 0o640
    (tmp_path / "a.jsonl").chmod(0o604)
    put(make("jsonl").sink(tmp_path / "a.jsonl"), ROWS, mode="overwrite")
    assert stat.S_IMODE((tmp_path / "a.jsonl").stat().st_mode) == 0o604


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real" / "a.jsonl")
    put(make("jsonl").sink(tmp_path / "link.jsonl"), ROWS)
    assert (tmp_path / "link.jsonl").is_symlink()
    assert os.listdir(tmp_path / "real") == ["a.jsonl"]
    with pytest.raises(TargetExistsError):
        make("jsonl").sink(tmp_path / "link.jsonl").open("ignore")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".json", ".jsonl.gz"])
def test_a_full_disk_is_named_where_it_fails(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"full{suffix}").symlink_to("/dev/full")
    with pytest.raises(SinkError, match="full: make space") as caught:
        put(make(suffix.split(".")[1]).sink(tmp_path / f"full{suffix}"), ROWS)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC


def test_a_file_size_limit_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    old_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    sink = make("jsonl").sink(tmp_path / "a.jsonl")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old_limit[1]))
        sink.open("error")
        with pytest.raises(SinkError, match="ulimit"):
            sink.write(b"x" * 5000 + b"\n", 1)
        sink.abort()
        sink.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
        signal.signal(signal.SIGXFSZ, old_handler)
    assert os.listdir(tmp_path) == []


def test_every_commit_of_an_append_ends_a_compressed_member(tmp_path: Path) -> None:
    sink = make("jsonl").sink(tmp_path / "a.jsonl.gz")
    sink.open("append")
    for i in range(3):
        sink.write(b"%d\n" % i, 1)
        sink.commit()
        assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).split() == [b"%d" % n for n in range(i + 1)]
    sink.close()


def test_writing_to_a_sink_that_is_not_open_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="not open"):
        make("jsonl").sink(tmp_path / "a.jsonl").write(b"1\n", 1)


def test_only_paths_are_targets() -> None:
    for name in ("csv", "jsonl", "json"):
        with pytest.raises(OptionsError, match="takes a path"):
            make(name).sink(["a"])
        with pytest.raises(OptionsError, match="takes a path"):
            make(name).source(["a"])


# --- standard input and output ---

PROGRAM = """
import sys
from pipe_core.formats import plugin
spec = plugin.pipe_format("csv")
format = spec.factory(spec.options())
source, sink = format.source("-"), format.sink("-")
source.open()
assert source.live and source.splits(lambda: 10) is None and sink.delivery == "at-least-once" and not sink.exists()
sink.open("error")
for chunk in source.chunks(lambda: 100):
    for batch in chunk.batches(10):
        sink.write(batch.records, len(batch.records))
        if len(sys.argv) > 1:
            sink.commit()
sink.commit()
sink.close()
source.close()
"""


def test_standard_input_and_output() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=b"x,y\n1,2\n3,4\n", capture_output=True, check=True)
    assert done.stdout == b"x,y\n1,2\n3,4\n"


def test_a_reader_that_has_gone_is_named() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "flush"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(b"x,y\n" + b"1,2\n" * 1000, timeout=30)
    assert b"SinkError: 'standard output' cannot be written: Broken pipe. Whoever read it has gone." in errors


def test_a_pipe_gives_what_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"x,y\n1,2\n3,")
    stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(ours, "rb")))
    monkeypatch.setattr(sys, "stdin", stdin)
    source = make("csv").source("-")
    source.open()
    chunks = source.chunks(lambda: 100)
    assert [len(next(chunks)), os.write(theirs, b"4\n5,6\n"), len(next(chunks))] == [1, 6, 2]
    os.close(theirs)
    assert list(chunks) == []
    stdin.close()
