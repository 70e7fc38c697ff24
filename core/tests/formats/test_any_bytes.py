"""Whatever bytes a file holds: records, rejections, or a `SourceError`, and nothing else."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading import Found, make, read_chunks, read_splits

SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SEEDS = [
    b'x,y\n1,"a\nb"\n"c",d\n',
    b'{"a":[1,2.5e3],"b":"\\u00e9"}\n{"a":null}\n',
    b'[{"a":[1,2.5e3],"b":"\\u00e9"},{"a":null}]',
    gzip.compress(b"x,y\n1,2\n" * 50, mtime=0),
]
damages = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from([b"", b'"', b"\xff", b"\0", b"}", b",", b"\n", b"\\"])), max_size=6
)


def damaged(seed: bytes, changes: list[tuple[float, bytes]]) -> bytes:
    for place, replacement in changes:
        at = int(place * len(seed))
        seed = seed[:at] + replacement + seed[at + 1 :]
    return seed


def check(found: Found | None) -> None:
    if found is not None:
        assert found.read == len(found.records) + len(found.rejected)
        assert all(why.type and why.message for why in found.rejected.values())
        assert found.error is None or found.error.position == found.read


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".csv", {}),
        (".csv", {"encoding": "cp1252", "escapechar": "\\"}),
        (".csv", {"encoding": "utf-16", "header": "none"}),
        (".csv.gz", {}),
        (".csv.lz4", {}),
        (".jsonl", {}),
        (".jsonl", {"encoding": "shift_jis"}),
        (".json", {}),
        (".json", {"prefix": "a.b"}),
    ],
    ids=str,
)
@SETTINGS
@given(
    data=st.binary(max_size=80) | st.builds(damaged, st.sampled_from(SEEDS), damages),
    limit=st.sampled_from([20, 1 << 20]),
)
def test_any_bytes_are_read_or_named(
    tmp_path: Path, suffix: str, options: dict[str, Any], data: bytes, limit: int
) -> None:
    path = tmp_path / f"any{suffix}"
    path.write_bytes(data)
    source = make(suffix.split(".")[1], max_record_bytes=limit, **options)
    found = read_chunks(source.source(path))
    check(found)
    if found.error is None:
        in_splits = read_splits(source.source(path), 10)
        assert in_splits is None or in_splits == found
