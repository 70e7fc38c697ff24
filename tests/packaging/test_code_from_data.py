"""Where our own code opens pickles or runs text: in the places that are known for it, and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RISKY = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load"),
    *(f"{module}.{name}" for module in ("pickle", "cloudpickle", "marshal") for name in ("load", "loads", "Unpickler")),
    *("shelve.open", "joblib.load", "numpy.load", "np.load", "pandas.read_pickle", "torch.load"),
}
KNOWN = {
    # what a person allows by a setting, or signs with a key
    "core/src/pipe_core/project/catalog/raw_files.py": {"pickle.loads"},
    "core/src/pipe_core/graph/caching/entries.py": {"pickle.loads"},
    "core/src/pipe_core/project/config/loading.py": {"allow_pickle="},
    "core/src/pipe_core/project/project.py": {"allow_pickle="},
    "core/src/pipe_core/project/runs/runner.py": {"allow_pickle="},
    # calls, and what they give, between the processes of one run
    "core/src/pipe_core/graph/companions.py": {"pickle.loads"},
    "core/src/pipe_core/graph/remote.py": {"pickle.loads"},
    "core/src/pipe_core/runtime/share.py": {"cloudpickle.loads"},
    "core/src/pipe_core/runtime/wire.py": {"cloudpickle.loads"},
    # of a syntax tree, in which the names of a header are constants
    "core/src/pipe_core/formats/record_maker.py": {"compile"},
    # kits for tests
    "core/src/pipe_core/testing/formatting/ground.py": {"cloudpickle.loads"},
    "core/src/pipe_core/testing/hooks.py": {"cloudpickle.loads"},
}
"""By file, what is there and must be."""


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.args[0], ast.Constant):
        return str(node.args[0].value)  # import_module("pickle").loads
    return node.id if isinstance(node, ast.Name) else ""


def _found(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "cloudpickle", "marshal"):
            yield from (f"{node.module}.{one.name}" for one in node.names if f"{node.module}.{one.name}" in RISKY)
        if isinstance(node, ast.Attribute | ast.Name) and _dotted(node) in RISKY:
            yield _dotted(node)
        if isinstance(node, ast.keyword) and node.arg in ("shell", "allow_pickle") and not _is_false(node.value):
            yield f"{node.arg}="


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def test_pickles_are_opened_and_text_is_run_where_it_is_known() -> None:
    files = [*ROOT.glob("core/src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")]
    found = {str(file.relative_to(ROOT)): set(_found(file)) for file in files}

    assert len(files) > 300
    assert {name: risks for name, risks in found.items() if risks} == KNOWN
