"""URLs: what names the file, what nobody may see, and what is said when nothing is installed for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from reading import make

from pipe_core import OptionsError, Pipe, PluginNotFoundError
from pipe_core.formats.compression import compression_of
from pipe_core.formats.delimiter import delimiter_of
from pipe_core.formats.paths import remote_file
from pipe_core.formats.remote_errors import scrubbed, secrets_of
from pipe_core.formats.remote_file import RemoteFile
from pipe_core.kernel.urls import is_pattern, local_path, redacted, scheme_of, without_query
from pipe_core.records.places import format_name


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("s3://bucket/a.csv", "s3://bucket/a.csv"),
        ("s3://key:secret@bucket/a.csv", "s3://***@bucket/a.csv"),
        ("https://token@host/a.csv", "https://***@host/a.csv"),
        ("https://host/a.csv?X-Amz-Signature=abc", "https://host/a.csv?***"),
        ("https://host/a.csv?token", "https://host/a.csv?***"),
        ("https://host/a.csv#part", "https://host/a.csv?***"),
        ("s3://bucket/a.csv?versionId=abc", "s3://bucket/a.csv?***"),
        ("s3://bucket/part-?.csv", "s3://bucket/part-?.csv"),
        ("sftp://me:pa/ss@host/a.csv", "sftp://***@host/a.csv"),
        ("https://host:8080/me@home/a.csv", "https://host:8080/me@home/a.csv"),
        ("abfs://container@account.dfs.core.windows.net/a.csv", "abfs://container@account.dfs.core.windows.net/a.csv"),
        ("abfs://container:key@account/a.csv", "abfs://***@account/a.csv"),
        ("data/a.csv?b=c", "data/a.csv?b=c"),
    ],
)
def test_a_name_has_neither_user_nor_query(given: str, shown: str) -> None:
    assert redacted(given) == shown
    assert redacted(shown) == shown


def test_a_query_is_no_part_of_a_suffix() -> None:
    url = "https://host/orders.tsv.gz?file=other.csv"
    assert without_query(url) == "https://host/orders.tsv.gz"
    assert (compression_of(url), delimiter_of(url), format_name(url)) == (".gz", "\t", "csv")
    assert (compression_of(redacted(url)), delimiter_of(redacted(url))) == (".gz", "\t")
    assert without_query("what?=this/a.csv") == "what?=this/a.csv"


def test_patterns_are_looked_for_behind_the_host() -> None:
    assert is_pattern("s3://bucket/part-?.csv")
    assert is_pattern("s3://bucket/[ab]/orders.csv")
    assert is_pattern("https://host/part-*.csv")
    assert not is_pattern("https://host/a.csv?b=*")
    assert not is_pattern("https://host/what[1].csv")
    assert not is_pattern("http://[::1]/a.csv")
    assert not is_pattern("s3://bucket/a.csv?versionId=*")


def test_a_letter_is_a_drive_and_no_scheme() -> None:
    assert scheme_of("C://data/a.csv") is None
    assert remote_file("C://data/a.csv") is None
    assert scheme_of("s3://bucket") == "s3"


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "two words.csv"
    path.write_text("id\n1\n2\n")
    url = path.as_uri()
    assert local_path(url) == str(path)
    out: list[object] = []
    report = Pipe(url, out).run()
    assert (report.source, out) == (str(path), [{"id": "1"}, {"id": "2"}])
    assert make("csv").source(url).name == str(path)
    target = (tmp_path / "out.jsonl").as_uri()
    for expected in (2, 4):
        Pipe(url, target, mode="append").run()
        assert len((tmp_path / "out.jsonl").read_text().splitlines()) == expected
    out.clear()
    Pipe((tmp_path / "t*.csv").as_uri().replace("%2A", "*"), out).run()
    assert len(out) == 2


@pytest.mark.parametrize(
    "text",
    [
        "403 at https://host/a.csv?token=CANARY",
        "wrong key CANARY/with+signs",
        "wrong key CANARY%2Fwith%2Bsigns",
        "no user me:CANARY@home",
        "b'CANARY bytes' in a list",
    ],
)
def test_secrets_are_taken_out_of_what_a_store_says(text: str) -> None:
    options = {"key": "me", "deep": [{"secret": b"CANARY bytes"}], "anon": False}
    secrets = secrets_of("https://me:CANARY@home/a.csv?sig=CANARY%2Fwith%2Bsigns&x=1", options)
    assert "CANARY" not in scrubbed(text, secrets)
    assert scrubbed("me and nothing else", secrets) == "me and nothing else"


def test_what_is_made_of_a_url_shows_no_secret() -> None:
    options = {"storage_options": {"secret": "CANARY"}}
    url = "s3://CANARY:CANARY@bucket/a.csv?versionId=CANARY"
    shown = [
        repr(RemoteFile(url, options["storage_options"])),
        repr(make("csv", **options)._options),  # type: ignore[attr-defined]  # what a traceback with values would show
        make("csv", **options).source(url).name,
        make("jsonl", **options).sink(url).name,
        repr(Pipe((url, options), (url, options))),
        repr(Pipe({"path": url, **options}, url)),
    ]
    assert "CANARY" not in "".join(shown)
    assert shown[-2] == "<Pipe 's3://***@bucket/a.csv?***' -> 's3://***@bucket/a.csv?***'>"


def test_storage_options_for_a_path_are_refused(tmp_path: Path) -> None:
    for make_one in (make("csv", storage_options={"key": "a"}).source, make("csv", storage_options={"key": "a"}).sink):
        with pytest.raises(OptionsError, match=r"storage_options are for URLs, and '.*a\.csv' is a path"):
            make_one(str(tmp_path / "a.csv"))


def test_a_url_without_a_suffix_asks_for_the_format_and_hides_its_query() -> None:
    with pytest.raises(OptionsError, match="no suffix that tells its format") as caught:
        format_name("https://host/orders?token=CANARY")
    assert "CANARY" not in str(caught.value)


def test_schemes_of_formats_that_are_not_installed_name_their_package() -> None:
    with pytest.raises(PluginNotFoundError, match="No format named 'nosuch'"):
        format_name("nosuch://host/a.csv")


PROGRAM = """
import sys
sys.modules["fsspec"] = None  # as if it were not installed
from pipe_core import Pipe
for source, sink in (("s3://bucket/a.csv", []), ("s3://bucket/*.csv", []), ([], "gs://bucket/a.jsonl")):
    try:
        Pipe(source, sink).run()
    except ImportError as error:
        print(type(error).__name__, error.missing, error)
try:
    Pipe("sqlitex://bucket/a.csv", []).run()
except LookupError as error:
    print(error)
"""


def test_a_missing_fsspec_is_named_with_what_installs_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [["PluginDependencyError", "fsspec"]] * 3
    assert all("pip install 'pipe-core[cloud]'" in line for line in lines[:3])
    assert lines[3].startswith("No format named 'sqlitex'.")


def test_fsspec_is_imported_for_urls_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    program = (
        "import sys; from pipe_core import Pipe; "
        "Pipe('a.csv', 'b.jsonl').run(); Pipe('a*.csv', 'c.csv.gz').run(); "
        "print(sorted({'fsspec', 's3fs', 'aiohttp', 'urllib.request', 'pipe_core.formats.remote_file'} "
        "& set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
