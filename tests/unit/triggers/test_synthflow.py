# SPDX-License-Identifier: Apache-2.0
"""The trigger finds new calls for sensors and watchers, is never hot, and tells nothing that it should not."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import time
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_synthflow.client import async_client
from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowRequestError,
    SynthflowTransientError,
    SynthflowWindowError,
)
from airflow_provider_synthflow.hooks import connection
from airflow_provider_synthflow.polling import watch as watching
from airflow_provider_synthflow.triggers import new_calls
from airflow_provider_synthflow.triggers.synthflow import SynthflowNewCallsTrigger
from tests.synthflow_server import TEST_KEY, Behaviour, Fault
from tests.unit.making import AGENT, FROM, FROM_MS, make_call, many_calls
from tests.versions import needs_airflow

CLASS = "airflow_provider_synthflow.triggers.synthflow.SynthflowNewCallsTrigger"
NUMBER = "+15550100001"
GIVEN = {
    "model_id": AGENT, "window": 900, "settle": 3600, "min_calls": 5, "poll_interval": 30, "lookback": 60,
    "max_gather": 7200, "max_failures": 3, "call_status": "completed", "duration_min": 1, "duration_max": 9,
    "lead_phone_number": NUMBER, "synthflow_conn_id": "mine", "from_date": FROM, "to_date": "2024-03-02T00:00:00Z",
    "deadline": "2024-03-03T00:00:00Z", "exponential_backoff": True, "max_wait": 60,
}  # fmt: skip
FAULTS = {
    "500": Fault(status=500),
    "429": Fault(status=429),
    "429 that asks for no wait": Fault(status=429, headers={"Retry-After": "0"}),
    "html": Fault(kind="html"),
    "not json": Fault(kind="not_json"),
    "no calls": Fault(kind="no_calls"),
    "half a body": Fault(kind="truncated_body"),
    "closed at once": Fault(kind="reset"),
    "empty": Fault(status=200, error_body="empty"),
}

needs_sharing = needs_airflow("3.3", "one look for several triggers")


def for_sensor(**arguments: Any) -> SynthflowNewCallsTrigger:
    return SynthflowNewCallsTrigger(**{"model_id": AGENT, "from_date": FROM, "poll_interval": 1, **arguments})


def for_watcher(**arguments: Any) -> SynthflowNewCallsTrigger:
    return SynthflowNewCallsTrigger(
        **{"model_id": AGENT, "window": 1, "settle": 0, "lookback": 60, "poll_interval": 1, **arguments}
    )


async def events_of(
    trigger: SynthflowNewCallsTrigger, most: int = 1, seconds: float = 20, calls: int | None = None
) -> list[Any]:
    """Run a trigger as the triggerer does, until it sent so many events, or told of so many calls, or it is late."""
    events: list[Any] = []

    async def run() -> None:
        async for event in trigger.run():
            events.append(event.payload)
            if len(events) >= most if calls is None else sum(each["count"] for each in events) >= calls:
                return

    try:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(run(), seconds)
    finally:
        await trigger.cleanup()
    return events


def run(trigger: SynthflowNewCallsTrigger, **until: Any) -> list[Any]:
    return asyncio.run(events_of(trigger, **until))


@pytest.fixture(autouse=True)
def no_failures_before():
    watching._hold_offs.clear()


@pytest.fixture
def serve(synthflow, connect):
    def start(calls=(), *, conn_id="synthflow_default", fields=None, **options):
        handle = synthflow(calls, **options)
        connect(**{"host": handle.url, "conn_id": conn_id, "extra": {"max_attempts": 1}, **(fields or {})})
        return handle

    return start


def recent_calls(count: int, *, ago: float = 5.0, every_ms: int = 100) -> list[Any]:
    """Return calls that began lately, which a watcher with a small window announces."""
    start = int((time.time() - ago) * 1000) // 1000 * 1000 - FROM_MS
    return [make_call(f"new-{number:03}", start + number * every_ms) for number in range(count)]


class TestSerialization:
    def test_gives_exactly_what_was_given(self):
        assert SynthflowNewCallsTrigger(**GIVEN).serialize() == (CLASS, GIVEN)
        assert SynthflowNewCallsTrigger(AGENT).serialize() == (CLASS, {"model_id": AGENT})

    def test_writes_durations_and_instants_as_json_holds_them(self):
        _, kwargs = SynthflowNewCallsTrigger(
            AGENT,
            window=dt.timedelta(minutes=15),
            settle=dt.timedelta(seconds=1.5),
            from_date=dt.datetime(2024, 3, 1, tzinfo=dt.timezone.utc),
        ).serialize()

        assert kwargs == {"model_id": AGENT, "window": 900, "settle": 1.5, "from_date": "2024-03-01T00:00:00+00:00"}
        assert json.loads(json.dumps(kwargs)) == kwargs
        assert SynthflowNewCallsTrigger(**kwargs).serialize()[1] == kwargs

    def test_is_flat_and_holds_no_secret(self, serve):
        serve(many_calls(1))
        trigger = for_sensor()
        run(trigger)

        kwargs = trigger.serialize()[1]
        assert all(isinstance(value, (str, int, float, bool)) for value in kwargs.values())
        assert TEST_KEY not in json.dumps(kwargs)

    def test_of_an_older_version_which_knew_less_still_runs(self, serve):
        serve(many_calls(1))

        assert run(SynthflowNewCallsTrigger(model_id=AGENT, from_date=FROM))[0]["status"] == "success"

    def test_of_a_newer_version_which_knows_more_still_runs_and_is_kept(self, serve):
        serve(many_calls(1))
        stored = {"model_id": AGENT, "from_date": FROM, "poll_interval": 1, "colour": "blue"}

        with pytest.warns(UserWarning, match="does not know colour"):
            trigger = SynthflowNewCallsTrigger(**stored)

        assert trigger.serialize() == (CLASS, stored)
        assert run(trigger)[0]["status"] == "success"

    @pytest.mark.parametrize("wrong", [{"window": "x"}, {"min_calls": -1}, {"model_id": None}, {"settle": [1]}])
    def test_of_nonsense_does_not_fail_before_it_runs(self, wrong):
        for_watcher(**wrong).serialize()


class TestSensor:
    def test_is_told_the_same_as_by_a_poke(self, serve):
        serve(many_calls(3))

        assert run(for_sensor(min_calls=3)) == [
            {
                "status": "success",
                "model_id": AGENT,
                "from_date": FROM,
                "count": 3,
                "newest_start_time": "2024-03-01T00:02:00.000Z",
            }
        ]

    def test_waits_until_there_are_enough(self, serve):
        handle = serve(many_calls(1))

        async def later():
            waiting = asyncio.create_task(events_of(for_sensor(min_calls=2)))
            await asyncio.sleep(0.5)
            assert not waiting.done()
            handle.api.add(make_call("late", 5))
            return await waiting

        assert asyncio.run(later())[0]["count"] == 2

    def test_is_told_when_the_time_is_over_after_a_last_look(self, serve):
        handle = serve()
        deadline = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=1.2)

        assert run(for_sensor(deadline=deadline, poll_interval=60)) == [{"status": "timeout"}]
        assert len(handle.api.requests) == 2
        assert dt.datetime.now(dt.timezone.utc) >= deadline

    def test_waits_out_what_passes(self, serve):
        serve(many_calls(1), faults=[Fault(status=503, at=(1,)), Fault(kind="reset", at=(2,))])

        assert run(for_sensor())[0]["status"] == "success"

    @pytest.mark.parametrize(
        ("fields", "arguments", "options", "error"),
        [
            ({"password": "wrong-key-987654"}, {}, {}, SynthflowAuthError),
            ({}, {"synthflow_conn_id": "nowhere"}, {}, SynthflowConfigError),
            ({}, {"min_calls": 0}, {}, SynthflowConfigError),
            ({}, {"from_date": "2024-03-01"}, {}, SynthflowWindowError),
            ({}, {"model_id": "x"}, {"behaviour": Behaviour(unknown_model="404")}, SynthflowRequestError),
        ],
        ids=["key", "connection", "min_calls", "from_date", "agent"],
    )
    def test_is_told_at_once_of_what_does_not_pass(self, serve, fields, arguments, options, error):
        handle = serve(fields=fields, **options)

        (event,) = run(for_sensor(**arguments), seconds=5)

        assert (event["status"], event["error"]) == ("error", error.__name__)
        assert TEST_KEY not in event["message"]
        assert "wrong-key-987654" not in event["message"]
        assert len(handle.api.requests) <= 1

    def test_waits_on_where_the_api_refuses_to_go_behind_the_list_s_end(self, serve):
        serve(many_calls(2), behaviour=Behaviour(pagination="absent", offset_past_end="error404"))

        assert run(for_sensor(min_calls=3), seconds=2) == []

    def test_shares_no_looks(self):
        assert for_sensor().shared_stream_key() is None


class TestWatcher:
    def test_announces_settled_cells_with_bounds_on_the_grid(self, serve):
        serve(recent_calls(20))

        (event,) = run(for_watcher(window=2))

        assert event.keys() == {"model_id", "from_date", "to_date", "window", "count"}
        assert (event["model_id"], event["window"]) == (AGENT, 2)
        assert 1 <= event["count"] <= 20
        assert int(event["from_date"][17:19]) % 2 == int(event["to_date"][17:19]) % 2 == 0

    def test_announces_each_call_once(self, serve):
        serve(recent_calls(60, ago=20, every_ms=250))

        events = run(for_watcher(), calls=60)

        assert sum(event["count"] for event in events) == 60
        bounds = [(event["from_date"], event["to_date"]) for event in events]
        assert all(end <= start for (_, end), (start, _) in pairwise(bounds))

    def test_does_not_announce_what_may_still_change(self, serve):
        serve(recent_calls(20))

        assert run(for_watcher(settle=600), seconds=2) == []

    def test_asks_for_nothing_while_nothing_new_is_settled(self, serve):
        handle = serve()

        run(for_watcher(window=3600, settle=0, lookback=0), seconds=2.5)

        assert len(handle.api.requests) <= 1

    def test_does_not_lose_calls_that_pages_hide(self, serve):
        serve(recent_calls(350, ago=20, every_ms=50), behaviour=Behaviour(order="unstable_ties", max_rows=30))

        events = run(for_watcher(window=5), calls=350)

        assert sum(event["count"] for event in events) == 350

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ({"window": 0}, "window must be 1 s"),
            ({"window": 1.5}, "whole number of seconds"),
            ({"settle": "1h"}, "settle must be"),
            ({"min_calls": 0}, "min_calls must be"),
            ({"max_failures": 0}, "max_failures must be"),
            ({"model_id": ""}, "model_id is missing"),
        ],
    )
    def test_that_is_set_up_wrongly_fails_at_once_with_the_cure(self, serve, arguments, text):
        serve()

        with pytest.raises(SynthflowConfigError, match=text):
            run(for_watcher(**arguments))

    def test_fails_at_once_with_a_wrong_key_and_asks_no_more_when_it_is_started_again(self, serve):
        handle = serve(fields={"password": "wrong-key-987654"})

        async def three_times():
            for _ in range(3):
                with contextlib.suppress(SynthflowAuthError):
                    await events_of(for_watcher(poll_interval=60), seconds=0.7)

        asyncio.run(three_times())

        assert len(handle.api.requests) == 1

    @pytest.mark.parametrize("wrong", [{"window": 0.5}, {"model_id": " "}, {"poll_interval": 0}])
    def test_that_cannot_even_begin_waits_when_it_is_started_again(self, serve, wrong):
        serve()

        async def twice():
            with pytest.raises(SynthflowConfigError):
                await events_of(for_watcher(settle=7, **wrong), seconds=5)
            return await events_of(for_watcher(settle=7, **wrong), seconds=1)

        assert asyncio.run(twice()) == []  # no second error within the second

    def test_fails_when_too_many_looks_in_a_row_failed(self, serve):
        handle = serve(faults=[Fault(status=500)])

        with pytest.raises(SynthflowTransientError, match="HTTP 500"):
            run(for_watcher(max_failures=2))

        assert len(handle.api.requests) == 2

    def test_goes_on_after_fewer_failures(self, serve):
        serve(recent_calls(5), faults=[Fault(status=500, at=(1,))])

        assert run(for_watcher(max_failures=2))


@pytest.mark.parametrize("make", [for_sensor, for_watcher])
def test_no_answer_makes_it_run_hot(serve, make):
    handles = {name: serve(conn_id=f"c{number}", faults=[fault]) for number, (name, fault) in enumerate(FAULTS.items())}

    async def all_at_once():
        triggers = [make(synthflow_conn_id=f"c{number}") for number in range(len(FAULTS))]
        await asyncio.gather(*[events_of(trigger, seconds=2.5) for trigger in triggers])

    asyncio.run(all_at_once())

    assert {name: len(handle.api.requests) for name, handle in handles.items() if len(handle.api.requests) > 5} == {}
    assert all(handle.api.requests for handle in handles.values())


class TestConnections:
    def test_are_closed_when_the_trigger_is_cancelled(self, serve):
        serve()

        async def cancelled():
            task = asyncio.create_task(events_of(for_sensor(), seconds=60))
            await asyncio.sleep(0.5)
            (shared,) = async_client._shared[asyncio.get_running_loop()].values()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return shared.http, dict(async_client._shared[asyncio.get_running_loop()])

        client, left = asyncio.run(cancelled())
        assert client.is_closed
        assert left == {}

    def test_are_shared_by_all_triggers_with_the_same_key(self, serve):
        serve()

        async def several():
            tasks = [asyncio.create_task(events_of(for_sensor(), seconds=1)) for _ in range(5)]
            await asyncio.sleep(0.5)
            (shared,) = async_client._shared[asyncio.get_running_loop()].values()
            users = shared.users
            await asyncio.gather(*tasks)
            return users, shared.http.is_closed

        assert asyncio.run(several()) == (5, True)

    def test_are_read_from_airflow_once_for_all_that_start_together(self, serve, mocker):
        serve()
        spy = mocker.spy(connection, "_aread")

        async def several():
            await asyncio.gather(*[events_of(for_sensor(), seconds=0.5) for _ in range(20)])

        asyncio.run(several())

        assert spy.call_count == 1

    def test_that_could_not_be_read_are_read_again(self, connect, synthflow):
        async def twice():
            (first,) = await events_of(for_sensor(), seconds=5)
            connect(synthflow(many_calls(1)).url)
            (second,) = await events_of(for_sensor(), seconds=5)
            return first["status"], second["status"]

        assert asyncio.run(twice()) == ("error", "success")

    def test_leave_no_watcher_behind(self, serve):
        serve()

        async def ended():
            await events_of(for_watcher(), seconds=0.5)
            (watch,) = new_calls._watches[asyncio.get_running_loop()].values()
            return watch._members

        assert asyncio.run(ended()) == {}


def counted(events: list[tuple[int, Any]]) -> int:
    return sum(payload["count"] for _, payload in events)


class Store:
    """
    Hold an asset's state, as Airflow does for a watcher.

    :param several: whether it is of several assets, so that it is not known which is meant
    :param refusing: whether it takes nothing
    :param away: whether it cannot be read
    """

    def __init__(self, *, several: bool = False, refusing: bool = False, away: bool = False) -> None:
        self.values: dict[str, Any] = {}
        self.asked = 0
        self._away = away
        self._several = several
        self._refusing = refusing

    async def aget(self, key: str) -> Any:
        self.asked += 1
        if self._several:
            raise ValueError("Task has 2 concrete inlets and outlets")
        if self._away:
            raise ConnectionError("Airflow is not there")
        return self.values.get(key)

    async def aset(self, key: str, value: Any) -> None:
        assert value is not None
        if self._refusing:
            raise ConnectionError("Airflow is not there")
        self.values[key] = value


def stores_of_assets(*stores: Store) -> Any:
    """Return them as Airflow holds the states of several assets."""
    from airflow.sdk import Asset  # noqa: PLC0415 - only there
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors  # noqa: PLC0415 - only there

    accessors = AssetStateStoreAccessors(inlets=[Asset(f"asset-{number}") for number in range(len(stores))])
    assert len(accessors._by_name) == len(stores)
    accessors._by_name = dict(zip(accessors._by_name, stores, strict=True))
    return accessors


class SharedRun:
    """Run watchers as the triggerer of Airflow 3.3 does: over its own shared streams."""

    def __init__(self, ack_timeout: float = 20.0) -> None:
        from airflow.triggers.shared_stream import SharedStreamManager  # noqa: PLC0415 - only there

        self.manager = SharedStreamManager(ack_timeout=ack_timeout)
        self.events: list[tuple[int, Any]] = []
        self.seqs: list[int] = []

    async def watch(self, number: int, trigger: SynthflowNewCallsTrigger) -> None:
        key = trigger.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                self.events.append((number, event.payload))
                self.seqs.append(self.manager.bind_pending_event(trigger_id=number, key=key))
        finally:
            await self.manager.unsubscribe(number, key)
            await trigger.cleanup()

    def store_events(self) -> None:
        self.manager.confirm_persisted(self.seqs)


@needs_sharing
class TestSharedLooks:
    def watchers(self, *triggers: Any, stored: bool = True, seconds: float = 2.5, until: Any = None) -> Any:
        async def main():
            shared = SharedRun() if stored else SharedRun(ack_timeout=1.0)
            tasks = [
                asyncio.create_task(shared.watch(number, trigger)) for number, trigger in enumerate(triggers, start=1)
            ]
            end = time.monotonic() + seconds
            while time.monotonic() < end and not all(task.done() for task in tasks):
                await asyncio.sleep(0.1)
                if stored:
                    shared.store_events()
                if until and until(shared.events):
                    break
            errors = [task.exception() for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await shared.manager.stop_all()
            return shared.events, errors

        return asyncio.run(main())

    def with_store(self, store: Store, **arguments: Any) -> SynthflowNewCallsTrigger:
        trigger = for_watcher(**arguments)
        trigger.asset_state_store = store
        return trigger

    def test_are_one_poll_for_all_watchers_of_the_same_agent(self, serve):
        handle = serve(recent_calls(5, ago=20))
        alone = self.watchers(for_watcher(window=3600, lookback=7200))
        requests = len(handle.api.requests)

        together = self.watchers(*[for_watcher(window=3600, lookback=7200, min_calls=n) for n in (1, 2, 3)])

        assert alone[1] == together[1] == []
        assert len(handle.api.requests) - requests <= requests + 1

    def test_serve_watchers_of_different_grids(self, serve):
        serve(recent_calls(40, ago=20))

        events, errors = self.watchers(
            for_watcher(window=1), for_watcher(window=2), seconds=9, until=lambda events: counted(events) >= 80
        )

        assert errors == []
        for number in (1, 2):
            assert sum(payload["count"] for each, payload in events if each == number) == 40

    def test_move_the_cursor_past_what_is_stored(self, serve):
        serve(recent_calls(10))
        store = Store()

        events, errors = self.watchers(self.with_store(store), seconds=9, until=lambda _: store.values)

        assert errors == []
        (cursor,) = store.values.values()
        assert cursor >= max(payload["to_date"] for _, payload in events)
        assert not any(NUMBER in key for key in store.values)

    def test_leave_the_cursor_before_what_is_not_stored_and_begin_again(self, serve):
        serve(recent_calls(10))
        store = Store()
        first, errors = self.watchers(self.with_store(store), stored=False, seconds=4)

        assert first
        assert [type(error).__name__ for error in errors] in (["AckTimeout"], ["SynthflowTransientError"])
        assert all(cursor <= first[0][1]["from_date"] for cursor in store.values.values())
        again, _ = self.watchers(self.with_store(store), until=bool)
        assert again[0][1]["from_date"] == first[0][1]["from_date"]

    def test_begin_at_the_cursor(self, serve):
        serve(recent_calls(10))
        store = Store()
        self.watchers(self.with_store(store), seconds=9, until=lambda _: store.values)

        again, errors = self.watchers(self.with_store(store), seconds=1.5)

        assert (again, errors) == ([], [])

    def test_begin_anew_where_the_cursor_is_nonsense(self, serve):
        serve(recent_calls(10))
        store = Store()
        self.watchers(self.with_store(store), seconds=9, until=lambda _: store.values)
        store.values = dict.fromkeys(store.values, "yesterday")

        events, errors = self.watchers(self.with_store(store), until=bool)

        assert errors == []
        assert events

    def test_keep_a_cursor_for_each_asset_and_begin_at_the_one_that_is_behind(self, serve):
        serve(recent_calls(10))
        ahead, behind = Store(), Store()
        first, errors = self.watchers(
            self.with_store(stores_of_assets(ahead, behind)), seconds=9, until=lambda _: behind.values
        )
        assert errors == []
        assert ahead.values == behind.values != {}

        again, _ = self.watchers(self.with_store(stores_of_assets(ahead, behind)), seconds=1.5)
        assert again == []

        behind.values = {}  # as of an asset that has only now got the watcher
        again, errors = self.watchers(self.with_store(stores_of_assets(ahead, behind)), until=bool)
        assert errors == []
        assert again[0][1]["from_date"] == first[0][1]["from_date"]

    def test_go_on_without_a_cursor_where_airflow_hides_which_assets_there_are(self, serve):
        serve(recent_calls(10))

        events, errors = self.watchers(self.with_store(Store(several=True)), until=bool)

        assert errors == []
        assert events

    def test_of_a_watcher_that_can_begin_go_on_beside_one_that_cannot(self, serve, monkeypatch):
        monkeypatch.setattr(watching, "_HOLD_OFF", 0.4)
        serve(recent_calls(10))
        store = Store()

        async def beside():
            shared, starts = SharedRun(), 0
            healthy = asyncio.create_task(shared.watch(1, self.with_store(store)))
            begun = time.monotonic()
            while time.monotonic() < begun + 60 and not store.values:
                starts += 1
                broken = asyncio.create_task(shared.watch(2, for_watcher(window=0.5)))
                while not broken.done():
                    await asyncio.sleep(0.1)
                    shared.store_events()
                assert isinstance(broken.exception(), SynthflowConfigError)
            failed = healthy.done()
            healthy.cancel()
            await asyncio.gather(healthy, return_exceptions=True)
            await shared.manager.stop_all()
            return failed, starts, time.monotonic() - begun

        failed, starts, seconds = asyncio.run(beside())
        assert store.values
        assert not failed
        assert starts <= 2 + seconds / 0.4

    def test_move_the_cursor_while_a_watcher_rests_that_could_not_begin(self, serve, monkeypatch):
        monkeypatch.setattr(watching, "_HOLD_OFF", 600)
        serve(recent_calls(10))
        store = Store()

        async def beside():
            shared = SharedRun()
            with pytest.raises(SynthflowConfigError):
                await shared.watch(2, for_watcher(window=0.5))
            resting = asyncio.create_task(shared.watch(2, for_watcher(window=0.5)))
            healthy = asyncio.create_task(shared.watch(1, self.with_store(store)))
            end = time.monotonic() + 60
            while time.monotonic() < end and not store.values and not healthy.done():
                await asyncio.sleep(0.05)
                shared.store_events()
            states = resting.done(), healthy.done()
            resting.cancel()  # as Airflow does where its asset has gone
            await asyncio.gather(resting, return_exceptions=True)
            await asyncio.sleep(0.2)
            states += (healthy.done(),)
            healthy.cancel()
            await asyncio.gather(healthy, return_exceptions=True)
            await shared.manager.stop_all()
            return states

        assert asyncio.run(beside()) == (False, False, False)
        assert store.values

    def test_pause_after_a_cursor_that_airflow_could_not_tell(self, serve):
        handle = serve()
        away = Store(away=True)

        async def again():
            shared, errors = SharedRun(), []
            for _ in range(2):
                watching = asyncio.create_task(shared.watch(1, self.with_store(away, settle=8)))
                await asyncio.wait([watching], timeout=1)
                errors.append(type(watching.exception()) if watching.done() else None)
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            await shared.manager.stop_all()
            return errors

        assert asyncio.run(again()) == [ConnectionError, None]
        assert (away.asked, len(handle.api.requests)) == (1, 0)

    def test_pause_after_a_cursor_that_airflow_did_not_take(self, serve):
        handle = serve(recent_calls(10))

        async def again_and_again():
            shared, errors = SharedRun(), []
            for _ in range(3):
                watching = asyncio.create_task(shared.watch(1, self.with_store(Store(refusing=True), poll_interval=60)))
                end = time.monotonic() + 3
                while not watching.done() and time.monotonic() < end:
                    await asyncio.sleep(0.1)
                    shared.store_events()
                errors.append(type(watching.exception()) if watching.done() else None)
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            await shared.manager.stop_all()
            return shared.events, errors

        events, errors = asyncio.run(again_and_again())
        assert len(events) == 1
        assert errors == [ConnectionError, None, None]
        assert len(handle.api.requests) == 1

    def test_that_fail_end_every_watcher_typed(self, serve):
        handle = serve(fields={"password": "wrong-key-987654"})

        _, errors = self.watchers(for_watcher(), for_watcher(window=2))

        assert [type(error) for error in errors] == [SynthflowAuthError] * 2
        assert len(handle.api.requests) == 1

    def test_have_the_same_key_for_the_same_agent_connection_and_filter_only(self):
        key = for_watcher().shared_stream_key()

        assert for_watcher(window=60, settle=5, min_calls=7).shared_stream_key() == key
        for other in ({"model_id": "x"}, {"synthflow_conn_id": "y"}, {"call_status": "busy"}):
            assert for_watcher(**other).shared_stream_key() != key
