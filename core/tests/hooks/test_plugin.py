from __future__ import annotations

import subprocess
import sys

import pytest

from pipe_core.kernel.kernel import Kernel


@pytest.mark.parametrize("name", ["deduplicate", "field_mapper", "filter", "timestamp"])
def test_each_is_described_through_its_entry_point(name: str) -> None:
    spec = Kernel(environ={}).spec("hooks", name)
    assert spec.summary
    assert spec.options.model_config.get("extra") == "forbid"


def test_the_light_module_imports_no_hook_and_no_front_door() -> None:
    code = "import sys, pipe_core.hooks.plugin as p; print(sorted(m for m in sys.modules if m.startswith('pipe_core')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pipe_core.hooks.options" in done.stdout
    assert "pipe_core.records" not in done.stdout
    assert "pipe_core.hooks.filter" not in done.stdout


def test_the_public_names_are_handed_out_lazily() -> None:
    import pipe_core.hooks

    for name in pipe_core.hooks.__all__:
        assert getattr(pipe_core.hooks, name).__name__ == name
    with pytest.raises(AttributeError, match="Nothing"):
        _ = pipe_core.hooks.Nothing
