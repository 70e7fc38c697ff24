"""Code that is only here: a real process that cannot import it, in another folder, runs it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PRELUDE = """
import subprocess, sys
from pipe_core import CodecError
from pipe_core.runtime.wire import open_answer, pack_call

WORKER = '''
import sys
from pipe_core.runtime.wire import run_frame
while size := int.from_bytes(sys.stdin.buffer.read(4), "big"):
    answer = run_frame(sys.stdin.buffer.read(size))
    sys.stdout.buffer.write(len(answer).to_bytes(4, "big") + answer)
    sys.stdout.buffer.flush()
'''
_worker = subprocess.Popen(
    [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=sys.argv[1]
)

def there(fn, *args):
    frame = pack_call(fn, args, {})
    _worker.stdin.write(len(frame).to_bytes(4, "big") + frame)
    _worker.stdin.flush()
    answer = _worker.stdout.read(int.from_bytes(_worker.stdout.read(4), "big"))
    return open_answer(answer)

def value(fn, *args):
    outcome = there(fn, *args)
    if outcome.error is not None:
        raise outcome.error
    return outcome.value

def error(fn, *args):
    try:
        outcome = there(fn, *args)
    except Exception as refused:
        return refused
    assert outcome.error is not None, outcome
    return outcome.error
"""

HELPERS = """
import collections, dataclasses, enum, functools, threading, typing

import pkg, pkg.a

LOCK = threading.Lock()
FILE = open(__file__, "rb")
LIMIT = 3
flag = False
T = typing.TypeVar("T")
UserId = typing.NewType("UserId", int)

class Color(enum.Enum):
    RED = 1

class BadRow(Exception):
    pass

@dataclasses.dataclass
class Person:
    name: str
    color: Color = Color.RED
    made: typing.ClassVar[int] = 0
    def limit(self): return LIMIT

class Point(typing.NamedTuple):
    x: int

class Box(typing.Generic[T]):
    def __init__(self, value: T): self.value = value

@functools.lru_cache(maxsize=7)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)

def work(x): return x * LIMIT
def locked(x):
    with LOCK: return x
def reading(): return FILE.read()
def check(): return flag
def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
def bad(): raise BadRow("row 7")
async def slow(x): return work(x)
"""

PACKAGE = {
    "pkg/__init__.py": "import pkg.a\nfrom . import b\nNAME = 'pkg'\ndef top(): return pkg.a.f(1)\n",
    "lazy.py": "guard = __import__('threading').Lock()\ndef __getattr__(name): return name.upper()\n",
    "pkg/a.py": "import pkg\nfrom . import b\ndef f(x): return (pkg.NAME, b.g(x))\n",
    "pkg/b.py": "import pkg.a\ndef g(x): return x + 1\ndef h(): return pkg.a.f(2)\n",
    "spaced/deep/c.py": "def c(): return 'c'\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name, text in {"helpers.py": HELPERS, **PACKAGE}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (tmp_path / "elsewhere").mkdir()
    return folder


def run(project: Path, text: str, cwd: Path | None = None, **files: str) -> str:
    """Run *text* as a script in the project. Its worker runs in a folder where nothing is."""
    script = project / "script.py"
    script.write_text(PRELUDE + textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, str(script), str(project.parent / "elsewhere")],
        cwd=cwd or project,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_functions_and_classes_of_modules_beside_the_script(project: Path) -> None:
    run(
        project,
        """
        import helpers
        from helpers import *

        assert value(work, 4) == 12
        assert value(lambda: work(5)) == 15
        assert value(slow, 2) == 6
        assert value(fib, 30) == 832040
        assert value(even, 4) is True

        person = value(lambda: Person("x"))
        assert type(person) is Person and person.color is Color.RED
        assert type(value(Point, 3)) is Point and type(value(Box, 3)) is Box
        assert value(lambda: Color.RED) is Color.RED
        assert value(lambda: UserId(3)) == 3
        assert value(lambda: UserId).__supertype__ is int
        assert value(lambda: Box[UserId]).__origin__ is Box

        found = error(bad)
        assert type(found) is BadRow and str(found) == "row 7", repr(found)
        """,
    )


def test_whole_modules_and_packages_with_cycles(project: Path) -> None:
    run(
        project,
        """
        import helpers, pkg, pkg.a as alias, spaced.deep.c
        from pkg import b

        assert value(lambda: helpers.work(5)) == 15
        assert value(pkg.top) == ("pkg", 2)
        assert value(lambda: pkg.b.h()) == ("pkg", 3)
        assert value(lambda: alias.f(3)) == ("pkg", 4)
        assert value(lambda: b.g(1)) == 2
        assert value(lambda: spaced.deep.c.c()) == "c"
        assert value(lambda: (helpers.__name__, helpers.__file__)) == ("helpers", helpers.__file__)

        def changes():
            helpers.flag = True
            return helpers.check()

        assert value(changes) is True
        assert helpers.flag is False
        """,
    )


def test_a_class_that_comes_home_is_the_one_that_left(project: Path) -> None:
    run(
        project,
        """
        import helpers

        def counts():
            helpers.Person.made += 1
            return helpers.Person("x")

        before = dict(vars(helpers.Person))
        person = value(counts)
        assert type(person) is helpers.Person
        assert dict(vars(helpers.Person)) == before, "the worker's copy was written over the original"
        helpers.LIMIT = 9
        assert person.limit() == 9

        class Mine:
            made = 0

        def counts_mine():
            Mine.made += 1
            return Mine(), Mine.made

        mine, made = value(counts_mine)
        assert (type(mine), made, Mine.made) == (Mine, 1, 0)
        Mine.made = 5
        assert value(counts_mine)[1] == 6, "what is changed here is changed there"
        """,
    )


def test_what_cannot_travel_is_named_before_anything_is_sent(project: Path) -> None:
    run(
        project,
        """
        import helpers, threading

        text = str(error(helpers.locked, 1))
        assert text == (
            "The function locked cannot travel to another process: cannot pickle '_thread.lock' object. "
            "The global 'LOCK' of helpers, which locked uses, is what cannot: a lock. "
            "Make it where the call runs, or choose an executor of this process, such as 'threads'."
        ), text

        text = str(error(helpers.reading))
        assert "The global 'FILE' of helpers, which reading uses, is what cannot: a BufferedReader." in text, text

        text = str(error(lambda: helpers.locked(1)))
        assert "helpers.locked (a function) is used and cannot travel" in text, text
        assert "The global 'LOCK' of helpers, which locked uses, is what cannot: a lock." in text, text

        def by_name(name):
            return getattr(helpers, name)

        assert value(by_name, "LIMIT") == 3
        found = error(by_name, "LOCK")
        assert type(found) is AttributeError
        assert "helpers.LOCK cannot travel to another process: TypeError: cannot pickle" in str(found), found
        assert "module 'helpers' has no attribute 'nothing'" in str(error(by_name, "nothing"))

        import lazy
        assert value(lambda: lazy.anything) == "ANYTHING"

        class Hook:
            def __init__(self):
                self.guard = threading.Lock()

        text = str(error(id, Hook()))
        assert text.startswith("Argument 1 of id (a Hook) cannot travel to another process: "), text
        assert "The attribute 'guard' of a Hook is what cannot: a lock." in text, text

        guard = threading.Lock()
        def closes_over():
            kept = guard
            return lambda: kept
        text = str(error(closes_over()))
        assert "The variable 'kept' around closes_over.<locals>.<lambda> is what cannot: a lock." in text, text
        """,
    )


def test_models_of_pydantic_keep_all_they_do(project: Path) -> None:
    run(
        project,
        """
        import typing
        from pydantic import *
        from pydantic import dataclasses as models
        from helpers import UserId

        class Model(BaseModel):
            model_config = ConfigDict(defer_build=True)
            a: int
            user: UserId = 3
            friends: "list[Model]" = []

            @field_validator("a")
            @classmethod
            def positive(cls, value):
                if value < 0:
                    raise ValueError("negative")
                return value

            @model_validator(mode="before")
            @classmethod
            def before(cls, data):
                return {"a": data} if isinstance(data, int) else data

            @model_validator(mode="wrap")
            @classmethod
            def around(cls, value, handler):
                return handler(value)

            @field_serializer("a")
            def shown(self, value):
                return f"<{value}>"

            @computed_field
            @property
            def twice(self) -> int:
                return 2 * self.a

        dumped = value(lambda: Model.model_validate({"a": 1, "friends": [{"a": "3"}, 4]}).model_dump())
        assert dumped == {
            "a": "<1>", "user": 3, "twice": 2,
            "friends": [{"a": f"<{a}>", "user": 3, "friends": [], "twice": 2 * a} for a in (3, 4)],
        }, dumped
        assert value(Model.model_validate, 5) == Model(a=5)
        assert type(value(lambda: Model(a=1))) is Model
        assert "negative" in str(error(lambda: Model(a=-1)))

        T = typing.TypeVar("T")
        class Page(BaseModel, typing.Generic[T]):
            items: list[T]

        page = value(lambda: Page[Model](items=[1, 2]))
        assert isinstance(page, Page) and type(page.items[0]) is Model
        assert value(Page[int].model_validate, {"items": ["4"]}) == Page[int](items=[4])

        @models.dataclass(config=ConfigDict(defer_build=True))
        class Data:
            x: int

        assert value(lambda: Data("3").x) == 3

        def nested():
            class Inner(BaseModel):
                kind: typing.Literal["s"]
                f: typing.Annotated[int, AfterValidator(lambda value: value + 1)]
            return Inner

        Inner = nested()
        assert value(lambda: Inner(kind="s", f=2).f) == 3
        found = value(lambda: Inner(kind="s", f=2))
        assert type(found) is Inner
        """,
    )


def test_the_working_folder_counts_as_the_script_does(project: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "here.py").write_text("def here(): return 'here'\n")
    run(
        project,
        """
        import helpers
        sys.path.append(".")
        import here

        assert value(here.here) == "here"
        assert value(helpers.work, 1) == 3
        """,
        cwd=work,
    )


def test_files_given_by_path_travel_from_anywhere(project: Path, tmp_path: Path) -> None:
    far = tmp_path / "far" / "model.py"
    far.parent.mkdir()
    far.write_text(
        "import near\nclass Model:\n    def __init__(self): self.x = near.LIMIT\ndef make(): return Model()\n"
    )
    (far.parent / "near.py").write_text("LIMIT = 4\n")
    run(
        project,
        f"""
        from pipe_core.project.modules import import_module
        module = import_module("{far}:make", "{far}", None)
        made = value(module.make)
        assert type(made) is module.Model and made.x == 4
        """,
    )


def test_the_registry_of_cloudpickle_is_left_alone(project: Path) -> None:
    run(
        project,
        """
        import cloudpickle, helpers

        before = cloudpickle.dumps(helpers.work)
        assert value(helpers.work, 1) == 3
        assert cloudpickle.list_registry_pickle_by_value() == set()
        assert cloudpickle.dumps(helpers.work) == before
        cloudpickle.register_pickle_by_value(helpers)
        assert value(helpers.work, 1) == 3
        assert cloudpickle.list_registry_pickle_by_value() == {"helpers"}
        """,
    )


def test_a_spawned_pool_without_a_guard_in_the_helpers(project: Path) -> None:
    run(
        project,
        """
        import helpers
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from pipe_core import get_executor

        if __name__ == "__main__":
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, get_executor(pool) as executor:
                person = executor.submit(lambda: helpers.Person("x")).result()
                assert type(person) is helpers.Person

                def imports_itself():
                    import helpers
                    return helpers.Person("y")

                assert type(executor.submit(imports_itself).result()) is helpers.Person
                assert executor.share(person).get() is not person
                shared = executor.share(person)
                assert executor.submit(lambda: shared.get().name).result() == "x"
        """,
    )
