# SPDX-License-Identifier: Apache-2.0
"""How a call looks to the API's clients at one moment of its life."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from tests.synthflow_server.dataset import Call
from tests.synthflow_server.records import naive_iso

if TYPE_CHECKING:
    from tests.synthflow_server.behaviour import Behaviour

__all__ = ["STATUSES", "State", "as_got", "as_listed", "finished", "state_of", "status_in"]

STATUSES = frozenset(
    {
        "pending", "ringing", "in-progress", "completed", "no-answer", "busy", "failed", "canceled",
        "user-canceled", "hangup_on_voicemail", "left_voicemail", "spam", "paused", "registered",
        "checking", "queue", "initiated",
    }
)  # fmt: skip

_LATE = ("transcript", "judge_results", "executed_actions")
_AT_THE_END = (
    *_LATE,
    "duration",
    "end_call_reason",
    "error_message",
    "recording_url",
    "recording_duration",
    "telephony_duration",
    "telephony_end",
    "telephony_hangup",
    "telephony_disconnect_reason",
)
_AT_THE_START = ("start_time", "telephony_start", "telephony_ringing_duration")
_ONLY_LISTED = (
    "call_status",
    "judge_results",
    "lead_phone_number",
    "lead_name",
    "labels",
    "agents_used",
    "agent_phone_number",
    "deployment_type",
    "recording_duration",
)


class State(IntEnum):
    """Name the stretches of a call's life in which its record stays the same."""

    UNSTARTED = 0
    RUNNING = 1
    LATE = 2
    FINAL = 3


def state_of(call: Call, now_ms: int, late_ms: int) -> State:
    """Return where in its life a call is; one that is stuck shows its record as it is."""
    if now_ms < call.start_ms:
        return State.UNSTARTED
    if call.end_ms is None:
        return State.FINAL
    if now_ms < call.end_ms:
        return State.RUNNING
    return State.LATE if now_ms < call.end_ms + late_ms else State.FINAL


def status_in(call: Call, state: State) -> Any:
    """Return the `call_status` of a call in one state."""
    if state is State.UNSTARTED:
        return "queue"
    return "in-progress" if state is State.RUNNING else call.record.get("call_status")


def as_listed(call: Call, state: State, behaviour: Behaviour, signature: str | None = None) -> dict[str, Any]:
    """
    Return the record of a call as the list shows it.

    :param call: the call
    :param state: where in its life it is
    :param behaviour: how the server writes times and durations
    :param signature: what makes the recording's URL of this answer differ from others
    """
    record = dict(call.record)
    if "call_status" in record:
        record["call_status"] = status_in(call, state)
    if state is State.UNSTARTED:
        _blank(record, _AT_THE_START)
    if state in (State.UNSTARTED, State.RUNNING):
        _blank(record, _AT_THE_END)
    elif state is State.LATE:
        _blank(record, _LATE)
    _write_times(record, behaviour)
    if behaviour.recording_urls == "absent":
        record.pop("recording_url", None)
    elif behaviour.recording_urls == "null" and "recording_url" in record:
        record["recording_url"] = None
    if signature is not None and record.get("recording_url"):
        record["recording_url"] = f"{record['recording_url']}&X-Amz-Nonce={signature}"
    return record


def as_got(listed: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a call as a request for this one call shows it: other fields, and fewer."""
    record = {name: value for name, value in listed.items() if name not in _ONLY_LISTED}
    record["status"] = listed.get("call_status")
    record["prompt_variables"] = {"timezone": listed.get("timezone"), "lead": listed.get("lead_name")}
    record["custom_end_call_reason"] = None
    return record


def finished(call: Call, now_ms: int) -> Call:
    """Return a call that is still running as one that is completed now."""
    seconds = max(now_ms - call.start_ms, 0) // 1000
    record = dict(call.record)
    record |= {
        "call_status": "completed",
        "duration": seconds,
        "end_call_reason": "human_goodbye",
        "telephony_duration": seconds * 1000,
        "telephony_end": naive_iso(now_ms),
        "telephony_hangup": "caller",
        "telephony_disconnect_reason": "caller_hangup",
    }
    if not record.get("transcript"):
        record["transcript"] = "bot: Hello?\nhuman: Goodbye."
    return Call(call.call_id, call.model_id, call.start_ms, now_ms, call.listed_ms, record)


def _blank(record: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name in record:
            record[name] = None


def _write_times(record: dict[str, Any], behaviour: Behaviour) -> None:
    if behaviour.start_time_as == "absent":
        record.pop("start_time", None)
    elif "start_time" in record:
        record["start_time"] = _written_start(record["start_time"], behaviour.start_time_as)
    if behaviour.duration_as == "string" and isinstance(record.get("duration"), int):
        record["duration"] = str(record["duration"])
    if behaviour.telephony_start_as != "iso":
        for name in ("telephony_start", "telephony_end"):
            if name in record:
                record[name] = {} if behaviour.telephony_start_as == "object" else None


def _written_start(start: Any, form: str) -> Any:
    """Write a start, as the record has it, in another form; what is no start stays as it is."""
    if form == "null":
        return None
    if not (isinstance(start, str) and start.isdigit()):
        return start
    ms = int(start)
    if form == "int_ms":
        return ms
    if form == "seconds":  # a fraction where there is one, so that no millisecond is lost
        return ms / 1000 if ms % 1000 else ms // 1000
    return f"{naive_iso(ms)}Z" if form == "iso" else start
