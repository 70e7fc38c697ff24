"""Files that somebody wrote to make pipe do something. Nothing may run; the error names the place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipe_core.kernel.errors import ConfigError
from pipe_core.project.pipe_file import load_pipe_file

Write = Callable[[str], Path]

EVIL = "from pathlib import Path\nPath({canary!r}).touch()\nclass Order: pass\ndef hook(entry, store): pass\n"


def _pipe(line: str) -> str:
    return f"pipe:\n  source: orders.csv\n  {line}\n"


def _schema(reference: str) -> str:
    return _pipe(f"schema: {reference}")


def _hook(reference: str) -> str:
    return _pipe(f"pre_validation_hooks: [{reference}]")


def _bomb(levels: int) -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines)


CORPUS: dict[str, tuple[str, int | None, str]] = {
    # tags
    "python object": ("pipe: !!python/object/apply:os.system ['touch CANARY']\n", 1, "tag"),
    "python name": (_pipe("schema: !!python/name:os.system ''"), 3, "tag"),
    "python module": (_pipe("schema: !!python/module:os ''"), 3, "tag"),
    "python new": (_pipe("sink: !!python/object/new:os.system [touch CANARY]"), 3, "tag"),
    "python tuple": (_pipe("sink: !!python/tuple [a, b]"), 3, "tag"),
    "long tag": (_pipe("sink: !<tag:yaml.org,2002:python/object/apply:os.system> [touch CANARY]"), 3, "tag"),
    "tag directive": ("%TAG !e! tag:yaml.org,2002:python/\n---\npipe: !e!object/apply:os.system [x]\n", 3, "tag"),
    "own tag": (_pipe("sink: !env HOME"), 3, "tag"),
    "include": (_pipe("sink: !include /etc/passwd"), 3, "tag"),
    "binary": (_pipe("sink: !!binary aGk="), 3, "tag"),
    "set": (_pipe("sink: !!set {a, b}"), 3, "tag"),
    "tagged key": ("!!python/name:os.system '': 1\n", 1, "tag"),
    # bombs
    "billion laughs": (_bomb(10), None, "stands for more than"),
    "many aliases": ("a: &a x\nb: [" + "*a, " * 101 + "]\n", 2, "aliases"),
    "a list in itself": ("pipe: &p [*p]\n", 1, "inside the value"),
    "a mapping in itself": ("pipe: &p\n  source: *p\n", 2, "inside the value"),
    "deep list": ("pipe: " + "[" * 5000, 1, "nested deeper"),
    "deep mapping": ("{a: " * 5000, 1, "nested deeper"),
    "huge": ("pipe:\n" + "  #" + "x" * (1 << 20), None, "larger than 1 MiB"),
    "huge number": (_pipe(f"limit: {'9' * 10000}"), 3, "number of records"),
    # keys
    "key twice": ("pipe: {source: orders.csv}\npipe: {source: /etc/passwd}\n", 2, "twice"),
    "inner key twice": (_pipe("source: /etc/passwd"), 3, "twice"),
    "unknown key": (_pipe("shema: orders.py:Order"), 3, "Did you mean 'schema'?"),
    "dunder key": (_pipe("__class__: x"), 3, "no such key"),
    "self": (_pipe("self: x"), 3, "no such key"),
    "unknown top key": (_pipe("sink: x.jsonl") + "import: os\n", 4, "no such key"),
    "a list as key": ("? [a]\n: 1\n", 1, "a key must be"),
    # code
    "os.system": (_schema("os:system"), 3, "beside the file"),
    "os.system as hook": (_hook("os:system"), 3, "No hook named 'os:system'"),
    "os.system dotted": (_hook("os.path:join"), 3, "beside the file"),
    "subprocess": (_schema("subprocess:Popen"), 3, "beside the file"),
    "builtins": (_schema("builtins:eval"), 3, "beside the file"),
    "installed module": (_schema("pydantic.main:BaseModel"), 3, "beside the file"),
    "imported into the file": (_hook("orders.py:system"), 3, "belongs to Python's own module"),
    "a module in the file": (_hook("orders.py:machine"), 3, "is a module"),
    "class walk": (_schema("orders.py:Order.__class__"), 3, "no plain name"),
    "dunder": (_schema("orders.py:__builtins__"), 3, "private"),
    "underscore": (_schema("orders.py:_hidden"), 3, "private"),
    "attribute": (_schema("orders.py:machine.system"), 3, "no plain name"),
    "call": (_schema("'orders.py:Order()'"), 3, "no plain name"),
    "expression": (_schema("'orders.py:Order if 1 else 2'"), 3, "no plain name"),
    "no colon": (_schema("os.system"), 3, "does not say which"),
    "dunder module": (_schema("__main__:Order"), 3, "neither a file"),
    "file above": (_schema("../evil.py:Order"), 3, "outside"),
    "file above by a detour": (_schema("sub/../../evil.py:Order"), 3, "outside"),
    "file above as hook": (_hook("../evil.py:hook"), 3, "outside"),
    "absolute file": (_schema("EVIL.py:Order"), 3, "outside"),
    "link to a file outside": (_schema("link.py:Order"), 3, "outside"),
    "module link to a file outside": (_schema("link:Order"), 3, "outside"),
    "folder": (_schema("./:Order"), 3, "is a folder"),
    "url of code": (_schema("http://example.org/evil.py:Order"), 3, "no file"),
    # data
    "source above": ("pipe:\n  source: ../secret.csv\n", 2, "outside"),
    "sink above": (_pipe("sink: ../../victim.jsonl"), 3, "outside"),
    "absolute sink": (_pipe("sink: /etc/cron.d/evil.csv"), 3, "outside"),
    "absolute errors with options": (_pipe("errors: {path: /etc/evil.csv, format: csv}"), 3, "outside"),
    "file url": ("pipe:\n  source: file:///etc/passwd\n", 2, "without file://"),
    "FILE url": ("pipe:\n  source: FILE:///etc/passwd\n", 2, "without file://"),
    "link to data outside": ("pipe:\n  source: link.csv\n", 2, "outside"),
    "nul": ('pipe:\n  source: "a\\0b.csv"\n', 2, "no path"),
    "a number as path": ("pipe:\n  source: 12\n", 2, "no path"),
    "the home folder": (_pipe("sink: {path: {path: x}}"), 3, "give a path"),
    "options that are no words": (_pipe("sink: {path: x.csv, 1: 2}"), 3, "options are words"),
    # values
    "a program as executor": (_pipe("executor: [touch, CANARY]"), 3, "selects nothing"),
    "an object as observer": (_pipe("observers: [{path: x}]"), 3, "names no observer"),
    "an empty file": ("", 1, "must begin with the key 'pipe:'"),
    "a word": ("pipe", 1, "must begin with the key 'pipe:'"),
    "no source": ("pipe:\n  sink: x.jsonl\n", 1, "no 'source'"),
    "a list": ("pipe:\n  - source\n", 1, "parameters of the pipe"),
    "a project": ("pipelines: {}\n", 1, "a project's file"),
    "sexagesimal": (_pipe("limit: 1:30"), 3, "number of records"),
    "octal": (_pipe("limit: 012"), 3, "number of records"),
    "norway": (_pipe("ordered: no"), 3, "true or false, not 'no'"),
    "an unknown mode": (_pipe("mode: destroy"), 3, "Choose one of"),
    "a negative limit": (_pipe("limit: -1"), 3, "number of records"),
    "a wrong setting": (_pipe("chunk_size: many"), 3, "chunk_size"),
    "a flag for a number": (_pipe("chunk_size: true"), 3, "cannot be True"),
    "a hook that is no list": (_pipe("pre_validation_hooks: timestamp"), 3, "as a list"),
    "a hook with two names": (_pipe("pre_validation_hooks: [{a: {}, b: {}}]"), 3, "names no hook"),
    "an unknown hook": (_hook("timestmap"), 3, "Did you mean 'timestamp'?"),
    "no schema": (_schema("orders.py:Plain"), 3, "Order, Item"),
    "no hook": (_hook("orders.py:NUMBER"), 3, "no hook"),
}


@pytest.mark.parametrize("name", CORPUS)
def test_a_hostile_or_wrong_file_is_refused_with_its_place(name: str, folder: Path, write: Write) -> None:
    text, line, words = CORPUS[name]
    canary, evil = folder.parent / "canary", folder.parent / "evil.py"
    evil.write_text(EVIL.format(canary=str(canary)), encoding="utf-8")
    (folder.parent / "secret.csv").write_text("id\n1\n", encoding="utf-8")
    (folder / "link.py").symlink_to(evil)
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")
    path = write(text.replace("CANARY", str(canary)).replace("EVIL.py", str(evil)))
    before = set(sys.modules)

    with pytest.raises(ConfigError) as caught:
        load_pipe_file(path)

    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.path == str(path)
    assert line is None or caught.value.line == line
    assert not canary.exists()
    assert not {module for module in set(sys.modules) - before if "evil" in module}


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 25
