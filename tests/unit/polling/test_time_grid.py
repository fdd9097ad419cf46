# SPDX-License-Identifier: Apache-2.0
"""Every cell that holds calls is announced once it is settled, once, however the looks fall; no other cell is."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_synthflow.polling.time_grid import CellAnnouncer, PollResult
from airflow_provider_synthflow.window.run import windows_of_run

WIDTH = 60_000
SETTLE = 90_000
START = 1_700_000_040_000  # on the grid


def announcer(**options):
    return CellAnnouncer("m", **{"width_ms": WIDTH, "settle_ms": SETTLE, "start_ms": START, **options})


def read(one, starts, now):
    """Return the poll of what is wanted."""
    return PollResult(*(one.wanted(now) or (now, now)), now, [start for start in starts if start <= now])


def look(one, starts, now):
    """Read what is wanted, as the watch does, and return the event that is due."""
    event = one.next_event(read(one, starts, now))
    if event:
        one.announced(event["count"])
    return event


def cells_of(event):
    """Return the cells that the run reads which the event starts."""
    asset_event = SimpleNamespace(extra={"from_trigger": True, "payload": event})
    context = {
        "triggering_asset_events": {"asset": [asset_event]},
        "dag_run": SimpleNamespace(run_type="asset_triggered"),
    }
    return [window.from_ms for window in windows_of_run(context, model_id="m").windows]


def expected(starts, now):
    settled = (now - SETTLE) // WIDTH * WIDTH
    return Counter(start // WIDTH * WIDTH for start in starts if START <= start < settled)


STARTS = st.lists(st.integers(START, START + 40 * WIDTH), max_size=60)
PAUSES = st.lists(st.integers(1_000, 10 * WIDTH), min_size=1, max_size=30)


@given(STARTS, PAUSES, st.integers(1, 9))
def test_each_cell_with_calls_is_announced_once_and_in_the_order_of_time(starts, pauses, min_calls):
    one, now, events = announcer(min_calls=min_calls, gather_ms=5 * WIDTH), START, []
    for pause in [*pauses, *[100 * WIDTH] * 61]:  # in the end all is settled, and has waited long enough
        now += pause
        if event := look(one, starts, now):
            events.append(event)

    named = [cell for event in events for cell in cells_of(event)]
    held = expected(starts, now)
    assert named == sorted(set(named))
    assert [cell for cell in named if held[cell]] == sorted(held)
    assert all(held[cells_of(event)[0]] and held[cells_of(event)[-1]] for event in events)
    assert min_calls > 1 or len(named) == len(held)
    assert [event["count"] for event in events] == [
        sum(expected(starts, now)[cell] for cell in cells_of(event)) for event in events
    ]


@given(STARTS, PAUSES, st.sets(st.integers(0, 29)))
def test_one_that_begins_again_from_its_cursor_leaves_no_cell_out(starts, pauses, restarts):
    one, now, named = announcer(), START, []
    for number, pause in enumerate([*pauses, *[100 * WIDTH] * 61]):
        now += pause
        if number in restarts:  # after a look whose event was lost
            cursor = one.cursor
            one.next_event(read(one, starts, now))
            one = announcer(start_ms=cursor)
        elif event := look(one, starts, now):
            named += cells_of(event)

    assert set(named) == set(expected(starts, now))


@given(STARTS, PAUSES)
def test_nothing_is_announced_before_it_is_settled(starts, pauses):
    one, now = announcer(), START
    for pause in pauses:
        now += pause
        if event := look(one, starts, now):
            assert max(cells_of(event)) + WIDTH + SETTLE <= now


def test_an_event_names_no_empty_cell_unless_calls_are_gathered():
    one, now = announcer(), START + 10 * WIDTH
    starts = [START, START + WIDTH, START + 4 * WIDTH]

    first, second = look(one, starts, now), look(one, starts, now)

    assert (cells_of(first), first["count"]) == ([START, START + WIDTH], 2)
    assert (cells_of(second), second["count"]) == ([START + 4 * WIDTH], 1)
    assert look(one, starts, now) is None
    gathered = look(announcer(min_calls=3), starts, now)
    assert (cells_of(gathered), gathered["count"]) == ([START + number * WIDTH for number in range(5)], 3)


def test_an_event_has_what_the_contract_names_and_nothing_else():
    assert look(announcer(), [START + 5], START + 10 * WIDTH) == {
        "model_id": "m",
        "from_date": "2023-11-14T22:14:00.000Z",
        "to_date": "2023-11-14T22:15:00.000Z",
        "window": 60,
        "count": 1,
    }


def test_calls_are_gathered_until_there_are_enough():
    one, starts = announcer(min_calls=3), [START, START + WIDTH]

    assert look(one, starts, START + 5 * WIDTH) is None
    assert one.cursor == START  # so that one that begins again gathers them, too
    starts.append(START + 3 * WIDTH + 1)
    event = look(one, starts, START + 6 * WIDTH)

    assert (event["count"], cells_of(event)) == (3, [START + number * WIDTH for number in range(4)])
    assert one.cursor == START + 4 * WIDTH


def test_the_last_few_calls_do_not_wait_for_ever():
    one = announcer(min_calls=1000, gather_ms=3 * WIDTH)

    assert look(one, [START], START + 4 * WIDTH) is None
    assert look(one, [START], START + WIDTH + SETTLE + 3 * WIDTH)["count"] == 1


@pytest.mark.parametrize(
    ("stretch", "now"),
    [
        ((START + WIDTH, START + 2 * WIDTH), START + 9 * WIDTH),
        ((START, START + WIDTH - 1), START + 9 * WIDTH),
        ((START, START + WIDTH), START + WIDTH + SETTLE - 1),
    ],
    ids=["later", "less than a cell", "unsettled"],
)
def test_a_stretch_that_does_not_cover_what_is_next_changes_nothing(stretch, now):
    one = announcer()

    event = one.next_event(PollResult(*stretch, now, [START + WIDTH]))

    assert (one.read_to, event) == (START, None)


def test_the_first_cell_is_the_one_that_the_start_lies_in():
    assert announcer(start_ms=START + WIDTH - 1).cursor == START


def test_one_event_names_no_more_cells_than_a_run_can_read_and_the_next_names_the_rest():
    starts = [START + number * WIDTH for number in range(1500)]
    one, now = announcer(), START + 2000 * WIDTH

    first = look(one, starts, now)
    assert one.has_more
    assert (len(cells_of(first)), len(cells_of(look(one, starts, now)))) == (1000, 500)
    assert not one.has_more
