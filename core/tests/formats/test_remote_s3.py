"""Files of S3, as a server on this machine plays it: bytes, workers, uploads, credentials."""

from __future__ import annotations

import logging
import multiprocessing
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from reading import make

from pipe_core import Pipe, SinkError, SourceError, SourceNotFoundError, TargetExistsError

pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'pipe-core[cloud]'")
pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[server]'")
boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")

import fsspec  # noqa: E402  # behind the lines that skip
from moto.server import ThreadedMotoServer  # noqa: E402

pytestmark = [
    # Both packages' own: names of the standard library that Python 3.12 and later warn of, and sessions that s3fs
    # leaves to the garbage collector.
    pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning:(bot|moto|responses)"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

CSV = b"id,text\n" + b"".join(b'%d,"row ""%d"""\n' % (i, i) for i in range(20_000))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server that plays S3."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
    played = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    played.start()
    host, port = played.get_host_and_port()
    yield f"http://{host}:{port}"
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    played.stop()


@pytest.fixture
def options(server: str) -> dict[str, Any]:
    """What people give beside a URL."""
    told = {"endpoint_url": server, "region_name": "us-east-1"}
    return {"storage_options": {"key": "CANARYKEY", "secret": "CANARYSECRET", "client_kwargs": told}}


@pytest.fixture
def client(server: str) -> Iterator[Any]:
    """Another way to the same server, with an empty bucket named `bucket`."""
    made = boto3.client(
        "s3", endpoint_url=server, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    made.create_bucket(Bucket="bucket")
    yield made
    for key in keys(made):
        made.delete_object(Bucket="bucket", Key=key)
    for one in uploads(made):
        made.abort_multipart_upload(Bucket="bucket", Key=one["Key"], UploadId=one["UploadId"])
    made.delete_bucket(Bucket="bucket")
    made.close()


def keys(client: Any) -> list[str]:
    return [one["Key"] for one in client.list_objects_v2(Bucket="bucket").get("Contents", ())]


def uploads(client: Any) -> list[Any]:
    return list(client.list_multipart_uploads(Bucket="bucket").get("Uploads", ()))


def put(client: Any, key: str, data: bytes) -> None:
    client.put_object(Bucket="bucket", Key=key, Body=data)


def got(client: Any, key: str) -> bytes:
    data: bytes = client.get_object(Bucket="bucket", Key=key)["Body"].read()
    return data


def keep_odd(entry: Any, store: Any) -> Any:
    return None if int(entry["raw_data"]["id"]) % 2 else []


@pytest.mark.parametrize("executor", ["sync", "threads", "processes"])
def test_bytes_are_those_of_a_run_over_paths(
    client: Any, options: dict[str, Any], tmp_path: Path, executor: str
) -> None:
    put(client, "in/orders.csv", CSV)
    (tmp_path / "in.csv").write_bytes(CSV)
    Pipe(str(tmp_path / "in.csv"), str(tmp_path / "out.jsonl"), pre_validation_hooks=[keep_odd]).run()
    given: Any = "sync"
    if executor == "threads":
        given = ThreadPoolExecutor(2)
    if executor == "processes":
        given = ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))
    try:
        report = Pipe(
            ("s3://bucket/in/orders.csv", options),
            ("s3://bucket/out/orders.jsonl", options),
            pre_validation_hooks=[keep_odd],
            executor=given,
        ).run()
    finally:
        if executor != "sync":
            given.shutdown()
    assert (report.read, report.valid, report.dropped) == (20_000, 10_000, 10_000)
    assert got(client, "out/orders.jsonl") == (tmp_path / "out.jsonl").read_bytes()
    assert keys(client) == ["in/orders.csv", "out/orders.jsonl"]


@pytest.mark.parametrize("name", ["out.csv.gz", "out.json"])
def test_other_kinds_of_files_are_the_same_too(client: Any, options: dict[str, Any], tmp_path: Path, name: str) -> None:
    rows = [{"n": n, "text": "é" * n} for n in range(100)]
    Pipe(rows, str(tmp_path / name)).run()
    Pipe(rows, (f"s3://bucket/{name}", options)).run()
    assert got(client, name) == (tmp_path / name).read_bytes()
    out: list[Any] = []
    assert Pipe((f"s3://bucket/{name}", options), out).run().read == 100


def test_a_large_file_is_uploaded_in_parts_that_nobody_sees(client: Any, options: dict[str, Any]) -> None:
    small_parts = {**options["storage_options"], "default_block_size": 5 * 2**20}
    block = b"x" * (1 << 20) + b"\n"
    sink = make("jsonl", storage_options=small_parts).sink("s3://bucket/large.jsonl")
    put(client, "large.jsonl", b"old\n")
    sink.open("overwrite")
    for _ in range(12):
        sink.write(block, 1)
    assert len(uploads(client)) == 1  # so it has begun
    assert got(client, "large.jsonl") == b"old\n"
    sink.commit()
    sink.close()
    assert got(client, "large.jsonl") == block * 12
    assert (keys(client), uploads(client)) == (["large.jsonl"], [])


@pytest.mark.parametrize("keep", [False, True])
def test_an_abort_leaves_the_target_as_it_was(client: Any, options: dict[str, Any], keep: bool) -> None:
    small_parts = {**options["storage_options"], "default_block_size": 5 * 2**20}
    block = b"x" * (1 << 20) + b"\n"
    put(client, "large.jsonl", b"old\n")
    sink = make("jsonl", storage_options=small_parts).sink("s3://bucket/large.jsonl")
    sink.open("overwrite")
    for _ in range(12):
        sink.write(block, 1)
    place = sink.abort(keep)
    sink.close()
    assert place == ("s3://bucket/large.jsonl.partial" if keep else None)
    assert keys(client) == ["large.jsonl"] + ["large.jsonl.partial"] * keep
    assert uploads(client) == []
    assert got(client, "large.jsonl") == b"old\n"
    if keep:
        assert got(client, "large.jsonl.partial") == block * 12


def test_modes(client: Any, options: dict[str, Any]) -> None:
    put(client, "out.jsonl", b"old\n")
    sink = ("s3://bucket/out.jsonl", options)
    with pytest.raises(TargetExistsError, match=r"'s3://bucket/out\.jsonl' exists already"):
        Pipe([{"a": 1}], sink).run()
    Pipe([{"a": 1}], sink, mode="ignore").run()
    with pytest.raises(SinkError, match="cannot be appended to: stores replace files as a whole"):
        Pipe([{"a": 1}], sink, mode="append").run()
    assert got(client, "out.jsonl") == b"old\n"
    Pipe([{"a": 1}], sink, mode="overwrite").run()
    assert got(client, "out.jsonl") == b'{"a":1}\n'
    assert keys(client) == ["out.jsonl"]


def test_both_sinks_may_be_remote(client: Any, options: dict[str, Any]) -> None:
    put(client, "in.csv", b"id\n1\nx\n")
    pipe = Pipe(
        ("s3://bucket/in.csv", options),
        ("s3://bucket/good.csv", options),
        errors=("s3://bucket/bad.jsonl", options),
        schema=dict[str, int],
    )
    report = pipe.run()
    assert (report.valid, report.failed, report.errors) == (1, 1, "s3://bucket/bad.jsonl")
    assert got(client, "good.csv") == b"id\n1\n"
    assert b'"raw":{"id":"x"}' in got(client, "bad.jsonl")
    with pytest.raises(SinkError, match="is the source"):
        Pipe(("s3://bucket/in.csv", options), ("s3://bucket/in.csv", options), mode="overwrite").run()


def test_a_pattern_reads_many_objects(client: Any, options: dict[str, Any]) -> None:
    for number in range(3):
        put(client, f"in/part-{number}.csv", b"id\n" + b"%d\n" % number * 500)
    put(client, "in/deeper/part-9.csv", b"id\n9\n")
    good: list[Any] = []
    report = Pipe(("s3://bucket/in/part-*.csv", options), good).run()
    assert (report.source, report.read) == ("s3://bucket/in/part-*.csv", 1500)
    assert [record["id"] for record in good] == ["0"] * 500 + ["1"] * 500 + ["2"] * 500
    assert Pipe(("s3://bucket/in/**/part-*.csv", options), []).run().read == 1501
    with pytest.raises(SourceNotFoundError, match="No file is called like"):
        Pipe(("s3://bucket/out/part-*.csv", options), []).run()


def test_what_the_store_said_before_is_asked_again(client: Any, options: dict[str, Any]) -> None:
    put(client, "in/part-1.csv", b"id\n1\n")
    assert Pipe(("s3://bucket/in/part-*.csv", options), []).run().read == 1
    assert len(fsspec.filesystem("s3", **options["storage_options"]).ls("bucket/in")) == 1  # and it remembers
    put(client, "in/part-1.csv", b"id\n" + b"1\n" * 300_000)
    put(client, "in/part-2.csv", b"id\n2\n")
    assert Pipe(("s3://bucket/in/part-1.csv", options), []).run().read == 300_000
    assert Pipe(("s3://bucket/in/part-*.csv", options), []).run().read == 300_001
    client.delete_object(Bucket="bucket", Key="in/part-1.csv")
    assert Pipe(("s3://bucket/in/part-*.csv", options), []).run().read == 1
    Pipe([{"a": 1}], ("s3://bucket/in/part-1.csv", options)).run()


def test_an_object_that_is_replaced_is_never_mixed(client: Any, options: dict[str, Any]) -> None:
    put(client, "in.csv", CSV)
    source = make("csv", **options).source("s3://bucket/in.csv")
    source.open()
    first, second = source.splits(lambda: len(CSV) // 2 + 1) or ()
    source.close()
    assert list(first.batches(1000))
    put(client, "in.csv", CSV.upper())
    with pytest.raises(SourceError, match="it was replaced while it was read"):
        list(second.batches(1000))


def test_what_is_missing_or_out_of_reach_is_named_before_anything_runs(client: Any, options: dict[str, Any]) -> None:
    with pytest.raises(SourceNotFoundError, match=r"no file 's3://bucket/none\.csv'"):
        Pipe(("s3://bucket/none.csv", options), []).run()
    with pytest.raises(SinkError, match=r"'s3://nobucket/out\.jsonl' cannot be written: .*bucket does not exist"):
        Pipe([{"a": 1}], ("s3://nobucket/out.jsonl", options)).run()
    with pytest.raises(SourceError, match="cannot be listed"):
        Pipe(("s3://nobucket/*.csv", out_of_reach(options)), []).run()


def out_of_reach(options: dict[str, Any]) -> dict[str, Any]:
    told = {**options["storage_options"], "client_kwargs": {"endpoint_url": "http://127.0.0.1:9"}}
    return {"storage_options": {**told, "config_kwargs": {"retries": {"max_attempts": 0}}}}


def test_no_credential_is_shown(client: Any, options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="pipe_core")
    put(client, "in.csv", b"id\n1\nx\n")
    good = ("s3://CANARYUSER:CANARYPASS@bucket/in.csv", options)
    shown: list[str] = []
    report = Pipe(("s3://bucket/in.csv", options), ("s3://bucket/o.csv", options), schema=dict[str, int]).run()
    shown += [repr(report), str(report.to_dict()), report.to_html()]
    for source, sink in (
        (good, []),
        (("s3://bucket/none.csv", options), []),
        (("s3://bucket/in.csv", out_of_reach(options)), []),
        (("s3://bucket/in*.csv", out_of_reach(options)), []),
        ([{"a": 1}], ("s3://bucket/o.jsonl", out_of_reach(options))),
        ([{"a": 1}], ("s3://bucket/o.jsonl", {"storage_options": {**options["storage_options"], "CANARY": "CANARY"}})),
    ):
        pipe = Pipe(source, sink)
        shown.append(repr(pipe))
        with pytest.raises((SourceError, SinkError)) as caught:
            pipe.run()
        shown += traceback.format_exception(caught.value)
        shown.append(repr(caught.value.__dict__))
    text = "".join(shown) + caplog.text
    assert [secret for secret in ("CANARYKEY", "CANARYSECRET", "CANARYUSER", "CANARYPASS") if secret in text] == []
