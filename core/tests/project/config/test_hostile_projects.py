"""Project files that somebody wrote to make pipe do something. Nothing may run; every error names the place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pipe_core.kernel.errors import ConfigError
from pipe_core.project.project import Project

EVIL = """
from pathlib import Path
Path({canary!r}).touch()
def extract(*inputs): pass
class Order: pass
"""


def _node(reference: str) -> str:
    return f"nodes:\n  extract:\n    function: {reference}\n"


def _keys(keys: str) -> str:
    return f"nodes:\n  extract:\n    function: shop.etl.extract\n    {keys}\n"


def _data(path: str, more: str = "format: csv") -> str:
    return f"catalog:\n  orders:\n    path: {path}\n    {more}\n"


def _include(path: str) -> str:
    return f"project: {{name: shop}}\ninclude:\n  - {path}\n"


def _variables(*lines: str) -> str:
    return "variables:\n  " + "\n  ".join(lines) + "\ncatalog:\n  orders: ${a}.csv\n"


def _bomb(levels: int) -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines)


YAML: dict[str, tuple[str, int | None, str]] = {
    # tags
    "python object": ("nodes: !!python/object/apply:os.system ['touch CANARY']\n", 1, "tag"),
    "python name": (_node("!!python/name:os.system ''"), 3, "tag"),
    "python module": (_node("!!python/module:os ''"), 3, "tag"),
    "python new": (_keys("tags: !!python/object/new:os.system [touch CANARY]"), 4, "tag"),
    "python tuple": (_keys("input: !!python/tuple [a, b]"), 4, "tag"),
    "long tag": (_node("!<tag:yaml.org,2002:python/object/apply:os.system> [touch CANARY]"), 3, "tag"),
    "tag directive": ("%TAG !e! tag:yaml.org,2002:python/\n---\nnodes: !e!object/apply:os.system [x]\n", 3, "tag"),
    "own tag": (_data("!env HOME"), 3, "tag"),
    "include tag": (_data("!include /etc/passwd"), 3, "tag"),
    "binary": (_data("!!binary aGk="), 3, "tag"),
    "tagged key": ("!!python/name:os.system '': 1\n", 1, "tag"),
    # bombs
    "billion laughs": (_bomb(10), None, "stands for more than"),
    "many aliases": ("a: &a x\nb: [" + "*a, " * 101 + "]\n", 2, "aliases"),
    "a mapping in itself": ("nodes: &n\n  a: *n\n", 2, "inside the value"),
    "merges that multiply": (
        "a0: &a0 {k: 1, l: 2}\n"
        + "\n".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}" for i in range(1, 10)),
        None,
        "stands for more than",
    ),
    "a merge of text": ("nodes: {<<: text}\n", 1, "merges mappings"),
    "deep list": ("nodes: " + "[" * 5000, 1, "nested deeper"),
    "deep mapping": ("{a: " * 5000, 1, "nested deeper"),
    "huge": ("nodes:\n" + "  #" + "x" * (1 << 20), None, "larger than 1 MiB"),
    "huge number": (_keys(f"retries: {'9' * 10000}"), 4, "a finite number"),
    "nul": ("nodes: \0\n", 1, "is not allowed in YAML"),
    "bytes": ("nodes: \ud800\n", None, "not UTF-8"),
    "two documents": ("nodes: {}\n---\nnodes: {}\n", 2, "a second document"),
    # keys
    "key twice": ("nodes: {}\nnodes: {}\n", 2, "twice"),
    "inner key twice": (_keys("function: os.system"), 4, "twice"),
    "unknown top key": ("nodes: {}\nimports: [os]\n", 2, "no such key"),
    "unknown key": (_keys("retires: 3"), 4, "Did you mean 'retries'?"),
    "dunder key": (_keys("__class__: x"), 4, "no such key"),
    "model_config": (_keys("model_config: {extra: allow}"), 4, "no such key"),
    "model_post_init": (_keys("model_post_init: os.system"), 4, "no such key"),
    "a name in the node": (_keys("name: other"), 4, "no key of a file"),
    "a list as key": ("? [a]\n: 1\n", 1, "a key must be"),
    "a number as name": ("nodes:\n  1: {function: shop.etl.extract}\n", 2, "no name"),
    "overrides in a pipeline": (
        _node("shop.etl.extract") + "pipelines:\n  p:\n    nodes: [extract]\n    overrides: {extract: {retries: 1}}\n",
        7,
        "no key of a file",
    ),
    "another function in a pipeline": (
        _node("shop.etl.extract") + "pipelines:\n  p:\n    nodes:\n      - extract: {function: os.system}\n",
        7,
        "another function is another node",
    ),
    # code
    "os.system": (_node("os.system"), 3, "Python's own"),
    "os:system": (_node("os:system"), 3, "Python's own"),
    "module and function": (_keys("module: os").replace("shop.etl.extract", "system"), 4, "Python's own"),
    "subprocess": (_node("subprocess.Popen"), 3, "Python's own"),
    "subprocess by import": (_node("shop.etl.run"), 3, "Python's own module 'subprocess'"),
    "os.system by import": (_node("shop.etl.system"), 3, "Python's own module 'posix'"),
    "a partial of os.system": (_node("shop.etl.partial"), 3, "Python's own module 'posix'"),
    "a module by import": (_node("shop.etl.machine"), 3, "no function but a module"),
    "eval": (_node("builtins.eval"), 3, "Python's own"),
    "exec by its file": (_node("builtins:exec"), 3, "Python's own"),
    "importlib": (_node("importlib.import_module"), 3, "Python's own"),
    "shutil": (_node("shutil.rmtree"), 3, "Python's own"),
    "what nobody listed": (_node("pydantic.create_model"), 3, "project.code does not list it"),
    "pip": (_node("pip.main"), 3, "project.code does not list it"),
    "pipe itself": (_node("pipe_core.project.config.secrets.reveal"), 3, "project.code does not list it"),
    "Python's own where it was listed": ("project: {code: [os]}\n" + _node("os.system"), 4, "Python's own"),
    "by import from what was listed": (
        "project: {code: [pydantic]}\n" + _node("pydantic.main.sys"),
        4,
        "no function but a module",
    ),
    "from elsewhere by what was listed": (
        "project: {code: [pydantic.main]}\n" + _node("pydantic.main.cached_property"),
        4,
        "Python's own module 'functools'",
    ),
    "class walk": (_node("shop.etl.Plain.__class__"), 3, "cannot be named"),
    "class walk with a colon": (_node("'shop.etl:Plain.__subclasses__'"), 3, "cannot be named"),
    "dunder": (_node("shop.etl.__builtins__"), 3, "cannot be named"),
    "dunder module": (_node("shop.__init__.extract"), 3, "neither a module"),
    "underscore": (_node("shop.etl._hidden"), 3, "cannot be named"),
    "attribute": (_node("'shop.etl:machine.system'"), 3, "cannot be named"),
    "call": (_node("'shop.etl.extract()'"), 3, "cannot be named"),
    "expression": (_node("'shop.etl:extract if 1 else 2'"), 3, "cannot be named"),
    "lambda": (_node("'lambda: 1'"), 3, "cannot be named"),
    "main": (_node("__main__.extract"), 3, "neither a module"),
    "table": (_node("shop.etl.TABLE"), 3, "no function but of type dict"),
    "nul in a function": (_node('"shop\\0.etl:extract"'), 3, "NUL"),
    "file above": (_node("../evil.py:extract"), 3, "outside"),
    "file above by a detour": (_node("shop/../../evil.py:extract"), 3, "outside"),
    "absolute file": (_node("EVIL.py:extract"), 3, "outside"),
    "link to a file outside": (_node("link.py:extract"), 3, "outside"),
    "module link to a file outside": (_node("link.extract"), 3, "no module 'link'"),
    "a package that is a link": (_node("linked.evil.extract"), 3, "no module 'linked.evil'"),
    "url of code": (_node("http://example.org/evil.py:extract"), 3, "is no file"),
    "schema above": (_data("orders.csv", "schema: ../evil.py:Order"), 4, "outside"),
    "schema of Python": (_data("orders.csv", "schema: os:system"), 4, "Python's own"),
    "schema that is none": (_data("orders.csv", "schema: shop/etl.py:TABLE"), 4, "no model"),
    "contract of Python": (_keys("contracts: {inputs: {orders: 'os:system'}}"), 4, "Python's own"),
    # files
    "include above": (_include("../evil.yaml"), 3, "outside"),
    "include absolute": (_include("/etc/passwd"), 3, "outside"),
    "include by a link": (_include("link.yaml"), 3, "a link out of"),
    "include by a linked folder": (_include("linked/*.yaml"), 3, "a link out of"),
    "include of Python": (_include("shop/etl.py"), 3, "cannot be included"),
    "include of a URL": (_include("http://example.org/evil.yaml"), 3, "no path"),
    "include of a variable": (_include("'${HOME}/evil.yaml'"), 3, "no path"),
    "include with nul": (_include('"a\\0b.yaml"'), 3, "no path"),
    "include of nothing": (_include("conf/*.yaml"), 3, "there is no file"),
    "include of everything": (_include("'**/*.yaml'"), 3, "could mean any file"),
    "include of a number": (_include("12"), 3, "no path"),
    # data
    "data above": (_data("../secret.csv"), 3, "outside"),
    "data far above": (_data("../../../etc/passwd"), 3, "outside"),
    "data absolute": (_data("/etc/passwd"), 3, "outside"),
    "data at home": (_data("~/.ssh/id_rsa"), 3, "outside"),
    "data by a link": (_data("link.csv"), 3, "outside"),
    "data by a variable": (_data("'${HOME}/.ssh/id_rsa'"), 3, "outside"),
    "data by a default": (_data("'${NOBODY_SET_THIS:-/etc/passwd}'"), 3, "outside"),
    "data with nul": (_data('"a\\0b.csv"'), 3, "NUL"),
    "a pattern above": (_data("../*.csv"), 3, "outside"),
    "file url": (_data("file:///etc/passwd"), 3, "without file://"),
    "FILE url": (_data("FILE:///etc/passwd"), 3, "without file://"),
    "local url": (_data("local:///etc/passwd"), 3, "without local://"),
    "chained url": (_data("zip://a.csv::file:///etc/x.zip"), 3, "leads on"),
    "cached url": (_data("simplecache://x::/etc/passwd"), 3, "leads on"),
    "database above": (_data("sqlite:////etc/x.db?table=a", "mode: append"), 3, "outside"),
    "database of sqlite's own": (_data("sqlite:///file:/etc/x.db?table=a", "mode: append"), 3, "by its path"),
    "other database above": (_data("duckdb:////etc/x.db?table=a", "mode: append"), 3, "outside"),
    "an odd scheme": (_data("javascript://alert(1)", "mode: append"), 3, "No format named 'javascript'"),
    "inline data above": (_keys("input: [{path: ../secret.csv}]"), 4, "outside"),
    "runs above": ("project:\n  runs: ../../runs\n", 2, "outside"),
    "pickle": (_data("model.pkl", "mode: append"), 3, "runs whatever code"),
    "pickle by its name": (_data("model.bin", "format: pickle"), 4, "runs whatever code"),
    "an unknown format": (_data("x.csv", "format: python"), 4, "No format named 'python'"),
    "an unknown option": (_data("x.csv", "options: {dialect: {}}"), 4, "no such option"),
    # variables and secrets
    "variables in a circle": (_variables('a: "${b}"', 'b: "${c}"', 'c: "${a}"'), 6, "a -> b -> c -> a"),
    "a variable in itself": (_variables('a: "x${a}"'), 4, "a -> a"),
    "variables that multiply": (
        _variables(
            'a: "${b}${b}"', *(f'{x}: "{f"${{{y}}}" * 40}"' for x, y in zip("bcdef", "cdefg", strict=True)), "g: x"
        ),
        10,
        "more than 65536 letters",
    ),
    "a circle that nobody uses": ("variables:\n  a: x\n  b: '${c}'\n  c: '${b}'\n", 3, "b -> c -> b"),
    "a long text with variables": (_data("'" + "$" * 70_000 + "{a}'"), 3, "at most 65536 letters"),
    "an unknown variable": (_data("'${orderz}.csv'"), 3, "no variable 'orderz'"),
    "a variable of an object": (_data("'${os.environ}'"), 3, "cannot be read"),
    "a variable of an index": (_data("'${a[0].__class__}'"), 3, "cannot be read"),
    "a command": (_data("'${(touch CANARY)}'"), 3, "names no variable"),
    "a name in a name": (_data("'${A${B}}'"), 3, "cannot be read"),
    "never closed": (_data("'${A'"), 3, "never closed"),
    "deep defaults": (_data("'" + "${A:-" * 100 + "x" + "}" * 100 + "'"), 3, "deep"),
    "a secret that is not there": (_data("'s3://b/x.csv?key=${secret:NOBODY_SET_THIS}'"), 3, "no secret"),
    "a secret as description": (_keys("description: '${secret:HOME}'"), 4, "cannot stand here"),
    "a secret by a variable": (
        "variables: {a: 'x${secret:HOME}'}\n" + _keys("description: '${a}'"),
        5,
        "cannot stand here",
    ),
    "a secret as parameter": (_keys("hyperparams: {a: '${secret:HOME}'}"), 4, "cannot stand here"),
    "a secret written out": (_data("x.csv", "options: {nested: {password: abc}}"), 4, "this is a secret"),
    "a password in a URL": (_data("'s3://user:abc@bucket/x.csv'"), 3, "a password in the URL"),
    # values
    "a program as executor": (_keys("executor: [touch, CANARY]"), 4, "selects nothing"),
    "an unknown executor": (_keys("executor: os.system"), 4, "No executor named 'os.system'"),
    "a plain address": (_keys("executor: {name: sync, allow_insecure: true}"), 4, "plain address"),
    "a number as text": (_keys("timeout: '60; rm -rf /'"), 4, "must be a number"),
    "a flag for a number": (_keys("retries: true"), 4, "must be a number"),
    "an infinite timeout": (_keys("timeout: .inf"), 4, "finite"),
    "norway": ("project:\n  allow_pickle: yes\n", 2, "true or false"),
    "an unknown mode": (_data("x.csv", "mode: destroy"), 4, "'overwrite'"),
    "an unknown node": ("pipelines:\n  p: {nodes: [extrct]}\n" + _node("shop.etl.extract"), 2, "'extract'"),
    "an environment with a path": ("environments:\n  ../prod: {}\n", 2, "cannot be the name"),
    "code in an environment": ("environments:\n  prod: {include: [../evil.yaml]}\n", 2, "no such key"),
    "a list": ("- nodes\n", 1, "begins with one of the keys"),
    "a word": ("nodes", 1, "begins with one of the keys"),
    "nodes that are a list": ("nodes: [a]\n", 1, "must be a mapping"),
    "a record pipe": ("pipe:\n  source: orders.csv\n", 1, "a record pipe"),
}

OTHER: dict[str, tuple[str, str, int | None, str]] = {
    "toml: key twice": ("pipe.toml", "[nodes.a]\nfunction = 'x'\n[nodes.a]\nfunction = 'y'\n", 3, "no TOML"),
    "toml: deep lists": ("pipe.toml", "nodes = " + "[" * 5000, None, "no TOML for a configuration"),
    "toml: deep keys": ("pipe.toml", "x = 1\n" + "a." * 200_000 + "b = 1\n", 2, "nested deeper"),
    "toml: deep tables": ("pipe.toml", "[" + "a." * 100_000 + "b]\n", 1, "nested deeper"),
    "toml: deep inline": ("pipe.toml", "nodes = {" + "a." * 100_000 + "b = 1}\n", 1, "nested deeper"),
    "toml: many spaces": ("pipe.toml", " " * 1_000_000 + "os.system", 1, "no TOML"),
    "toml: no TOML": ("pipe.toml", "project: {name: shop}\n", 1, "no TOML"),
    "toml: os.system": ("pipe.toml", "[nodes.a]\nretries = 1\nfunction = 'os.system'\n", 3, "Python's own"),
    "toml: unknown key": ("pipe.toml", "[nodes.a]\nfunction = 'shop.etl.extract'\nretires = 1\n", 3, "'retries'"),
    "toml: data above": ("pipe.toml", "[catalog]\n\norders = {path = '../secret.csv'}\n", 3, "outside"),
    "toml: nul": ("pipe.toml", "[project]\nname = 'a\0b'\n", 2, "no TOML"),
    "json: key twice": ("pipe.json", '{"nodes": {},\n "nodes": {}}', 2, "is here twice; the first is in line 1"),
    "json: inner key twice": ("pipe.json", '{"nodes": {"a": {"x": 1,\n"x": 2}}}', 2, "is here twice"),
    "json: deep lists": ("pipe.json", '{"nodes": ' + "[" * 100_000, 1, "nested deeper"),
    "json: many values": ("pipe.json", '{"nodes": [' + "1," * 60_000 + "1]}", 1, "more than 50000 values"),
    "json: no JSON": ("pipe.json", '{"nodes": {},\n}', 2, "no JSON"),
    "json: comments": ("pipe.json", '{"nodes": {} // os.system\n}', 1, "no JSON"),
    "json: NaN": ("pipe.json", '{"nodes": {"a": {"function": "shop.etl.extract", "timeout": NaN}}}', None, "no number"),
    "json: os.system": ("pipe.json", '{"nodes":\n {"a":\n {"function": "os.system"}}}', 3, "Python's own"),
    "json: unknown key": (
        "pipe.json",
        '{"nodes": {"a": {"function":\n "shop.etl.extract",\n "x": 1}}}',
        3,
        "no such key",
    ),
    "json: long key": ("pipe.json", '{"nodes": {"a": {"' + "x" * 100_000 + '":\n 1}}}', 1, "no such key"),
    "json: long name": ("pipe.json", '{"nodes": {"' + "x" * 100_000 + '": 1}}', 1, "is no name"),
    "json: long number": ("pipe.json", '{"project": {"max_workers": ' + "9" * 5000 + "}}", None, "no JSON for"),
    "another suffix": ("pipe.xml", "<nodes/>", None, "files of a project end in"),
}


@pytest.fixture
def hostile(folder: Path) -> tuple[Path, Path]:
    """The folder with links out of it, and the file that appears when anything out there runs."""
    outside, canary = folder.parent, folder.parent / "canary"
    for name in ("evil.py", "evil.yaml", "secret.csv"):
        (outside / name).write_text(EVIL.format(canary=str(canary)), encoding="utf-8")
    for suffix, target in ((".py", "evil.py"), (".yaml", "evil.yaml"), (".csv", "secret.csv")):
        (folder / f"link{suffix}").symlink_to(outside / target)
    (folder / "linked").symlink_to(outside)
    return folder, canary


def _refused(path: Path, line: int | None, words: str, canary: Path) -> None:
    before = set(sys.modules)

    with pytest.raises(ConfigError) as caught:
        Project.load(path)

    problems = caught.value.problems
    told = [one for one in problems if words in one.text]
    assert told, str(caught.value)
    assert str(told[0].path) == str(path)
    assert line is None or told[0].line == line
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 6000
    assert not canary.exists()
    assert not {module for module in set(sys.modules) - before if "evil" in module or module in ("linked", "link")}
    assert str(path.parent) not in sys.path


@pytest.mark.parametrize("name", YAML)
def test_a_hostile_project_is_refused_with_its_place(name: str, hostile: tuple[Path, Path]) -> None:
    (folder, canary), (text, line, words) = hostile, YAML[name]
    path = folder / "pipe.yaml"
    text = text.replace("CANARY", str(canary)).replace("EVIL.py", str(folder.parent / "evil.py"))
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    _refused(path, line, words, canary)


@pytest.mark.parametrize("name", OTHER)
def test_a_hostile_project_in_another_language_is_refused_with_its_place(name: str, hostile: tuple[Path, Path]) -> None:
    (folder, canary), (file, text, line, words) = hostile, OTHER[name]
    path = folder / file
    path.write_text(text, encoding="utf-8")

    _refused(path, line, words, canary)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("nodes: !!python/object/apply:os.system ['touch CANARY']\n", 1, "tag"),
        ("include: [../evil.yaml]\n", 1, "only the project's own file includes"),
        ("nodes:\n  extract: {function: shop.etl.extract}\n", 2, "said twice"),
        ("nodes:\n  other: {function: os.system}\n", 2, "Python's own"),
        ("catalog:\n  secret: ../secret.csv\n", 2, "outside"),
        ("pipe: {}\n", 1, "no such key"),
        ("- 1\n", 1, "begins with one of the keys"),
    ],
)
def test_a_hostile_file_that_is_included_is_refused_with_its_place(
    hostile: tuple[Path, Path], text: str, line: int, words: str
) -> None:
    folder, canary = hostile
    included = folder / "conf" / "more.yaml"
    included.parent.mkdir()
    included.write_text(text.replace("CANARY", str(canary)), encoding="utf-8")
    (folder / "pipe.yaml").write_text("include: conf/*.yaml\n" + _node("shop.etl.extract"), encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        Project.load(folder)

    (told,) = [one for one in caught.value.problems if words in one.text]
    assert (told.path, told.line) == (str(included), line)
    assert not canary.exists()


def test_a_file_of_an_environment_that_is_a_link_is_refused(hostile: tuple[Path, Path]) -> None:
    folder, canary = hostile
    (folder / "pipe.yaml").write_text(_node("shop.etl.extract"), encoding="utf-8")
    (folder / "pipe.prod.yaml").symlink_to(folder.parent / "evil.yaml")

    with pytest.raises(ConfigError, match="a link out of the project's folder"):
        Project.load(folder, env="prod")
    assert not canary.exists()


@pytest.mark.parametrize("env", ["../evil", "/etc/passwd", "a\0b", "", "x" * 100, "*"])
def test_a_hostile_environment_is_none(hostile: tuple[Path, Path], env: str) -> None:
    folder, canary = hostile
    (folder / "pipe.yaml").write_text(_node("shop.etl.extract"), encoding="utf-8")

    with pytest.raises(ConfigError, match="no environment"):
        Project.load(folder, env=env)
    assert not canary.exists()


def test_python_is_run_only_where_a_person_names_it(hostile: tuple[Path, Path]) -> None:
    folder, canary = hostile
    (folder / "pipe.py").write_text(EVIL.format(canary=str(canary)) + "nodes = {}\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="no project"):
        Project.load(folder)
    assert not canary.exists()

    assert Project.load(folder / "pipe.py").nodes == {}
    assert canary.exists()


def test_a_named_pipe_is_refused_instead_of_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "more.yaml")
    (folder / "pipe.yaml").write_text("include: more.yaml\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="there is no file"):
        Project.load(folder)


def test_the_corpus_is_large_enough() -> None:
    assert len(YAML) + len(OTHER) >= 100
