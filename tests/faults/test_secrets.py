"""Secrets in URLs, options, settings, projects and records: nothing that pipe writes or says shows them.

Every scene does something with a secret, or with a record that is one. Then all that was said is looked through: what
was logged, printed, warned of, raised with its causes, reported, represented and left in files.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, field_serializer
from starting import Started
from tried import INSTALLED, NEEDS_LOKY
from witness import CANARY, Witness

from pipe_core import Engine, Entry, HookStore, Pipe, Pipeline, get_executor, node
from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner
from pipe_core.runtime.failpoints import armed

WEB = f"http://me:{CANARY}@127.0.0.1:1/in.csv?token={CANARY}"
DATABASE = f"postgresql://me:{CANARY}@127.0.0.1:1/shop?table=t"
STORE = {"storage_options": {"key": CANARY, "secret": CANARY, "client_kwargs": {"endpoint_url": "http://127.0.0.1:1"}}}
EXECUTORS = ["sync", *(["loky"] if "loky" in INSTALLED else [])]


def _has(*modules: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in modules)


NEEDS = {
    "web": _has("fsspec", "aiohttp"),
    "store": _has("s3fs"),
    "database": _has("pipe_sql", "psycopg"),
    "dask": "dask" in INSTALLED,
    "ray": "ray" in INSTALLED,
}


# --- records ----------------------------------------------------------------------------------------------------------


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Owner(BaseModel):
    pin: int = 0
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None


class Person(BaseModel):
    pin: str
    age: int = 0


class Unwritable(BaseModel):
    pin: str

    @field_serializer("pin")
    def refuse(self, value: str) -> str:
        raise ValueError("it cannot be written")


class Hidden:
    """What shows what it holds."""

    def __repr__(self) -> str:
        return CANARY


def age(entry: Entry, store: HookStore) -> None:
    entry.validated_data["age"] = entry.validated_data["pin"]  # no int: pydantic warns, and shows it


def odd(entry: Entry, store: HookStore) -> None:
    entry.validated_data["more"] = Hidden()


def refuse(entry: Entry, store: HookStore) -> None:
    if entry.raw_data["pin"] == CANARY:
        raise ValueError("the pin is none")


def kill(entry: Entry, store: HookStore) -> None:
    if entry.raw_data["pin"] == CANARY:
        os._exit(3)


FILES = {
    "in.csv": f"pin,age\n1,2\n{CANARY},{CANARY},{CANARY}\n{CANARY},\0\n3,{CANARY}\n",
    "in.jsonl": f'{{"pin": "1"}}\n{{"pin": {CANARY}}}\n["{CANARY}"]\n{{"pin": "1", "age": "{CANARY}"}}\n'
    f'{{"pin": "{CANARY * 90_000}"}}\n{{"pin": 1, "pin": "{CANARY}"}}\n',
    "in.json": f'[{{"pin": "1"}}, {{"pin": 1, "age": "{CANARY}"}}]',
}
RECORDS: dict[str, tuple[dict[str, Any], str]] = {
    "a wrong type": ({"source": [{"pin": CANARY}], "schema": Owner}, "valid integer"),
    "a wrong tag": ({"source": [{"pet": {"kind": CANARY}}], "schema": Owner}, "expected tags"),
    "no mapping": ({"source": [CANARY, [CANARY], Hidden()], "schema": Owner}, "valid dictionary"),
    "a serializer that fails": (
        {"source": [{"pin": CANARY}], "schema": Unwritable, "sink": "in.out.jsonl"},
        "it cannot be written",
    ),
    "a hook that fails": ({"source": [{"pin": CANARY}], "pre_validation_hooks": [refuse]}, "the pin is none"),
    "a hook that gives another type": (
        {"source": [{"pin": CANARY}], "schema": Person, "post_validation_hooks": [age], "sink": "in.out.jsonl"},
        "completed",
    ),
    "what cannot be written": (
        {"source": [{"pin": CANARY}], "schema": Person, "post_validation_hooks": [odd], "sink": "in.out.jsonl"},
        "Unable to serialize",
    ),
    "half a character": ({"source": [{"pin": f"{CANARY}\ud800"}], "sink": "in.out.jsonl"}, "surrogates"),
    "a formula": (
        {"source": [{"pin": f"={CANARY}"}], "schema": Person, "sink": ("in.out.csv", {"formula": "reject"})},
        "a spreadsheet would run it",
    ),
    "rows of CSV": ({"source": "in.csv", "schema": Person}, "RaggedRow"),
    "lines of JSON": ({"source": "in.jsonl", "schema": Person}, "max_record_bytes"),
    "values of JSON": ({"source": "in.json", "schema": Person}, "valid integer"),
}


@pytest.fixture
def witness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[Witness]:
    """Hears everything, at every level."""
    for name in [name for name in os.environ if name.startswith("PIPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # commands put folders there
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield Witness(tmp_path, caplog, capfd, warned)


@pytest.mark.parametrize("payload", ["redacted", "hash"])
@pytest.mark.parametrize("executor_name", EXECUTORS)
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_that_is_hidden_is_shown_nowhere(
    name: str, executor_name: str, payload: Any, started: Started, witness: Witness
) -> None:
    options, mark = RECORDS[name]
    for file, text in FILES.items():
        Path(file).write_text(text)
    for on_error in ("collect", "fail"):
        bad: list[Any] = []
        pipe = Pipe(
            **options,
            errors=bad,
            error_payload=payload,
            on_error=on_error,
            executor=started[executor_name],
            mode="overwrite",
            observers=["log", "progress"],
        )
        witness.hear(pipe.run)
        witness.see(pipe, pipe.report, json.dumps(bad, default=repr))
        assert pipe.report is not None
        witness.hear(pipe.report.raise_for_status)
        pipe.report.save("report.html")

    witness.knows_nothing(mark)


def test_a_run_that_is_kept_shows_no_secret(witness: Witness) -> None:
    """Neither what it was told nor the records that it hides are in its folder, or in what is told of it."""
    lines = [{"pin": f"{number}", "age": CANARY if number % 3 else 1} for number in range(9)]
    Path("in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    Path("people.py").write_text(
        "from pydantic import BaseModel\nclass Person(BaseModel):\n    pin: str\n    age: int\n"
    )
    Path("typed.yaml").write_text(
        "pipe: {source: in.jsonl, schema: 'people.py:Person', errors: bad.jsonl, error_payload: hash, chunk_size: 1,\n"
        "  sink: kept.jsonl, checkpoint: runs, checkpoint_seconds: 1.0e-9,\n"
        "  post_validation_hooks: [{deduplicate: {keys: [pin]}}]}\n"
    )
    with armed("sink.commit.before=error@1"):
        witness.call("run", "typed.yaml", "--traceback")
    (run,) = Path("runs").glob("*-*")
    shown = ("runs", f"runs {run.name}", f"runs {run.name} --json")
    for command in (*shown, "resume --json --traceback", *shown):
        witness.call(*command.split())

    if NEEDS["database"]:
        witness.hear(Pipe("in.jsonl", DATABASE, checkpoint="runs").run)

    assert '"notes"' in (run / "journal.jsonl").read_text()
    witness.knows_nothing("Input/output error", "valid integer", '"status": "completed"')


@NEEDS_LOKY
def test_a_record_that_kills_its_workers_is_shown_nowhere(started: Started, witness: Witness) -> None:
    bad: list[Any] = []
    pipe = Pipe(
        [{"pin": "1"}, {"pin": CANARY}, {"pin": "2"}],
        errors=bad,
        pre_validation_hooks=[kill],
        executor=started["loky"],
        error_payload="hash",
        observers=["log", "progress"],
    )
    witness.hear(pipe.run)
    witness.see(pipe, pipe.report, bad)
    witness.hear(pipe.report.raise_for_status)  # type: ignore[union-attr]  # it has run

    witness.knows_nothing("WorkerKilled")


def test_the_witness_finds_what_is_shown(witness: Witness) -> None:
    witness.hear(Pipe([{"pin": CANARY}], schema=Owner, errors="bad.jsonl").run)

    assert CANARY in witness.said()


# --- URLs, options and settings ---------------------------------------------------------------------------------------


def _end(given: Any) -> Callable[[Witness], None]:
    """It is a source, a sink, an error sink."""

    def scene(witness: Witness) -> None:
        records = [{"pin": 1}]
        for make in (
            lambda: Pipe(given, []),
            lambda: Pipe(records, given),
            lambda: Pipe(records, schema=Cat, errors=given),
        ):
            witness.see(pipe := make())
            witness.hear(pipe.run)
            witness.see(pipe.report)
        witness.hear(Pipe(given, observers=["log"]).start)

    return scene


def _place(given: Any) -> Callable[[Witness], None]:
    """It is where something runs."""
    name, options = given if isinstance(given, tuple) else (given, {})

    def scene(witness: Witness) -> None:
        witness.hear(Pipe([{"pin": 1}], executor=given).run)
        witness.hear(lambda: get_executor(name, **options))
        witness.see(engine := Engine(given, given), Pipeline([one], engine=engine))
        witness.hear(lambda: Pipeline([one], engine=engine).run())
        witness.hear(lambda: Pipeline([one], engine=engine, name="p").map({"x": [1]}, map_over="x"))

    return scene


@node(output_name="two")
def one(x: int = 1) -> int:
    return x + 1


SAID: dict[str, tuple[Callable[[Witness], None], str, str]] = {
    "a file of the web": (_end(WEB), "cannot be read", "web"),
    "many files of the web": (_end(WEB.replace("in.csv", "*.csv")), "http://***@127.0.0.1:1/*.csv?***", "web"),
    "a signed URL": (_end(f"https://127.0.0.1:1/in.csv.gz?X-Amz-Signature={CANARY}"), "in.csv.gz?***", "web"),
    "a password with a slash": (_end(f"http://me:a/{CANARY}@127.0.0.1:1/in.csv"), "http://***@127.0.0.1", "web"),
    "no URL after all": (_end(f"http://me:{CANARY}@[::1/in.csv"), "http://***@[::1/in.csv", "web"),
    "a URL behind another one": (_end(f"simplecache::{WEB}"), "simplecache::http://***@127.0.0.1:1", ""),
    "a scheme that nobody has": (_end(f"gopher://me:{CANARY}@127.0.0.1/in.csv"), "No format named 'gopher'", ""),
    "a folder of the web": (_end(WEB.replace("in.csv?", "in.jsonl/?")), "http://***@127.0.0.1:1", "web"),
    "a store": (
        _end(("s3://shop/in.csv", {"storage_options": {**STORE["storage_options"], "bogus": CANARY}})),
        "'s3://shop/in.csv' cannot be",
        "store",
    ),
    "a database": (_end(DATABASE), "postgresql://me@127.0.0.1:1/shop", "database"),
    "a database with options": (_end(f"{DATABASE}&password={CANARY}"), "postgresql://me@127.0.0.1:1/shop", "database"),
    "a database that nobody knows": (_end(DATABASE.replace("postgresql", "mysql")), "No format named 'mysql'", ""),
    "options that there are not": (_end(("in.csv", {"password": CANARY})), "password: there is no such option", ""),
    "options of a wrong type": (_end(("in.csv", {"max_fields": CANARY})), "max_fields: Input should", ""),
    "a token of Ray": (_place(("ray", {"address": "ray://127.0.0.1:1", "token": CANARY})), "no such option", "ray"),
    "a user of Ray": (_place(f"ray://me:{CANARY}@10.255.255.1:1/x"), "ray://***@10.255.255.1", "ray"),
    "a user of Dask": (_place(f"dask://me:{CANARY}@10.1.1.1:1"), "dask://***@10.1.1.1", "dask"),
    "a token of Dask": (
        _place(("dask", {"address": f"tcp://10.1.1.1:1?token={CANARY}"})),
        "tcp://10.1.1.1:1?***",
        "dask",
    ),
    "an encrypted Dask": (_place(("dask", {"address": f"tls://me:{CANARY}@127.0.0.1:1"})), "tls://***@", "dask"),
    "a query": (_place(f"sync://?token={CANARY}"), "there is no such option", ""),
    "an option": (_place(("sync", {"password": CANARY})), "there is no such option", ""),
    "an executor that nobody has": (_place(f"bogus://me:{CANARY}@host"), "No executor named 'bogus'", ""),
}


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_of_a_place_does_not_show_its_secrets(name: str, witness: Witness) -> None:
    scene, mark, needs = SAID[name]
    if needs and not NEEDS[needs]:
        pytest.skip(f"nothing here opens {needs}")
    Path("in.csv").write_text(FILES["in.csv"])

    scene(witness)

    witness.knows_nothing(mark)


# --- projects ---------------------------------------------------------------------------------------------------------

STEPS = """
def give():
    return [{"pin": 1}]

def hand_on(orders):
    return orders

def fail():
    raise ValueError("it is bad")
"""
PROJECT = """
project: {name: shop}
catalog:
  orders: ORDERS
  out: OUT
nodes:
  give: {function: steps.give, output: [out]EXECUTOR}
  hand_on: {function: steps.hand_on, input: [orders]}
  fail: {function: steps.fail}
pipelines:
  sales: [give, hand_on]
  broken: [fail, give]
"""
PLACES: dict[str, tuple[dict[str, str], str]] = {
    "a database": ({"ORDERS": "{format: sql, path: '${secret:PLACE}'}"}, "The data set 'orders'"),
    "a password": (
        {"OUT": "{path: 'postgresql://me:${secret:WORD}@127.0.0.1:1/shop?table=t', format: sql, mode: append}"},
        "The data set 'out'",
    ),
    "a file": ({"ORDERS": "'data/${secret:WORD}.csv'"}, "There is no file"),
    "a folder": ({"OUT": "'in.csv/${secret:WORD}/x.jsonl'"}, "The data set 'out'"),
    "a part of a path": ({"ORDERS": "'https://127.0.0.1:1/${secret:WORD}/in.csv?key=${secret:WORD}'"}, "'orders'"),
    "an option": ({"ORDERS": "{path: in.csv, options: {delimiter: '${secret:WORD}'}}"}, "delimiter"),
    "options of a store": (
        {"ORDERS": "{path: 's3://b/in.csv', options: {storage_options: {key: '${secret:WORD}', x: '${secret:WORD}'}}}"},
        "The data set 'orders'",
    ),
    "an option of an executor": ({"EXECUTOR": ", executor: {name: sync, token: '${secret:WORD}'}"}, "no such option"),
    "the address of an executor": (
        {"EXECUTOR": ", executor: {name: dask, address: 'tcp://${secret:WORD}:1'}"},
        "The Dask address 'tcp://***:1'",
    ),
    "a file of an executor": (
        {"EXECUTOR": ", executor: {name: dask, address: 'tls://127.0.0.1:1', tls_ca: '/x/${secret:WORD}'}"},
        "wants certificates",
    ),
}
COMMANDS = (
    "run sales --traceback",
    "run sales --json",
    "run sales --dry-run",
    "run broken",
    "list",
    "info",
    "info orders --json",
    "info node:give",
    "check",
    "graph sales",
    "runs",
    "runs --json",
    "doctor",
)


def _needed(name: str, words: str) -> None:
    if ("dask" in words and not NEEDS["dask"]) or ("sql" in words and not NEEDS["database"]):
        pytest.skip("what it names is not installed")
    if ("s3:" in words and not NEEDS["store"]) or ("https:" in words and not NEEDS["web"]):
        pytest.skip("what it names is not installed")


@pytest.mark.parametrize("name", PLACES)
def test_a_secret_of_a_project_is_shown_nowhere(name: str, witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    said, mark = PLACES[name]
    _needed(name, str(said))
    monkeypatch.setenv("WORD", CANARY)
    monkeypatch.setenv("PLACE", DATABASE)
    Path("in.csv").write_text("pin\n1\n")
    Path("steps.py").write_text(STEPS)
    text = PROJECT
    for word, default in (("ORDERS", "in.csv"), ("OUT", "out.jsonl"), ("EXECUTOR", "")):
        text = text.replace(word, said.get(word, default))
    Path("pipe.yaml").write_text(text)

    project = witness.hear(lambda: Project.load("."))
    if isinstance(project, Project):
        witness.see(project.catalog, project.settings, dict(project.nodes), dict(project.datasets))
        witness.see(project.provenance("catalog", "orders"), project.provenance("nodes", "give", "executor"))
        with Runner(project) as runner:
            error = witness.hear(lambda: runner.run("sales"))
            witness.see(runner, getattr(error, "result", None))
    for command in COMMANDS:
        witness.call(*command.split())
    for run in Path("runs").glob("*-*"):
        witness.call("runs", run.name)
        witness.call("runs", run.name, "--json")
        witness.call("resume", run.name, "--traceback")

    witness.knows_nothing(mark)


@pytest.mark.skipif(not all(NEEDS[one] for one in ("web", "database", "dask")), reason="it is not all installed")
def test_what_is_typed_is_shown_nowhere(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("in.csv").write_text(FILES["in.csv"])
    Path("steps.py").write_text(STEPS + "\nclass Order:\n    pin: int\n")
    Path("people.py").write_text("from pydantic import BaseModel\nclass Person(BaseModel):\n    pin: int\n")
    Path("typed.yaml").write_text(
        f"pipe:\n  source: {WEB}\n  executor: {{name: sync, token: {CANARY}}}\n"
        f"  codec: {{name: msgpack, key: {CANARY}}}\n"
        f"  sink: {{path: 's3://b/x.csv', storage_options: {{key: {CANARY}}}}}\n"
    )
    Path("typed.hidden.yaml").write_text(
        "pipe: {source: in.csv, schema: 'people.py:Person', error_payload: redacted, "
        "errors: bad.jsonl, mode: overwrite}\n"
    )
    schema = "--schema people.py:Person"
    for command in (
        f"validate {WEB} {schema} --traceback",
        f"validate {DATABASE} {schema} --traceback",
        f"validate in.csv {schema} -o password={CANARY}",
        f"validate in.csv {schema} --executor dask://me:{CANARY}@10.1.1.1:1",
        f"advise {WEB}",
        f"advise {DATABASE}",
        "run typed.yaml --traceback",
        "run typed.hidden.yaml --report page.html",
        "run typed.hidden.yaml --json",
    ):
        witness.call(*command.split())
    Path("pipe.yaml").write_text(PROJECT.replace("ORDERS", "in.csv").replace("OUT", "o.jsonl").replace("EXECUTOR", ""))
    for command in (
        f"run sales --executor dask://me:{CANARY}@10.1.1.1:1",
        f"run sales --executor sync://?token={CANARY}",
        f"run sales --set catalog.orders.path={DATABASE}",
        f'run sales --set catalog.orders={{"path":"in.csv","options":{{"password":"{CANARY}"}}}}',
        "runs --json",
    ):
        witness.call(*command.split())
    for name, value in (
        ("PIPE_EXECUTOR", f"dask://me:{CANARY}@10.1.1.1:1?token={CANARY}"),
        ("PIPE_CODEC__API_KEY", CANARY),
        ("PIPE_SECRET", CANARY),
    ):
        monkeypatch.setenv(name, value)
    for command in ("doctor", "doctor --json", "run sales --traceback", f"validate in.csv {schema} --traceback"):
        witness.call(*command.split())

    witness.knows_nothing("http://***@127.0.0.1:1", "'dask://***@10.1.1.1:1", "PIPE_SECRET", '"histogram"')
