# SPDX-License-Identifier: Apache-2.0
"""The test server as a program of its own."""

from __future__ import annotations

import argparse
import datetime as dt
import gc
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.synthflow_server.api import SynthflowApi
from tests.synthflow_server.behaviour import Behaviour
from tests.synthflow_server.clock import WallClock
from tests.synthflow_server.dataset import DAY_MS, make_calls
from tests.synthflow_server.server import serve

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve made-up calls until the process is told to stop."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        behaviour = Behaviour().with_texts(dict(pair.split("=", 1) for pair in given.behaviour))
    except ValueError as error:
        parser.error(str(error))
    if given.latency is not None:
        behaviour = behaviour.with_texts({"latency_s": str(given.latency)})
    until_ms = _instant(given.until)
    calls = make_calls(
        given.seed,
        given.calls,
        agents=given.agents,
        from_ms=until_ms - int(given.days * DAY_MS),
        to_ms=until_ms,
        record_bytes=given.record_bytes,
    )
    api = SynthflowApi(calls, behaviour=behaviour, clock=WallClock() if given.wall_clock else None)
    api.warm()
    gc.collect()
    gc.freeze()  # the calls stay for good: looking through them again and again would make answers uneven
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with serve(api, host=given.host, port=given.port) as handle:
        if given.port_file is not None:
            _write_whole(given.port_file, f"{handle.port}\n")
        key = min(behaviour.require_key, default="none")
        sys.stdout.write(f"{handle.url} key={key} calls={len(calls)} stop: kill {os.getpid()}\n")
        sys.stdout.flush()
        while not stop.wait(0.5):
            pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.synthflow_server", description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at")
    parser.add_argument("--port", type=int, default=0, help="the port; 0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="a file to write the port to, once it is open")
    parser.add_argument("--calls", type=int, default=5000, help="how many calls there are")
    parser.add_argument("--agents", type=int, default=3, help="how many agents there are")
    parser.add_argument("--days", type=float, default=14, help="over how many days the calls spread")
    parser.add_argument("--until", default="2026-11-23T00:00:00Z", help="when these days end; also `now`")
    parser.add_argument("--seed", type=int, default=7, help="equal seeds give equal calls")
    parser.add_argument("--record-bytes", type=int, help="about how long the JSON of one call is")
    parser.add_argument("--latency", type=float, help="seconds before each answer")
    parser.add_argument("--wall-clock", action="store_true", help="list calls as the present passes them")
    parser.add_argument("--behaviour", nargs="*", action="extend", default=[], metavar="KEY=VALUE", help="switches")
    return parser


def _instant(text: str) -> int:
    """Return an instant written in ISO 8601, or `now`, in UTC milliseconds."""
    if text == "now":
        return WallClock().now_ms()
    moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.timezone.utc)
    return int(moment.timestamp() * 1000)


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader never sees a part of it."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
