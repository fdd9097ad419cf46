# SPDX-License-Identifier: Apache-2.0
"""
``gcp-storage-emulator`` with what it leaves out: a request that names a generation is refused where another is there,
and a listing comes in pages, as many objects in each as were asked for.

Its sessions of several requests keep the address that they began with, so the condition is looked at with each
part, the last included. It serves one request at a time, so nothing comes between the look and the write.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from gcp_storage_emulator import server
from gcp_storage_emulator.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Callable

__all__: list[str] = []


def _generation(request: Any, storage: Any) -> str:
    """Return the generation of the object that a request is about, "0" where there is none."""
    name = request.params.get("object_id") or request.query.get("name", [""])[0]
    meta = request.data if isinstance(request.data, dict) else {}
    name = name or meta.get("meta", meta).get("name")
    found = storage.objects.get(request.params["bucket_name"], {}).get(name)
    return str(found["generation"]) if found else "0"


def _conditional(handler: Callable[..., None]) -> Callable[..., None]:
    def handle(request: Any, response: Any, storage: Any, *others: Any, **named: Any) -> None:
        wanted = request.query.get("ifGenerationMatch")
        if wanted and wanted[0] != _generation(request, storage):
            message = "At least one of the pre-conditions you specified did not hold."
            response.status = HTTPStatus.PRECONDITION_FAILED
            response.json({"error": {"code": 412, "message": message, "errors": [{"reason": "conditionNotMet"}]}})
            return
        handler(request, response, storage, *others, **named)

    return handle


def _paged(handler: Callable[..., None]) -> Callable[..., None]:
    def handle(request: Any, response: Any, *others: Any, **named: Any) -> None:
        limit, begin = (int(request.query.get(name, ["0"])[0]) for name in ("maxResults", "pageToken"))
        answer_whole = response.json

        def answer(listed: Any) -> None:
            if limit and isinstance(listed, dict) and listed.get("kind") == "storage#objects":
                found, end = sorted(listed["items"], key=lambda each: each["name"].encode()), begin + limit
                more = {"nextPageToken": str(end)} if len(found) > end else {}
                listed = {**listed, "items": found[begin:end], **more}
            answer_whole(listed)

        response.json = answer
        handler(request, response, *others, **named)

    return handle


if __name__ == "__main__":
    for _, handlers in server.HANDLERS:
        handlers.update({each: _paged(handlers[each]) for each in handlers.keys() & {"GET"}})
        handlers.update({each: _conditional(handlers[each]) for each in handlers.keys() & {"POST", "PUT", "DELETE"}})
    main(sys.argv[1:])
