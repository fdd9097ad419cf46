# SPDX-License-Identifier: Apache-2.0
"""The S3 API of the fleet in a process of its own; while the file ``unavailable`` is in its folder it answers 503."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.s3_server import S3Server

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

__all__ = ["main"]

_BODY = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>ServiceUnavailable</Code>'
    "<Message>Please reduce your request rate.</Message></Error>"
)


def main() -> int:
    """Serve until told to stop."""
    from werkzeug.wrappers import Response  # noqa: PLC0415 - only where it runs

    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    unavailable, refused = folder / "unavailable", folder / "refused"
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def fault(request: Request) -> Response | None:
        if not unavailable.exists():
            return None
        with refused.open("a", encoding="utf-8") as log:
            log.write(f"{request.method} {request.path}\n")
        return Response(_BODY, status=503, content_type="application/xml")

    with S3Server(port=port) as server:
        server.fault = fault
        (folder / "connection.json").write_text(server.connection(), encoding="utf-8")
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
