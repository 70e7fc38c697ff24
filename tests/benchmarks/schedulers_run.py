"""Schedulers alone: ``schedulers_run.py skewed SEEDS`` or ``schedulers_run.py cost KIND COUNT WAITING...``.

Prints JSON: what came of skewed work with each of them, or the microseconds of a push and a pop among so many.
"""

import json
import sys
from dataclasses import asdict

from schedulers import cost, skewed

if __name__ == "__main__":
    if sys.argv[1] == "skewed":
        print(json.dumps({name: asdict(one) for name, one in skewed(int(sys.argv[2])).items()}))
    else:
        kind, count, *waiting = sys.argv[2:]
        print(json.dumps([cost(kind, int(one), int(count)) for one in waiting]))
