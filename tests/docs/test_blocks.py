"""The runner of pages notices what a page gets wrong: otherwise its tests would prove nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from blocks import blocks, commands, fits, what_is_said


def run(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    page = folder / "page.md"
    page.write_text(text, "utf-8")
    runner = Path(__file__).with_name("run_page.py")
    return subprocess.run(
        [sys.executable, str(runner), str(page)], cwd=folder, capture_output=True, text=True, timeout=50
    )


@pytest.mark.parametrize(
    "text",
    [
        "```python\nx = 1\nx + 1  # -> 2\nprint('a', x)  # -> a 1\n```\n",
        "```python\nx = 1\n```\n\nWords.\n\n```python\nassert x == 1\n```\n",
        '```python title="one.py"\nname = "Ada"\n```\n\n```python\nfrom one import name\nname  # -> \'Ada\'\n```\n',
        "```console\n$ echo one\none\n$ false\n$ echo $?\n1\n```\n",
        "```console\n$ echo one two three\none ... three\n```\n",
        "<!-- not run: needs a network -->\n```python\n1 / 0\n```\n",
        "```python\nimport asyncio\nawait asyncio.sleep(0, 'x')  # -> 'x'\n```\n",
        "```python\nx = '''\n# -> 2\n'''\n```\n",
        "```python\nfor x in [1, 2]:\n    print(x, end=' ')  # -> 1 2\n```\n",
        "```python\nprint('a\\nb')\n# -> a\n# -> b\n2  # -> 2\n```\n",
        "1. In a list:\n\n    ```python\n    1 + 1  # -> 2\n    ```\n",
    ],
)
def test_a_true_page_passes(tmp_path: Path, text: str) -> None:
    done = run(tmp_path, text)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```python\n1 + 1  # -> 3\n```\n", "page.md:2: said '3', printed '2"),
        ("```python\nprint('a')  # -> b\n```\n", "page.md:2"),
        ("```python\n\nassert 1 == 2\n```\n", "page.md"),
        ("```console\n$ echo one\ntwo\n```\n", "page.md:2"),
        ("```console\n$ sh -c 'exit 3'\n```\n", "ended with 3, which the page does not say"),
        ("```console\n$ sh -c 'echo x; exit 3'\nx\n```\n", "does not say"),
        ("```console\n$ sh -c 'echo x; exit 3'\nx\n$ echo more\nmore\n```\n", "does not say"),
        ("```python\nx = 1\n", "has no end"),
        ("```python\nprint(2)\n# -> 3\n```\n", "page.md:2: said '3', printed '2"),
        ("```python\nprint(2)  # -> 2\n# -> 3\n```\n", "page.md:2: said '2\\n3', printed '2"),
        ("```python\nprint(2)\n# -> 2\n# -> 3\n```\n", "page.md:2"),
        ("```python\nprint(2)\n\n# -> 2\n```\n", "page.md:4: no statement ends here"),
        ("```python\n# -> 2\nprint(2)\n```\n", "page.md:2: no statement ends here"),
        ("```python\nfor x in [2]:\n    pass\n    # -> 3\n    print(x)\n```\n", "page.md:4: no statement ends here"),
        ("```python\ndef two():\n    print(2)  # -> 3\n    return 2\n```\n", "page.md:3"),
        ("```python\nprint(  # -> 3\n    2\n)\n```\n", "page.md:2"),
    ],
)
def test_a_false_page_fails_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    done = run(tmp_path, text)
    assert done.returncode != 0
    assert message in done.stderr


def test_a_reason_belongs_to_the_next_block_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: a -->\n```sh\nx\n```\n```sh\ny\n```\n<!-- not run: b -->\nWords.\n```sh\nz\n```\n")
    assert [block.not_run for block in blocks(page)] == ["a", None, None]


def test_a_block_is_left_out_where_its_plugin_is_missing(tmp_path: Path) -> None:
    done = run(tmp_path, "<!-- needs: pipe-core, pipe-nowhere -->\n\n```python\n1 / 0\n```\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "left out: page.md:4 needs pipe-nowhere\n"


def test_a_block_is_run_where_its_plugin_is_there(tmp_path: Path) -> None:
    done = run(tmp_path, "<!-- needs: pipe-core -->\n```python\n1 / 0\n```\n")
    assert "ZeroDivisionError" in done.stderr


def test_a_need_belongs_to_the_next_block_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- needs: pipe-a, pipe-b -->\n```python\nx\n```\n```python\ny\n```\n")
    assert [block.needs for block in blocks(page)] == [("pipe-a", "pipe-b"), ()]


def test_long_commands_go_on_behind_a_backslash(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo one \\\n    two\none two\n```\n")
    (command,) = commands(blocks(page)[0])
    assert (command.text, command.prints) == ("echo one two", "one two")


def test_what_is_said_stands_where_a_statement_ends() -> None:
    assert what_is_said("print(1)  # -> 1\nprint(2)  # two\n", [1, 2]) == ({1: "1"}, [])
    assert what_is_said("print('1\\n2')\n# -> 1\n# -> 2\n", [1]) == ({1: "1\n2"}, [])
    assert what_is_said("print(\n    1  # -> 1\n)\n# two\n# -> 1\n", [3]) == ({}, [2, 5])


def test_dots_stand_for_anything() -> None:
    assert fits("read=3 in ... s>", "read=3 in 0.01 s>\n")
    assert not fits("read=3 in ... s>", "read=4 in 0.01 s>\n")


def test_a_line_of_dots_may_stand_for_no_line() -> None:
    assert fits("one\n...\ntwo", "one\ntwo")
    assert fits("one\n...\ntwo", "one\nmore\nand more\ntwo")
    assert not fits("one\n...\ntwo", "one two")


def test_columns_may_move() -> None:
    assert fits("read    3", "  read  3\n")
    assert not fits("read 3", "read3")
