"""The command line `pipe`: the only place that prints.

`app` is the command with its lazily imported subcommands, one module each; `errors` makes one line and an exit code
of whatever goes wrong (the codes are in `exits`); `output` writes tables and JSON and keeps secrets out of them.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit. The entry point of the script `pipe`."""
    try:
        from pipe_core.cli.app import app
    except KeyboardInterrupt:  # Ctrl-C while Python still reads modules
        raise SystemExit(130) from None
    app()
