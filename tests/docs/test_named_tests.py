"""Tests that the manual names as what shows something are there."""

from __future__ import annotations

import re
from pathlib import Path

NAMED = re.compile(r"`((?:core/tests|tests|plugins/[a-z-]+/tests)/[\w/]+\.py)(?:::(test_\w+))?`")


def _missing(page: Path, root: Path) -> list[str]:
    missing = []
    for path, name in NAMED.findall(page.read_text(encoding="utf-8")):
        file = root / path
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        if not text or (name and not re.search(rf"^(async )?def {name}\(", text, re.MULTILINE)):
            missing.append(f"{path}::{name}")
    return missing


def test_tests_that_a_page_names_are_there(page: Path, root: Path) -> None:
    assert _missing(page, root) == []


def test_tests_that_the_page_on_security_names_are_there(root: Path) -> None:
    page = root / "SECURITY.md"

    assert _missing(page, root) == []
    assert len(NAMED.findall(page.read_text(encoding="utf-8"))) > 30


def test_there_are_such_pages(manual: list[Path]) -> None:
    assert sum(len(NAMED.findall(page.read_text(encoding="utf-8"))) for page in manual) > 30
