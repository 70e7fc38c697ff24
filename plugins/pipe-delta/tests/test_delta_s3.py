"""Tables in S3, as a server on this machine plays it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipe_core import Pipe, get_format
from pipe_core.kernel.contracts import ResumableSink

pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[server]'")
boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning:(bot|moto|responses)")
URL = "s3://bucket/lake/orders.delta"


SERVER = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
played = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
played.start()
print("http://{}:{}".format(*played.get_host_and_port()), flush=True)
sys.stdin.read()
played.stop()
"""


@pytest.fixture
def server() -> Iterator[str]:
    """Its address. It has a process of its own: deltalake holds this one's interpreter while it waits for an answer."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        made = boto3.client(
            "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        made.create_bucket(Bucket="bucket")
        made.close()
        yield address
    finally:
        process.kill()
        process.communicate()


def test_a_table_is_written_and_read(server: str, tmp_path: Path) -> None:
    told = {
        "AWS_ENDPOINT_URL": server,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "CANARYKEY",
        "AWS_SECRET_ACCESS_KEY": "CANARYSECRET",
        "AWS_ALLOW_HTTP": "true",
    }
    options: dict[str, Any] = {"storage_options": told, "staging": str(tmp_path)}
    rows = [{"id": i, "day": f"2025-01-0{1 + i % 3}"} for i in range(30)]
    Pipe(rows[:20], (URL, {**options, "partition_by": ["day"]})).run()
    sink = get_format("delta", **options).sink(URL)
    assert isinstance(sink, ResumableSink)
    assert "CANARY" not in repr(vars(sink))
    sink.open("append")
    encoder = sink.encoder()
    sink.write(encoder.join(rows[20:]), 10)
    state = json.loads(json.dumps(sink.checkpoint(final=True)))
    sink.close()
    assert len(os.listdir(tmp_path)) == 1
    for _ in range(2):
        later = get_format("delta", **options).sink(URL)
        later.resume(state, "append")
        later.commit()
        later.close()
    assert os.listdir(tmp_path) == []
    found: list[dict[str, Any]] = []
    Pipe((URL, options), found).run()
    assert sorted(found, key=lambda row: row["id"]) == rows
    window = {"column": "day", "start": "2025-01-02", "before": "2025-01-03"}
    report = Pipe([{"id": 99, "day": "2025-01-02"}], (URL, {**options, "window": window}), mode="overwrite").run()
    assert "CANARY" not in repr(report)
    found.clear()
    Pipe((URL, options), found).run()
    assert sorted(row["id"] for row in found) == [i for i in range(30) if i % 3 != 1] + [99]
