# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

from tests.synthflow_server import SimulatedClock, WallClock


def test_a_simulated_clock_moves_only_when_it_is_moved():
    clock = SimulatedClock(1000)
    assert (clock.now_ms(), clock.now_ms()) == (1000, 1000)
    assert clock.advance(50) == clock.now_ms() == 1050
    clock.set(10)
    assert clock.now_ms() == 10


def test_a_wall_clock_tells_the_present():
    assert abs(WallClock().now_ms() - time.time() * 1000) < 5000
