# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.synthflow_server import agent_ids
from tests.unit.synthflow_server.asking import AUTH

ROOT = Path(__file__).parents[3]


@pytest.fixture
def program():
    """Start the test server as a program of its own."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "tests.synthflow_server", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_serves_until_it_is_told_to_stop(program, tmp_path, number):
    port_file = tmp_path / "port"
    process = program(
        "--calls", 60, "--agents", 2, "--port-file", port_file, "--behaviour", "order=oldest", "default_limit=5"
    )
    line = process.stdout.readline()
    url = f"http://127.0.0.1:{port_file.read_text().strip()}/v2"
    assert line.startswith(f"{url} key=test-key-0123456789 ")
    assert str(process.pid) in line
    rows = []
    for agent in agent_ids(2):
        answer = requests.get(f"{url}/calls", params={"model_id": agent}, headers=AUTH, timeout=5)
        response = answer.json()["response"]
        rows.append(response["pagination"]["total_records"])
        starts = [int(row["start_time"]) for row in response["calls"]]
        assert len(starts) == 5
        assert starts == sorted(starts)
    assert sum(rows) == 60
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


def test_the_program_refuses_a_switch_that_does_not_exist(program):
    process = program("--calls", 1, "--behaviour", "nonsense=1")
    _, err = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "no switch 'nonsense'" in err
