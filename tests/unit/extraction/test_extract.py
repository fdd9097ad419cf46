# SPDX-License-Identifier: Apache-2.0
"""An extraction keeps the calls that start in the window, each once, as last read, or raises."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_synthflow.client.client import SynthflowClient
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.client.settings import Settings
from airflow_provider_synthflow.exceptions import (
    SynthflowIncompleteError,
    SynthflowProtocolError,
    SynthflowTransientError,
)
from airflow_provider_synthflow.extraction.extract import extract_window
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.privacy import Privacy
from airflow_provider_synthflow.extraction.spill import Spill
from airflow_provider_synthflow.window import Window
from tests.synthflow_server import TEST_KEY, Behaviour, Change, Fault
from tests.unit.making import AGENT, DAY, FROM_MS, HOUR, TO_MS, make_call, many_calls

if TYPE_CHECKING:
    from airflow_provider_synthflow.extraction.result import WindowResult

WINDOW = Window(FROM_MS, TO_MS)


@pytest.fixture
def extract(synthflow):
    """Serve calls, extract the window, and return the numbers and the records."""

    def run(
        calls: Any = (), *, privacy: Privacy | None = None, plan: dict[str, Any] | None = None, **options: Any
    ) -> tuple[WindowResult, list[dict[str, Any]]]:
        run.server = synthflow(calls, **options)
        run.pauses = []
        settings = Settings(run.server.url, TEST_KEY, max_attempts=1)
        run.spill = spills.enter_context(Spill())
        made = WindowPlan(**{"window": WINDOW, "query": CallsQuery(AGENT), "settle_ms": HOUR, **(plan or {})})
        with SynthflowClient(settings) as client:
            found = extract_window(client, made, run.spill, privacy=privacy, sleep=run.pauses.append)
        return found, [json.loads(record) for record in run.spill.records()]

    with ExitStack() as spills:
        yield run


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["call_id"] for record in records]


class TestPlacement:
    EDGES = (
        make_call("a second before", -1000),
        make_call("just before", -1),
        make_call("first", 0),
        make_call("last", DAY - 1),
        make_call("just after", DAY),
        make_call("an hour after", DAY + HOUR - 1),
    )

    @pytest.mark.parametrize(
        "behaviour",
        [
            Behaviour(),
            Behaviour(from_inclusive=False, to_inclusive=True),
            Behaviour(filter_to_on="end"),
            Behaviour(filter_from_on="end", filter_to_on="end"),
            Behaviour(date_granularity_ms=1000),
            Behaviour(start_time_as="iso"),
            Behaviour(start_time_as="seconds"),
            Behaviour(start_time_as="int_ms"),
        ],
        ids=["ordinary", "other inclusion", "to on end", "both on end", "seconds", "iso", "in seconds", "integers"],
    )
    def test_is_exact_to_the_millisecond_whatever_the_server_compares(self, extract, behaviour):
        found, records = extract(self.EDGES, behaviour=behaviour)

        assert ids(records) == ["first", "last"]
        assert found.count == 2

    def test_of_neighbouring_windows_puts_every_call_into_one(self, extract):
        calls = [make_call(f"c{number:02}", number * HOUR - 1 + number % 3) for number in range(25)]
        edges = range(FROM_MS - HOUR, TO_MS + 2 * HOUR, 3 * HOUR)

        found = [ids(extract(calls, plan={"window": Window(edge, edge + 3 * HOUR)})[1]) for edge in edges]

        assert sorted(call_id for each in found for call_id in each) == sorted(call.call_id for call in calls)

    def test_goes_by_the_telephony_s_start_or_the_id_where_there_is_no_start(self, extract):
        legacy = f"{FROM_MS + 5}x123456"
        calls = [
            make_call("telephony", 1, start_time=None, telephony_start="2024-03-01T00:00:00.001"),
            make_call("outside", 2, start_time="", telephony_start="2024-02-29T23:59:59.999"),
            make_call(legacy, 5, start_time={}),
        ]

        assert ids(extract(calls)[1]) == ["telephony", legacy]

    def test_sorts_by_start_and_then_by_id(self, extract):
        calls = [make_call(name, start) for name, start in [("b", 7), ("c", 3), ("a", 7), ("B", 7)]]

        assert ids(extract(calls, behaviour=Behaviour(order="unstable_ties"))[1]) == ["c", "B", "a", "b"]


class TestAsking:
    @pytest.mark.parametrize(
        ("settle_ms", "margin"), [(HOUR, HOUR), (60_000, 60_000), (59_999, 60_000), (0, 60_000), (60_001, 60_001)]
    )
    def test_is_for_a_second_before_and_settle_behind_but_at_least_a_minute(self, extract, settle_ms, margin):
        extract(plan={"settle_ms": settle_ms})

        # A total of none is looked behind once.
        assert [received.query for received in extract.server.api.requests] == 2 * [
            {
                "model_id": AGENT,
                "limit": "100",
                "offset": "0",
                "from_date": str(FROM_MS - 1000),
                "to_date": str(TO_MS + margin),
            }
        ]

    def test_finds_a_call_that_runs_on_after_the_window_where_the_server_bounds_the_end(self, extract):
        calls = [make_call("long", DAY - 1, lasts=HOUR - 60_000), make_call("short", 1)]

        assert ids(extract(calls, behaviour=Behaviour(filter_to_on="end"))[1]) == ["short", "long"]

    def test_counts_all_requests_and_the_pages_of_the_complete_walk(self, extract):
        found, records = extract(many_calls(250), faults=[Fault(kind="empty_page", at=(2, 3, 4))])

        assert len(records) == found.count == found.total_records == 250
        assert found.requests == len(extract.server.api.requests) > found.pages
        assert found.walks == 2
        assert len(extract.pauses) == 1


class TestStatus:
    @pytest.mark.parametrize(
        ("status", "unsettled"),
        [
            ("completed", 0), ("no-answer", 0), ("left_voicemail", 0), ("in-progress", 1), ("spam", 1),
            ("brand-new", 1),
            (None, 1),
        ],
    )  # fmt: skip
    def test_that_is_not_final_is_counted_and_the_call_kept(self, extract, status, unsettled):
        found, records = extract([make_call("a", call_status=status)])

        assert (ids(records), found.count, found.unsettled) == (["a"], 1, unsettled)

    def test_of_calls_outside_the_window_does_not_count(self, extract):
        found, _ = extract([make_call("before", -5, lasts=None), make_call("after", DAY + 5, lasts=None)])

        assert (found.count, found.unsettled, found.not_started) == (0, 0, 0)

    def test_of_a_call_that_has_not_started_keeps_it_out(self, extract):
        found, records = extract([make_call("queued", lasts=None, call_status="queue", start_time=None)])

        assert (records, found.count, found.not_started, found.unsettled) == ([], 0, 1, 0)


class TestUnplaced:
    CALLS = tuple(make_call(f"u{number:02}", number, start_time=None) for number in range(12))

    def test_final_calls_are_an_error_that_names_them(self, extract):
        with pytest.raises(
            SynthflowProtocolError, match=r"12 final calls.*u00, .*u09, ….*Nothing was written"
        ) as caught:
            extract([*self.CALLS, make_call("fine", 99)])

        assert caught.value.call_ids == tuple(call.call_id for call in self.CALLS)

    def test_final_calls_come_last_where_they_are_included(self, extract):
        found, records = extract([*self.CALLS[:2], make_call("fine", 99)], plan={"include_unplaced": True})

        assert ids(records) == ["fine", "u00", "u01"]
        assert (found.count, found.unplaced) == (3, 2)


class TestIgnoredWindow:
    REACH = HOUR + DAY  # settle and a day

    @pytest.mark.parametrize("start", [-REACH - 1, DAY + REACH + 1, -40 * DAY])
    def test_is_an_error_that_names_the_call(self, extract, start):
        calls = [make_call("stray", start), make_call("a")]

        with pytest.raises(SynthflowProtocolError, match=r"ignored the window.*Nothing was written") as caught:
            extract(calls, behaviour=Behaviour(ignore_window=True))

        assert caught.value.call_ids == ("stray",)

    def test_ends_the_reading_with_the_page_that_shows_it(self, extract):
        calls = [make_call("stray", 40 * DAY), *many_calls(350)]

        with pytest.raises(SynthflowProtocolError, match="ignored the window"):
            extract(calls, behaviour=Behaviour(ignore_window=True), plan={"concurrency": 1})

        assert len(extract.server.api.requests) == 1

    @pytest.mark.parametrize("start", [-REACH, DAY + REACH])
    def test_is_not_told_by_calls_that_lie_near(self, extract, start):
        _, records = extract([make_call("near", start), make_call("a")], behaviour=Behaviour(ignore_window=True))

        assert ids(records) == ["a"]

    def test_is_not_told_by_a_call_that_never_ended(self, extract):
        """A server that bounds the end of calls, and shows those that run, shows one that is stuck for ever."""
        calls = [make_call("stuck", -40 * DAY, lasts=None), make_call("a")]

        _, records = extract(calls, behaviour=Behaviour(filter_from_on="end", filter_to_on="end", running_matches=True))

        assert ids(records) == ["a"]


class TestRepeatedReading:
    def moved(self, extract: Any, *, before: Any = None, **update: Any) -> tuple[WindowResult, list[dict[str, Any]]]:
        """Let the server declare a wrong total once, so that all is read again, and change a call in between."""
        changes = [Change(at=(1,), after=True, add=(make_call("new", 9),), update={"a": update})]
        return extract(
            [make_call("a", DAY - 1000, **(before or {})), *many_calls(110)], changes=changes, plan={"concurrency": 1}
        )

    def test_counts_as_the_call_s_last_state(self, extract):
        found, records = self.moved(extract, transcript="later")

        assert found.walks > 1
        assert [record["transcript"] for record in records if record["call_id"] == "a"] == ["later"]
        assert len(ids(records)) == len(set(ids(records))) == found.count == 112

    @pytest.mark.parametrize(
        ("update", "numbers"),
        [
            ({"start_time": str(TO_MS)}, {"count": 111}),
            ({"start_time": None}, {"count": 111, "unplaced": 0}),
            ({"start_time": None, "call_status": "queue"}, {"count": 111, "not_started": 1}),
            ({"call_status": "in-progress"}, {"count": 112, "unsettled": 1}),
        ],
        ids=["moved out", "lost its start", "not started", "runs again"],
    )
    def test_forgets_what_the_earlier_one_said(self, extract, update, numbers):
        if "unplaced" in numbers:
            with pytest.raises(SynthflowProtocolError, match="1 final calls"):
                self.moved(extract, **update)
            return
        found, records = self.moved(extract, **update)

        assert {name: getattr(found, name) for name in numbers} == numbers
        assert ("a" in ids(records)) is (numbers["count"] == 112)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ({"call_status": "in-progress"}, {"call_status": "completed"}),
            ({"start_time": None}, {"start_time": str(TO_MS - 1000)}),
            ({"start_time": None, "call_status": "queue"}, {"start_time": str(TO_MS - 1000), "call_status": "busy"}),
        ],
        ids=["ended", "got its start", "started and ended"],
    )
    def test_forgets_what_was_still_due_before(self, extract, before, after):
        found, records = self.moved(extract, before=before, **after)

        assert (found.count, found.unsettled, found.not_started, found.unplaced) == (112, 0, 0, 0)
        assert "a" in ids(records)

    def test_forgets_a_call_that_has_vanished(self, extract):
        changes = [Change(at=(1,), after=True, remove=("call-0105",))]

        found, records = extract(many_calls(110), changes=changes, plan={"concurrency": 1})

        assert "call-0105" not in ids(records)
        assert found.count == found.total_records == 109

    @pytest.mark.parametrize(
        "gone",
        [
            {"lasts": None},
            {"lasts": None, "call_status": "queue", "start_time": None},
            {"start_time": None},
        ],
        ids=["running", "not started", "without a start"],
    )
    def test_counts_no_call_that_has_vanished(self, extract, gone):
        changes = [Change(at=(1,), after=True, remove=("gone",))]

        found, _ = extract(
            [make_call("gone", DAY - 1, **gone), *many_calls(110)], changes=changes, plan={"concurrency": 1}
        )

        assert (found.count, found.unsettled, found.not_started, found.unplaced) == (110, 0, 0, 0)


class TestRefusal:
    def test_of_every_walk_leaves_nothing_to_publish(self, extract):
        with pytest.raises(SynthflowIncompleteError, match="Nothing was written") as caught:
            extract(many_calls(30), behaviour=Behaviour(total="off_by", total_off_by=2), plan={"max_walks": 3})

        assert (caught.value.expected, caught.value.received, caught.value.walks) == (32, 30, 3)
        assert extract.pauses == [0.5, 1.0]

    def test_of_one_request_ends_it(self, extract):
        with pytest.raises(SynthflowTransientError):
            extract(many_calls(300), faults=[Fault(status=500, offset_at_least=150)])


class TestPrivacy:
    def test_is_applied_before_a_record_is_kept(self, extract):
        calls = [make_call("a", transcript="secret words"), make_call("nowhere", 1, start_time=None)]
        privacy = Privacy(["transcript"], ["phone_number_to"], key="pepper")

        _, records = extract(calls, privacy=privacy, plan={"include_unplaced": True})

        assert [record.keys() & {"transcript"} for record in records] == [set(), set()]
        assert all(len(record["phone_number_to"]) == 64 for record in records)
        assert b"secret words" not in b"".join(extract.spill.records())

    def test_places_calls_by_fields_that_are_dropped(self, extract):
        _, records = extract([make_call("a", 5), make_call("out", -5)], privacy=Privacy(["start_time", "call_id"]))

        assert len(records) == 1
        assert not records[0].keys() & {"start_time", "call_id"}


def test_records_keep_their_own_bytes(extract, synthflow):
    extract([make_call("a", note="Grüße 日本 \x00", big=12345678901234567890123, float=1.0)])

    (raw,) = extract.spill.records()
    assert json.loads(raw)["note"] == "Grüße 日本 \x00"
    assert b"12345678901234567890123" in raw
    assert b'"float":1.0' in raw.replace(b" ", b"")
