# SPDX-License-Identifier: Apache-2.0
"""The ways of a server that the comparison with a plain loop goes through, as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.synthflow_server import Behaviour, Fault

__all__ = ["CASES", "Case"]


@dataclass(frozen=True)
class Case:
    """
    Describe one way of a server.

    :param name: what it does, as the table says it
    :param behaviour: its switches
    :param faults: what goes wrong, counted anew from the first request of each window
    :param arrivals: at which requests of each window a call of this window is first listed, the newest of them
    :param departures: at which requests of each window a call vanishes from its first page
    :param listed_at_end: whether calls are listed only once they are over
    :param stuck: the share of calls that never end
    :param starts_every_ms: to which unit the starts are rounded, as campaigns that start many calls at once do
    """

    name: str
    behaviour: Behaviour = field(default_factory=Behaviour)
    faults: tuple[Fault, ...] = ()
    arrivals: tuple[int, ...] = ()
    departures: tuple[int, ...] = ()
    listed_at_end: bool = False
    stuck: float = 0.01
    starts_every_ms: int = 1


CASES = (
    Case("an ordinary server"),
    Case("`to_date` bounds the end of a call", Behaviour(filter_to_on="end"), stuck=0.0),
    Case("running calls are not listed until they end", listed_at_end=True, stuck=0.0),
    Case("`from_date` itself is out", Behaviour(from_inclusive=False)),
    Case("`to_date` itself is in", Behaviour(to_inclusive=True)),
    Case("bounds count in whole seconds, `to_date` in", Behaviour(date_granularity_ms=1_000, to_inclusive=True)),
    Case("calls arrive while pages are read, newest first", arrivals=(2, 3)),
    Case("calls leave while pages are read", departures=(2, 3)),
    Case("never more than 50 rows on a page, and no word of it", Behaviour(max_rows=50)),
    Case("no total is declared", Behaviour(total="absent")),
    Case("calls of one minute in an unstable order", Behaviour(order="unstable_ties"), starts_every_ms=60_000),
    Case(
        "campaigns start calls at once, in an unstable order", Behaviour(order="unstable_ties"), starts_every_ms=300_000
    ),
    Case("`start_time` is null, `telephony_start` comes later", Behaviour(start_time_as="null")),
    Case("`offset` is ignored", Behaviour(ignore_offset=True)),
    Case("`from_date` and `to_date` are ignored", Behaviour(ignore_window=True)),
    Case("429 and 500 in between", faults=(Fault(status=429, at=(2,)), Fault(status=500, at=(4,)))),
    Case(
        "a page comes again in place of the next, once a window",
        faults=(Fault(kind="wrong_page", shift=-100, at=(3,)),),
    ),
    Case("an empty page, once a window", faults=(Fault(kind="empty_page", at=(2,)),)),
)
