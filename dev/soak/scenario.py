# SPDX-License-Identifier: Apache-2.0
"""One scenario: calls, a server's ways, what goes wrong, and how time is cut into windows. All of it is data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_synthflow.timestamps import format_instant
from tests.synthflow_server import Behaviour, Call, Change, Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AGENT", "BASE_MS", "RECEIVER", "Movement", "Picker", "Scenario", "Sketch", "make_scenario"]

AGENT = "agent-1"
BASE_MS = 1_794_182_400_000
"""2026-11-09T00:00:00Z: where the windows of all scenarios begin."""

RECEIVER = "\N{TELEPHONE RECEIVER}"
"""What stands in the texts of some calls, and may be sent as half of a surrogate pair."""

_MINUTE = 60_000
_EDGES = (-1_500, -1_001, -1_000, -999, -2, -1, 0, 1, 2, 999, 1_000, 1_001)
_SPARE = 2_000  # settle is longer than the longest call; a server may count in whole seconds
_TERMINAL = ("completed", "failed", "no-answer", "hangup_on_voicemail")


class Picker(Protocol):
    """Choose, by chance or by a search for counterexamples."""

    def one_of(self, choices: Sequence[Any]) -> Any:
        """Choose one."""

    def number(self, low: int, high: int) -> int:
        """Choose a whole number, both ends included."""


@dataclass(frozen=True)
class Sketch:
    """Describe one call: its instants count from the scenarios' base, in milliseconds; an end of None is never."""

    start: int
    end: int | None
    listed: int
    status: str = "completed"
    legacy_id: bool = False
    agent: str = AGENT


@dataclass(frozen=True)
class Movement:
    """Describe a change of the list at the n-th request: positions that vanish, calls that arrive."""

    at: int
    remove_at: int | None = None
    add: tuple[Sketch, ...] = ()


@dataclass(frozen=True)
class Scenario:
    """
    Describe one trial.

    :param calls: the calls
    :param cuts: the bounds of the windows, in milliseconds from the base
    :param settle: the operator's ``settle``, in milliseconds
    :param behaviour: the server's ways
    :param faults: what goes wrong
    :param movements: what arrives and vanishes while pages are read
    :param call_status: the statuses that are asked for; None: all
    :param include_mismatched: whether rows of another agent or status are kept
    """

    calls: tuple[Sketch, ...]
    cuts: tuple[int, ...]
    settle: int
    behaviour: Behaviour = field(default_factory=Behaviour)
    faults: tuple[Fault, ...] = ()
    movements: tuple[Movement, ...] = ()
    call_status: str | None = None
    include_mismatched: bool = False

    def build(self) -> tuple[list[Call], list[Change]]:
        """Return the calls and the changes as the test server takes them."""
        calls = [_call(number, sketch) for number, sketch in enumerate(self.calls)]
        changes = [
            Change(
                at=(movement.at,),
                remove_at=movement.remove_at,
                add=tuple(_call(10_000 + index * 100 + n, sketch) for n, sketch in enumerate(movement.add)),
            )
            for index, movement in enumerate(self.movements)
        ]
        return calls, changes


def make_scenario(pick: Picker) -> Scenario:
    """
    Make a scenario of choices.

    :param pick: what chooses
    """
    settle = pick.one_of([_MINUTE, 10 * _MINUTE, 60 * _MINUTE])
    cuts = _cuts(pick)
    calls = tuple(_sketch(pick, cuts, settle) for _ in range(pick.number(0, 40)))
    movements = tuple(_movement(pick, cuts, settle) for _ in range(pick.one_of([0, 0, 0, 1, 1, 2, 3])))
    behaviour = _behaviour(pick)
    faults = tuple(_fault(pick, _declares(behaviour)) for _ in range(pick.one_of([0, 0, 0, 1, 1, 2])))
    strangers = tuple(
        replace(_sketch(pick, cuts, settle), agent="agent-2") for _ in range(pick.one_of([0, 0, 0, 0, 0, 3]))
    )
    behaviour = replace(
        behaviour,
        ignore_agent=bool(strangers) and pick.one_of([False, True]),
        ignore_status=pick.one_of([False, False, False, False, True]),
        half_pairs=pick.one_of([False, False, True]),
        # Only a declared total says that nothing is where null is.
        no_calls_as=pick.one_of(["list", "null"]) if _declares(behaviour) else "list",
    )
    return Scenario(
        calls=calls + strangers,
        cuts=cuts,
        settle=settle,
        behaviour=behaviour,
        faults=faults,
        movements=movements,
        call_status=pick.one_of([*[None] * 6, "completed", "completed,failed"]),
        include_mismatched=pick.one_of([False, False, True]),
    )


def _cuts(pick: Picker) -> tuple[int, ...]:
    cuts = [0]
    for _ in range(pick.number(1, 4)):
        cuts.append(cuts[-1] + pick.one_of([1, 1_000, _MINUTE, 60 * _MINUTE, 24 * 60 * _MINUTE, 3_600_123]))
    return tuple(cuts)


def _sketch(pick: Picker, cuts: Sequence[int], settle: int) -> Sketch:
    if pick.one_of([True, True, False]):
        start = pick.one_of(cuts) + pick.one_of(_EDGES)
    else:
        start = pick.number(-settle, cuts[-1] + settle)
    lasting = pick.one_of([0, 1, 1_000, _MINUTE - _SPARE, settle - _SPARE, settle - _SPARE, None])
    end = None if lasting is None else start + min(lasting, settle - _SPARE)
    listed = start + pick.one_of([0, 0, 0, -_MINUTE, 1, 30_000])
    status = pick.one_of(["queue", "in-progress", "never-heard-of"]) if end is None else pick.one_of(_TERMINAL)
    return Sketch(start, end, listed, status, pick.one_of([False, False, True]))


def _movement(pick: Picker, cuts: Sequence[int], settle: int) -> Movement:
    at = pick.number(1, 12)
    kind = pick.one_of(["leave", "arrive", "both", "burst"])
    count = {"leave": 0, "arrive": 1, "both": 1, "burst": 12}[kind]
    remove_at = pick.number(0, 30) if kind in {"leave", "both"} else None
    return Movement(at, remove_at, tuple(_sketch(pick, cuts, settle) for _ in range(count)))


def _declares(behaviour: Behaviour) -> bool:
    told = behaviour.pagination == "present" and behaviour.envelope in {"standard", "nested"}
    return told and behaviour.total == "exact"


def _behaviour(pick: Picker) -> Behaviour:
    behaviour = _any_behaviour(pick)
    # Where neither a total is declared nor two rows stand on a page, nothing that comes proves anything.
    if behaviour.max_rows == 1 and not _declares(behaviour):
        behaviour = replace(behaviour, max_rows=2)
    if behaviour.total != "exact":
        # Nor where a page silently holds fewer rows than asked for, and its total counts no more than these.
        behaviour = replace(behaviour, echo_limit="actual")
    if behaviour.repeats != "none" and not _declares(behaviour):
        behaviour = replace(behaviour, repeats="none")
    return behaviour


def _any_behaviour(pick: Picker) -> Behaviour:
    return Behaviour(
        order=pick.one_of(["newest", "newest", "oldest", "by_id", "unstable_ties", "random"]),
        seed=pick.number(0, 9),
        filter_from_on=pick.one_of(["start", "end", "listed"]),
        filter_to_on=pick.one_of(["start", "end"]),
        running_matches=pick.one_of([False, True]),
        unstarted_matches=pick.one_of([False, True]),
        from_inclusive=pick.one_of([True, False]),
        to_inclusive=pick.one_of([False, True]),
        date_granularity_ms=pick.one_of([1, 1, 1_000]),
        max_rows=pick.one_of([None, 1, 2, 3, 7, 20]),
        echo_limit=pick.one_of(["asked", "actual", "absent"]),
        echo_offset=pick.one_of(["asked", "actual", "absent"]),
        offset_past_end=pick.one_of(["empty", "last_page", "error400"]),
        envelope=pick.one_of(["standard", "standard", "nested", "calls", "list"]),
        pagination=pick.one_of(["present", "present", "present", "absent"]),
        total=pick.one_of(["exact", "exact", "exact", "exact", "capped", "page", "none"]),
        total_cap=pick.one_of([1, 7, 13, 20]),
        repeats=pick.one_of(["none", "none", "none", "none", "join", "page", "before"]),
        largest_offset=pick.one_of([None, None, None, None, 5, 20]),
        total_as=pick.one_of(["int", "string"]),
        start_time_as=pick.one_of(["string_ms", "string_ms", "int_ms", "seconds", "iso", "null", "absent"]),
        duration_as=pick.one_of(["int", "string"]),
        late_fields_after_ms=pick.one_of([0, _MINUTE]),
    )


def _fault(pick: Picker, declares: bool) -> Fault:  # noqa: FBT001 - called in one place
    kinds = ["status", "html", "not_json", "truncated_json", "no_calls", "bad_status_word", "reset", "truncated_body"]
    kinds += ["drip_body", "bomb"]
    # A server that declares no total, and hides the same rows in two walks on end, is believed.
    lies = ["wrong_page", "empty_page", "short_page"] if declares else []
    kind = pick.one_of([*kinds, "duplicate_rows", *lies])
    return Fault(
        kind=kind,
        status=pick.one_of([429, 500, 502, 503]) if kind == "status" else None,
        every_nth=pick.one_of([2, 3, 5, 7]),
        times=pick.one_of([1, 2, None]),
        shift=pick.one_of([1, 2, 5, 100]),
        lie=pick.one_of([True, False]),
        rows=pick.number(1, 3),
        size=pick.one_of([1_000, 1 << 21]),  # of a bomb: below and above what the client takes
        seconds=pick.one_of([0.001, 5.0]),
    )


def _call(number: int, sketch: Sketch) -> Call:
    start = BASE_MS + sketch.start
    call_id = f"{start}x{number:06d}" if sketch.legacy_id else f"call-{number:06d}"
    record = {
        "call_id": call_id,
        "model_id": sketch.agent,
        "call_status": sketch.status,
        "start_time": str(start),
        "duration": None if sketch.end is None else (sketch.end - sketch.start) // 1000,
        "telephony_start": format_instant(start).removesuffix("Z"),
        "transcript": f"bot: call {number}\nhuman: ü{RECEIVER if number % 3 else ''}",
    }
    end = None if sketch.end is None else BASE_MS + sketch.end
    return Call(call_id, sketch.agent, start, end, BASE_MS + sketch.listed, record)
