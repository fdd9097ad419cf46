# SPDX-License-Identifier: Apache-2.0
"""The record of a call, with every documented field in the type that it has on the wire."""

from __future__ import annotations

import datetime as dt
import json
import random
from typing import Any

import msgspec

from tests.synthflow_server.words import BOT_LINES, CITIES, FIRST_NAMES, HUMAN_LINES, LAST_NAMES, TOPICS

__all__ = ["RecordMaker", "make_odd", "naive_iso"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_TALKED = {
    "completed": 74,
    "hangup_on_voicemail": 4,
    "left_voicemail": 5,
    "no-answer": 7,
    "busy": 3,
    "failed": 4,
    "canceled": 2,
    "user-canceled": 1,
}
_SILENT = frozenset({"no-answer", "busy", "failed", "canceled", "user-canceled"})
_STUCK = ("in-progress", "queue", "pending", "ringing", "paused", "registered", "initiated")
_REASONS = ("human_goodbye", "agent_goodbye", "voicemail", "max_duration_reached", "customer_hangup", "")
_JUDGED = (
    "answering_speed",
    "call_completion",
    "conversation_flow",
    "customer_sentiment",
    "goal_completion",
    "interruptions",
    "misunderstanding",
    "topic_adherence",
    "user_satisfaction",
)
_POOL = 256


def naive_iso(ms: int) -> str:
    """Write an instant as the telephony fields do: ISO 8601 in UTC, without saying so."""
    return (_EPOCH + dt.timedelta(milliseconds=ms)).replace(tzinfo=None).isoformat(timespec="milliseconds")


_ODD: dict[str, tuple[Any, ...]] = {
    "transcript": (5, ["bot: x"], {"bot": "x"}, "no mark", "\nbot: x", "bot:x\nHuman: y", "\u2028", True),
    "executed_actions": (
        [{"name": "x"}], "text", 7, {"k": "text"}, {"k": None}, {"k": [1]},
        {"k": {"name": 7, "return_value": {"a": "[1]"}}},
        {"k": {"return_value": "[" * 500 + "]" * 500, "parameters": "{'a': 1}"}},
    ),
    "collected_variables": (
        ["x"], "text", {"a": {}}, {"v": "plain"}, {"v": {"other": 1}}, {"v": {"value": 1, "collected": "yes"}},
        {"a": {"x": {"value": 1, "collected": True}, "y": 2}}, {"value": {"value": 1, "collected": None}},
    ),
    "judge_results": (["x"], "text", {"score": 7}, {"nested": {"score": "7"}}, {"none": None, "": ""}),
}  # fmt: skip
"""What the nested fields are not documented to be."""


def make_odd(records: list[dict[str, Any]]) -> None:
    """Give calls nested fields that are not as documented, each oddity to one after the other."""
    for field, values in _ODD.items():
        for number, record in enumerate(records):
            record[field] = values[number % len(values)]


class RecordMaker:
    """
    Make the records of calls.

    :param rng: where chance comes from
    :param record_bytes: about how long the JSON of a record is; None for what a short talk gives
    :param telephony_lag_ms: how long after `start_time` the telephony starts, from the least to the most
    :param varied: whether nested fields come in all shapes in which the API writes them
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        record_bytes: int | None,
        telephony_lag_ms: tuple[int, int],
        varied: bool = False,
    ) -> None:
        self.rng = rng
        self.record_bytes = record_bytes
        self.telephony_lag_ms = telephony_lag_ms
        self._varied = varied
        self._transcripts: list[str] = []

    def make(
        self, call_id: str, model_id: str, start_ms: int, duration_s: int | None, *, must_talk: bool = False
    ) -> tuple[dict[str, Any], int | None]:
        """
        Make the record of one call, and the instant at which the call ends.

        :param call_id: its id
        :param model_id: its agent
        :param start_ms: its start
        :param duration_s: how long it takes; None for a call that never ends
        :param must_talk: whether the call is completed for certain
        """
        rng = self.rng
        status = self._status(duration_s, must_talk=must_talk)
        talked = status not in _SILENT and duration_s is not None
        seconds = duration_s if talked else 0
        lag_ms = rng.randint(*self.telephony_lag_ms)
        end_ms = None if duration_s is None else start_ms + (seconds or rng.randrange(1, 40)) * 1000
        name = f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"
        ours, theirs = f"+1555010{rng.randrange(10**4):04d}", f"+493023125{rng.randrange(10**3):03d}"
        kind = rng.choices(("inbound", "outbound", "widget"), (45, 50, 5))[0]
        caller, callee = (theirs, ours) if kind == "inbound" else (ours, theirs)
        record: dict[str, Any] = {
            "call_id": call_id,
            "model_id": model_id,
            "call_status": status,
            "start_time": str(start_ms),
            "duration": seconds if duration_s is not None else None,
            "end_call_reason": rng.choice(_REASONS) if end_ms is not None else None,
            "type_of_call": kind,
            "transcript": self._transcript(name) if talked else rng.choice(("", None)),
            "judge_results": self._judged() if status == "completed" else ({} if talked else None),
            "executed_actions": self._actions(call_id, start_ms) if talked else {},
            "collected_variables": self._collected(model_id, name) if talked else None,
            "agents_used": [model_id],
            "labels": rng.sample(("vip", "follow-up", "überprüft", "billing"), rng.randrange(3)),
            "recording_url": self._recording_url(call_id) if talked else None,
            "recording_duration": str(seconds) if talked else None,
            "lead_phone_number": theirs,
            "lead_name": name,
            "name": name if rng.random() < 0.9 else None,
            "phone_number_from": caller if kind != "widget" else None,
            "phone_number_to": callee if kind != "widget" else None,
            "agent_phone_number": ours,
            "campaign_type": rng.choice((kind, None)),
            "deployment_type": rng.choice(("phone", "web", None)),
            "timezone": rng.choice(("Europe/Berlin", "America/New_York", None)),
            "error_message": "SIP 480: vorübergehend nicht verfügbar" if status == "failed" else None,
            "telephony_duration": max(end_ms - start_ms - lag_ms, 0) if end_ms is not None else None,
            "telephony_start": naive_iso(start_ms + lag_ms),
            "telephony_end": naive_iso(max(end_ms, start_ms + lag_ms)) if end_ms is not None else None,
            "telephony_hangup": rng.choice(("caller", "callee")) if talked else None,
            "telephony_disconnect_reason": self._disconnect(status) if end_ms is not None else None,
            "assistant_version": rng.randrange(1, 30),
            "telephony_ringing_duration": rng.randrange(12_000),
            "telephony_sip_headers": {"X-Trunk": f"trunk-{rng.randrange(4)}"},
        }
        if self._varied:
            self._vary(record, call_id, start_ms)
        if self.record_bytes is not None:
            self._pad(record)
        return record, end_ms

    def _status(self, duration_s: int | None, *, must_talk: bool) -> str:
        if must_talk:
            return "completed"
        if duration_s is None:
            return self.rng.choice(_STUCK)
        return self.rng.choices(tuple(_TALKED), tuple(_TALKED.values()))[0]

    def _transcript(self, name: str) -> str:
        rng = self.rng
        lines = []
        for _ in range(rng.randrange(1, 7)):
            said = rng.choice(HUMAN_LINES)
            said = said.format(topic=rng.choice(TOPICS), name=name, city=rng.choice(CITIES))
            lines += [f"bot: {rng.choice(BOT_LINES)}", f"human: {said}"]
        return "\n".join(lines)

    def _pad(self, record: dict[str, Any]) -> None:
        """Bring a record to its length by a long transcript out of a few hundred."""
        record["transcript"] = ""
        missing = (self.record_bytes or 0) - len(msgspec.json.encode(record))
        if missing <= 0:
            return
        if len(self._transcripts) < _POOL:
            self._transcripts.append(self._long_transcript())
            long = self._transcripts[-1]
        else:
            long = self.rng.choice(self._transcripts)
        record["transcript"] = long[:missing]

    def _long_transcript(self) -> str:
        """Make a talk of about one byte a character, of which the wanted length can be cut."""
        parts: list[str] = []
        length = 0
        while length < (self.record_bytes or 0):
            words = (f"{self.rng.getrandbits(20):x}" for _ in range(6))
            part = f"bot: Ist {self.rng.choice(TOPICS)} {' '.join(words)} für Sie?\nhuman: yes, that.\n"
            parts.append(part)
            length += len(part)
        return "".join(parts)

    def _judged(self) -> dict[str, str]:
        return {key: self.rng.choice(("10", "7", "3", "yes", "no", "n/a")) for key in _JUDGED}

    def _vary(self, record: dict[str, Any], call_id: str, start_ms: int) -> None:
        """Give some calls the other shapes in which the API writes nested fields, by a chance of each call's own."""
        lot = random.Random(call_id)  # noqa: S311 - no secret, and not the chance that the other fields come from
        if record["judge_results"] and lot.random() < 0.1:
            judged = {f"{key}_{part}": "n/a" for key in _JUDGED for part in ("score", "reason", "evidence")}
            record["judge_results"] |= dict(list(judged.items())[:26])
        if record["executed_actions"] and lot.random() < 0.5:
            for _ in range(lot.randrange(1, 4)):
                key, action = self._extractor(lot, start_ms)
                record["executed_actions"][key] = action
        if record["collected_variables"] and lot.random() < 0.5:
            values = ("42", 42, 1.5, True, None, ["a", "b"], {"street": "Hauptstraße 1"}, "")
            variables = {
                f"slot_{number}": {"value": lot.choice(values), "collected": lot.random() < 0.8}
                for number in range(lot.randrange(1, 4))
            }
            inner = record["collected_variables"]
            (inner if "name" in inner else next(iter(inner.values()))).update(variables)

    def _extractor(self, lot: random.Random, start_ms: int) -> tuple[str, dict[str, Any]]:
        """Make an action as the API writes those that take information out of a talk: JSON in strings throughout."""
        about = lot.choice(("zip", "need", "callback", "order"))
        key = f"{lot.choice(('extract_info', 'info_extractor'))}_{about}"
        found: Any = lot.choice(("10115", 11, False, None, {"street": "Hauptstraße", "more": {"floor": 2}}))
        returned = json.dumps({about: found}, ensure_ascii=lot.random() < 0.5)
        forms = (returned, json.dumps({about: returned}), json.dumps(returned), "{}", "42", "not found", "{broken")
        failed = lot.random() < 0.2
        action = {
            "name": key,
            "action_type": "extract_info_action_type",
            "parameters_hard_coded": json.dumps({"identifier": about, "choices": None}),
            "parameters_from_llm": "{}",
            "error_message": "timed out" if failed else "",
            "return_value": lot.choice(forms),
            "return_value_status": "",
            "timestamp": str((start_ms + 30_000) / 1000),
        }
        return key, action

    def _actions(self, call_id: str, start_ms: int) -> dict[str, Any]:
        if self.rng.random() < 0.4:
            return {}
        answer = {"status": 200, "slot": naive_iso(start_ms + 3_600_000), "note": "Grüße\n„bald“"}
        action = {
            "name": "book_slot",
            "action_type": "CUSTOM_ACTION",
            "executed_at": naive_iso(start_ms + 20_000),
            "parameters_hard_coded": json.dumps({"call": call_id}),
            "return_value": json.dumps(answer, ensure_ascii=self.rng.random() < 0.5),
        }
        return {"book_slot": action}

    def _collected(self, model_id: str, name: str) -> dict[str, Any] | None:
        value = {"value": name, "description": "the caller's name", "collected": True}
        return self.rng.choice(({model_id: {"name": value}}, {"name": value}, None))

    def _recording_url(self, call_id: str) -> str:
        signature = f"{self.rng.getrandbits(1600):0400x}"
        return f"https://recordings.example.test/{call_id}.mp3?X-Amz-Expires=86400&X-Amz-Signature={signature}"

    def _disconnect(self, status: str) -> str:
        if status in _SILENT:
            return self.rng.choice(("error", "forbidden", "unknown"))
        return self.rng.choice(("callee_hangup", "caller_hangup", "unknown"))
