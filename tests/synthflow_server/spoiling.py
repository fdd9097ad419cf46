# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S311  # a random wait is no secret
"""How a fault spoils an answer."""

from __future__ import annotations

import random
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tests.synthflow_server.answer import Answer, Stream, detail_body

if TYPE_CHECKING:
    from tests.synthflow_server.behaviour import Behaviour
    from tests.synthflow_server.faults import Fault

__all__ = ["delayed", "replaced", "spoiled"]


def replaced(fault: Fault, now_ms: int, request_id: str) -> Answer | None:
    """Return the answer that a fault gives in place of the ordinary one, or None where it needs that one."""
    if fault.kind == "status":
        answer = _error(fault, now_ms, request_id)
    elif fault.kind in ("html", "html_error"):
        answer = Answer.of_html(200 if fault.kind == "html" else fault.status or 502)
    elif fault.kind == "empty_body":
        answer = Answer(fault.status or 200, {"Content-Type": "application/json"})
    elif fault.kind == "not_json":
        answer = Answer(200, {"Content-Type": "application/json"}, b"upstream says: no calls for you\n")
    elif fault.kind == "redirect":
        answer = Answer(fault.status or 302, {"Location": fault.location})
    elif fault.kind == "reset":
        answer = Answer(0, action="reset")
    else:
        return None
    answer.headers.update(fault.headers)
    return answer


def spoiled(answer: Answer, fault: Fault) -> Answer:
    """Return the ordinary answer, sent wrongly."""
    answer.headers.update(fault.headers)
    if fault.kind == "truncated_json":
        answer.body = answer.body[: len(answer.body) // 2]
    elif fault.kind in ("truncated_body", "timeout_before_headers", "timeout_mid_body"):
        answer.action = fault.kind
        answer.seconds = fault.seconds
    elif fault.kind == "drip_headers":
        answer.action = "drip_headers"
        answer.seconds = fault.seconds
    elif fault.kind == "drip_body":
        body = answer.body
        answer.stream = Stream(len(body), lambda: (body[at : at + 1] for at in range(len(body))), pause_s=fault.seconds)
    elif fault.kind == "absurd_length":
        body = answer.body
        answer.stream = Stream(len(body), lambda: iter((body,)), length=fault.size)
    elif fault.kind == "bomb":
        answer.headers["Content-Encoding"] = "gzip" if fault.encoding == "gzip" else "deflate"
        answer.body = _packed(fault.size, {"gzip": 31, "deflate": 15, "raw": -15}[fault.encoding])
    return answer


@lru_cache(maxsize=4)
def _packed(size: int, window: int) -> bytes:
    """Return what unpacks to so many blanks."""
    machine = zlib.compressobj(6, zlib.DEFLATED, window)
    whole, rest = divmod(size, 1 << 20)
    blanks = b" " * (1 << 20)
    parts = [machine.compress(blanks) for _ in range(whole)]
    return b"".join((*parts, machine.compress(blanks[:rest]), machine.flush()))


def delayed(answer: Answer, behaviour: Behaviour) -> Answer:
    """Set how long the server waits before it answers."""
    answer.delay_s = behaviour.latency_s
    if behaviour.latency_jitter_s:
        answer.delay_s += random.random() * behaviour.latency_jitter_s
    return answer


def _error(fault: Fault, now_ms: int, request_id: str) -> Answer:
    status = fault.status or 500
    if fault.error_body == "html":
        return Answer.of_html(status)
    if fault.error_body == "empty":
        return Answer(status)
    text = f"The test server was told to answer {status}."
    bodies: dict[str, Any] = {
        "detail": detail_body(status, text, now_ms=now_ms, request_id=request_id),
        "plain": {"detail": text},
        "error_message": {"error": "test_error", "message": text},
        "loc": {"detail": [{"loc": ["query", "model_id"], "msg": text}]},
    }
    return Answer.of_json(status, bodies[fault.error_body])
