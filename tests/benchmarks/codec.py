"""The codec that chunks travel with, against pickle and JSON."""

from __future__ import annotations

import json
from statistics import median
from typing import Any

from command import measure, script
from figures import Figure, Section


def codecs(rounds: int) -> Section:
    """Encode and decode a chunk of 200 orders with each codec."""
    found = json.loads(measure(script("codec_run.py", rounds)).output)
    section = Section(
        "Codec, 200 orders",
        f"Encode and decode once; median of {rounds} interleaved rounds in one process. Pickle is what we do not use, "
        f"because opening it runs whatever its sender likes.",
        ("records", "codec", "encode µs", "decode µs", "both against pickle", "bytes"),
        raw=found,
    )
    for kind, measured in found.items():
        for name, one in measured.items():
            ratio, size = _ratio(one, measured["pickle"]), one["bytes"]
            times = [f"{1e6 * median(one[way]):.0f}" for way in ("encode", "decode")]
            section.rows.append((kind, name, *times, f"{ratio:.2f}", f"{size:,}"))
            if name == "msgpack":
                share = size / measured["pickle"]["bytes"]
                section.figures.append(Figure(f"codec's time against pickle, {kind}", ratio, "x", 2.0, "less"))
                section.figures.append(Figure(f"codec's size against pickle, {kind}", share, "x", 1.0, "less"))
    return section


def _ratio(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """Median of the rounds' ratios, encode and decode together."""
    rounds = zip(ours["encode"], ours["decode"], theirs["encode"], theirs["decode"], strict=True)
    return float(median((a + b) / (c + d) for a, b, c, d in rounds))
