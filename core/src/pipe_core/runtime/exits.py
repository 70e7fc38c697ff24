"""How a process ended, in words."""

from __future__ import annotations

import signal


def exit_text(code: int | None) -> str:
    """What an exit code says; negative ones are signals, None is not known."""
    if code is None:
        return "nobody knows how"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}, perhaps for want of memory" if name == "SIGKILL" else name
