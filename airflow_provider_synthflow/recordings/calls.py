# SPDX-License-Identifier: Apache-2.0
"""Read which calls a result tells of, and which of them can have a recording."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from airflow_provider_synthflow.client.call import decode_record, is_terminal
from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowOutputConflictError
from airflow_provider_synthflow.output.formats import check_format
from airflow_provider_synthflow.output.publication import file_name, window_directory
from airflow_provider_synthflow.output.unpacking import open_lines, read_rows
from airflow_provider_synthflow.window.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_synthflow.storage.base import Store

__all__ = ["CallsResult", "RecordedCall", "parse_results", "promises_recording", "read_calls"]

_ANSWERED = {"completed", "hangup_on_voicemail", "left_voicemail"}
_ROWS = 1000
_CURE = "Give the output of a SynthflowListCallsOperator task, as in calls=list_calls.output."


class RecordedCall(NamedTuple):
    """A call as far as its recording goes."""

    call_id: str
    can_have: bool
    """Whether it is final, and lasted or promises a recording."""
    promises: bool
    """Whether its record says that there is a recording."""


@dataclass(frozen=True)
class CallsResult:
    """The result of a task that listed calls, for one window."""

    model_id: str
    window: Window
    calls: list[Mapping[str, Any]] | None = None
    path: str | None = None
    format: str = ""
    bytes: int = 0
    sha256: str = ""
    hidden: frozenset[str] = frozenset()
    """The fields that were dropped or hashed."""

    @property
    def directory(self) -> str:
        """Return the window's directory, below the output path."""
        return window_directory(self.model_id, self.window)

    @property
    def file(self) -> str:
        """Return the file of calls, below the output path."""
        return f"{self.directory}/{file_name(self.format)}"

    @property
    def output_path(self) -> str | None:
        """Return the output path that the calls were written to; None where they came in the result itself."""
        if self.path is None:
            return None
        base = self.path.removesuffix(self.file)
        if base == self.path or not base.endswith("/"):
            msg = f"calls names the file {self.path}, which is not where calls of its window are written. {_CURE}"
            raise SynthflowConfigError(msg)
        return base if base == "/" or base.endswith("://") else base[:-1]


def parse_results(value: Any) -> tuple[list[CallsResult], bool]:
    """Return the results that a parameter holds, as a task has it after rendering, and whether it is a list of them."""
    if isinstance(value, str):
        value = _read_text(value)
    if isinstance(value, Mapping):
        return [_parse_result(value)], False
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
        raise _no_result()
    return [result for each in value for result in parse_results(each)[0]], True


def read_calls(result: CallsResult, store: Store | None) -> list[RecordedCall]:
    """Return the calls of a result, each once, without the rest of their records."""
    if "call_id" in result.hidden:
        raise SynthflowConfigError(
            "The calls were stored without their call_id, and a recording is asked for by it. "
            "Take call_id out of drop_fields and hash_fields, and list the calls again."
        )
    records = map(_tell, result.calls or ()) if result.path is None else _read_file(result, cast("Store", store))
    calls: dict[str, RecordedCall] = {}
    for record in records:
        call = _judge(record, result.hidden)
        calls[call.call_id or f"without an id {len(calls)}"] = call
    return list(calls.values())


class _Told(msgspec.Struct):
    """The fields of a record that are looked at."""

    call_id: Any = None
    call_status: Any = None
    duration: Any = None
    telephony_duration: Any = None
    recording_url: Any = None
    recording_duration: Any = None


_decoder = msgspec.json.Decoder(_Told)
_FIELDS = _Told.__struct_fields__


def _tell(record: Mapping[str, Any]) -> _Told:
    if not isinstance(record, Mapping):
        raise _no_result()
    return _Told(**{name: record.get(name) for name in _FIELDS})


def _judge(record: _Told, hidden: frozenset[str]) -> RecordedCall:
    """Tell whether a call can have a recording; what was dropped or hashed does not speak against it."""
    call_id = "" if record.call_id is None else str(record.call_id)
    promises = promises_recording(record.recording_url, record.recording_duration)
    final = "call_status" in hidden or is_terminal(record.call_status)
    lasted = _is_more_than_nothing(record.duration)
    if lasted is None:
        lasted = _is_more_than_nothing(record.telephony_duration)
    if lasted is None:
        lasted = "duration" in hidden or str(record.call_status).strip().lower() in _ANSWERED
    return RecordedCall(call_id, bool(call_id) and final and (promises or lasted), promises)


def promises_recording(url: Any, duration: Any) -> bool:
    """Tell whether a record with this ``recording_url`` and ``recording_duration`` says that there is a recording."""
    return bool(url) or _is_more_than_nothing(duration) is True


def _is_more_than_nothing(value: Any) -> bool | None:
    """Read a duration that may be a number or its text; None where it tells nothing."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value > 0
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        return float(value) > 0
    except ValueError:
        return any(digit in value for digit in "123456789") or None  # such as 00:31


def _parse_result(value: Mapping[str, Any]) -> CallsResult:
    model_id = value.get("model_id")
    try:
        window = Window.of(value["from_date"], value["to_date"])
        told = {name: value[name] for name in ("path", "format", "bytes", "sha256")} if "path" in value else {}
    except (KeyError, TypeError, ValueError, SynthflowConfigError):
        raise _no_result() from None
    calls = value.get("calls")
    kinds = {"path": str, "format": str, "bytes": int, "sha256": str}
    good = isinstance(model_id, str) and bool(model_id)
    good = good and all(isinstance(told[name], kind) for name, kind in kinds.items() if told)
    good = good and (bool(told) or isinstance(calls, list) or (calls is None and value.get("count") == 0))
    if not good:
        raise _no_result()
    fields = (value.get("drop_fields") or ()), (value.get("hash_fields") or ())
    hidden = frozenset(str(name) for names in fields for name in names)
    return CallsResult(cast("str", model_id), window, None if told else calls or [], hidden=hidden, **told)


def _no_result() -> SynthflowConfigError:
    return SynthflowConfigError(f"calls is not the result of a task that listed calls. {_CURE}")


def _read_text(text: str) -> Any:
    """Read the text that a template makes of a result: Python's, or JSON."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):  # noqa: PERF203 - two ways to read
            continue
    raise _no_result()


def _read_file(result: CallsResult, store: Store) -> Iterator[_Told]:
    check_format(result.format)
    if not store.holds(result.file, result.bytes, result.sha256):
        with store.open(result.file) or io.BytesIO() as file:
            there = bool(file.read(1))
        if not there:
            msg = f"{result.path} is not there any more. List the calls again: clear that task of this run."
            raise SynthflowConfigError(msg)
        msg = (
            f"{result.path} was written anew since calls was returned. "
            "Let the task that lists the calls run again in this run: clear it."
        )
        raise SynthflowOutputConflictError(msg, path=result.path)
    with store.open(result.file) or io.BytesIO() as file:
        yield from _read_parquet(file) if result.format == "parquet" else _read_lines(file, result.format)


def _read_lines(file: IO[bytes], format_name: str) -> Iterator[_Told]:
    for line in open_lines(file, format_name):
        try:
            yield _decoder.decode(line)
        except msgspec.MsgspecError:  # noqa: PERF203 - half of a surrogate pair
            yield _tell(decode_record(line))


def _read_parquet(file: IO[bytes]) -> Iterator[_Told]:
    for row in read_rows(file, _ROWS, [*_FIELDS, "_raw"]):
        yield _tell(row | json.loads(row.pop("_raw") or "{}"))  # an odd value stands there as received
