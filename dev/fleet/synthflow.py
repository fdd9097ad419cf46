# SPDX-License-Identifier: Apache-2.0
"""
The Synthflow test server as the fleet meets it: slow, with a limit, with faults at one request in a hundred.

Files in its folder are its switches: while ``down`` is there it refuses connections, and with ``live`` the calls of
the live agent arrive. ``stats.json`` tells what it answered so far.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.fleet.plan import Plan
from tests.synthflow_server import Behaviour, Fault, SynthflowApi, WallClock, make_calls, serve

if TYPE_CHECKING:
    from tests.synthflow_server import Call, Handle

__all__ = ["main"]

_PERIOD = 0.1
_HANGS_SECONDS = 20.0  # longer than the clients wait
_KINDS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "headers": {"Retry-After": "1"}},
    {"kind": "timeout_before_headers", "seconds": _HANGS_SECONDS},
    {"kind": "truncated_body"},
    {"kind": "truncated_json"},
    {"kind": "reset"},
)
_FAULTY_REQUESTS = 20_000


def main() -> int:
    """Serve until told to stop."""
    port, folder, plan = int(sys.argv[1]), Path(sys.argv[2]), Plan.from_json(sys.argv[3])
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    behaviour = Behaviour(latency_s=plan.latency, rate_limit_per_minute=plan.limit or None)
    api = SynthflowApi(plan.made_calls, behaviour=behaviour, faults=_faults(plan.faults), clock=WallClock())
    api.warm()
    live = False
    with serve(api, port=port) as handle:
        while not stop.wait(_PERIOD):
            _follow_outage(handle, down=(folder / "down").exists())
            if not live and (folder / "live").exists():
                live = True
                api.add(*_live_calls(plan))
            _tell(api, folder / "stats.json")
        _tell(api, folder / "stats.json")
    return 0


def _faults(share: float) -> list[Fault]:
    """Draw the requests that are answered wrongly, and how; the kinds take turns."""
    lots = random.Random("faults")  # noqa: S311 - the same in each run
    numbers = [number for number in range(1, _FAULTY_REQUESTS) if lots.random() < share]
    every = len(_KINDS)
    return [Fault(**kind, at=tuple(numbers[at::every])) for at, kind in enumerate(_KINDS) if numbers[at::every]]


def _follow_outage(handle: Handle, *, down: bool) -> None:
    if down:
        handle.pause()
    else:
        handle.resume()


def _live_calls(plan: Plan) -> list[Call]:
    """Make a few calls of the live agent that start now."""
    now_ms = time.time_ns() // 1_000_000
    return make_calls(1, 3, agents=[plan.live_agent], from_ms=now_ms - 1_000, to_ms=now_ms, max_duration_s=1)


def _tell(api: SynthflowApi, path: Path) -> None:
    """Write down how many requests there were and how they ended; a reader sees the whole of it."""
    received = list(api.requests)
    statuses = Counter(each.action or str(each.status) for each in received)
    part = path.with_suffix(".part")
    limit_refused = statuses["429"] - sum(
        each.fired for each in api._armed if getattr(each.script, "status", None) == 429
    )
    told = {"requests": len(received), "answers": statuses, "over_limit": limit_refused}
    part.write_text(json.dumps(told), encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
