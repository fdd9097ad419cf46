# SPDX-License-Identifier: Apache-2.0
"""
What leaves a real Airflow through each of its exits, and what never does.

One deployment runs tasks that end well, that fail, that wait; the API's answers and the calls are full of planted
secrets and planted personal data, and recordings lie at signed addresses of a host that fails in each way. Then every
exit is searched: logs of all levels, the metadata database, lineage, metrics, links, manifests, temporary files. A task
that leaks on purpose shows that the search finds.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.airflow_deployment import AirflowDeployment
from tests.synthflow_server import TEST_KEY, Answer, SynthflowApi, serve, serve_recordings
from tests.unit.making import make_call, read_file
from tests.versions import AIRFLOW

pytestmark = pytest.mark.long

AIRFLOW_2 = AIRFLOW < (3, 0)
BY_TRY = AIRFLOW >= (3, 4)
"""Whether the tables of results and of rendered fields name a try by its id alone, and neither DAG nor task."""
XCOM, RENDERED = ("xcom_v2", "rtif_v2") if BY_TRY else ("xcom", "rendered_task_instance_fields")

DAGS = Path(__file__).parent / "exits_dags"
HASH_KEY = "planted-hash-key-5b1e"
PERSONAL = {
    "lead_name": "Wilhelmina Quastenberg",
    "lead_phone_number": "+15550107731",
    "transcript": "bot: Hello\nhuman: my knee hurts since Tuesday",
    "recording_url": "https://recordings.invalid/planted-signature-77",
    "collected_variables": {"complaint": "planted-complaint-31"},
}
PLANTED = {
    "the key": TEST_KEY,
    "the hash key": HASH_KEY,
    "a name": "Quastenberg",
    "a telephone number": "15550107731",
    "a transcript": "my knee hurts",
    "a signed address": "planted-signature",
    "an address of a recording": "X-Amz-",
    "a variable": "planted-complaint",
}
WANTED_NUMBER = "+15550107731"
ENDS = {
    "files": "success",
    "filtered": "success",
    "sensing": "up_for_reschedule",
    "refused": "failed",
    "broken": "failed",
    "waiting": "deferred",
    "recorded": "success",
    "unheard": "failed",
    "late": "deferred",
    "from_xcom": "success",
    "leaking": "success",
}
AT_LAST = ["filtered", "from_xcom", "leaking"]
"""What returns more than counts: at the level of these logs Airflow itself writes results into its components' own."""


def make_troubles(address: str) -> dict[str, Answer]:
    """Return what the host of recordings answers for calls of these names; each tells all of the address it can."""
    audio, told = {"Content-Type": "audio/mpeg"}, f"<Error>{address}</Error>".encode()
    elsewhere = f"/a.mp3?X-Amz-Signature=planted-signature&{address}"
    return {
        "expired": Answer(403, {"Content-Type": "application/xml", "X-Echo": address}, told),
        "removed": Answer(404, {"Content-Type": "application/xml"}, told),
        "failing": Answer(502, {"Content-Type": "text/html"}, told),
        "page": Answer(200, {"Content-Type": "text/html"}, told),
        "empty": Answer(200, audio),
        "cut": Answer(200, audio, b"ID3" + told * 1000, action="truncated_body"),
        "slow": Answer(200, audio, b"ID3" + told * 1000, action="timeout_mid_body", seconds=10),
        "reset": Answer(200, audio, told, action="reset"),
        "chain": Answer(302, {"Location": address}),
        "plain": Answer(302, {"Location": f"http://store.invalid{elsewhere}"}),
        "nowhere": Answer(302, {"Location": f"http://127.0.0.1:9{elsewhere}"}),
    }


TROUBLES = list(make_troubles(""))
REFUSED = {"unentitled": 403, "none": 404, "refused": 502}
"""What the API itself answers for calls of these names."""


def make_recorded(agent: str, names: list[str]) -> list[Any]:
    """Make calls of an agent, one after the other, whose records promise recordings."""
    return [make_call(name, number * 1000, agent=agent, **PERSONAL) for number, name in enumerate(names)]


class LeakyApi(SynthflowApi):
    """Answer for some agents and recordings with errors and pages that hold all that was planted."""

    def __init__(self, calls):
        super().__init__(calls)
        self.at_the_host: dict[str, list[dict[str, str]]] = {}
        """The headers of the requests for each recording, as its host has them."""

    def handle(self, method, target, headers, body=b""):
        said = f"Bearer {TEST_KEY} asked for {WANTED_NUMBER}"  # the API's own sentence is quoted, but for such
        told = json.dumps({"key": TEST_KEY, "hash": HASH_KEY, **PERSONAL})
        if "model_id=agent-refused" in target:
            return Answer.of_json(400, {"detail": {"description": said, "request_id": TEST_KEY, "body": told}})
        if "model_id=agent-broken" in target:
            return Answer(200, {"Content-Type": "text/html", "X-Echo": WANTED_NUMBER}, f"<html>{told}</html>".encode())
        if found := re.search(r"/signed/recordings/([^.]+)\.", target):
            self.at_the_host.setdefault(found[1], []).append(dict(headers))
            if found[1] in TROUBLES:
                return make_troubles(target)[found[1]]
        if found := re.search(r"/calls/(\w+)/recording$", target):
            status = REFUSED.get(found[1])
            if status is not None:
                return Answer.of_json(status, {"detail": {"description": said, "request_id": TEST_KEY, "body": told}})
        return super().handle(method, target, headers, body)


class Statsd:
    """Keep what is sent to a statsd server on loopback."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.received: list[str] = []
        threading.Thread(target=self._keep, daemon=True).start()

    def _keep(self) -> None:
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                self.received += self.socket.recv(65_536).decode().splitlines()


class Exits:
    """Hold all that left the deployment, by the exit's name."""

    def __init__(
        self, deployment: AirflowDeployment, api: LeakyApi, output: Path, statsd: Statsd, lineage: Path
    ) -> None:
        self.deployment = deployment
        self.api = api
        self.output = output
        self.statsd = statsd
        self.lineage = lineage
        self.waiting: list[dict[str, Any]] = []
        self.triggers: list[dict[str, Any]] = []
        self.links: dict[str, Any] = {}
        self.tested: list[dict[str, Any]] = []
        self.left: list[str] = []
        self.components = ""

    def logs(self, dag_id: str) -> str:
        files = sorted((self.deployment.home / "logs" / f"dag_id={dag_id}").rglob("task_id=calls/*.log"))
        assert files, f"{dag_id} has left no log"
        return "\n".join(path.read_text(errors="replace") for path in files)

    def table(self, name: str) -> list[dict[str, Any]]:
        with contextlib.closing(sqlite3.connect(self.deployment.database)) as database:
            database.row_factory = sqlite3.Row
            owner = " JOIN (SELECT id, dag_id, task_id FROM task_instance) AS task ON task.id = task_instance_id"
            query = f"SELECT * FROM {name}{owner if name in {XCOM, RENDERED} and BY_TRY else ''}"  # noqa: S608 - our own names
            return [dict(row) for row in database.execute(query)]

    def database(self, *, leaking: bool) -> str:
        """Return all rows of all tables as text, with or without those of the DAG that leaks on purpose."""
        with contextlib.closing(sqlite3.connect(self.deployment.database)) as database:
            lines = [_BLOB.sub(_text_of_blob, line) for line in database.iterdump()]
        for row in self.table("task_instance") if BY_TRY else ():
            named = f"'{row['id']}','{row['dag_id']}','{row['task_id']}'"
            lines = [line.replace(f"'{row['id']}'", named) for line in lines]
        return "\n".join(line for line in lines if leaking or "leaking" not in line)


_BLOB = re.compile(r"(?<=,)X'([0-9A-F]*)'")  # as which Airflow 2 stores results


def _text_of_blob(found: re.Match[str]) -> str:
    return bytes.fromhex(found[1]).decode(errors="replace")


def task_of(dag_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/once/taskInstances/calls"


def run(deployment: AirflowDeployment, dag_ids: list[str]) -> None:
    """Run DAGs once, until their tasks have ended as they should."""
    for dag_id in dag_ids:
        date = "2024-03-02T00:00:00Z" if AIRFLOW_2 else None
        deployment.rest("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": date, "dag_run_id": "once"})
    deployment.wait_for(
        lambda: all(deployment.rest("GET", task_of(dag_id))["state"] == ENDS[dag_id] for dag_id in dag_ids),
        f"the tasks of {dag_ids} end as they should: {ENDS}",
        timeout=300,  # Airflow 2 runs one task at a time over SQLite, and a busy machine is slow
    )


@pytest.fixture(scope="module")
def exits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exits")
    temporary, output, lineage = folder / "tmp", folder / "output", folder / "lineage.json"
    temporary.mkdir()
    calls = [
        make_call(f"{agent}-{number}", number, agent=agent, **PERSONAL)
        for agent in ("agent-1", "agent-2")
        for number in range(3)
    ]
    calls.append(make_call("open", agent="agent-open", lasts=None, **PERSONAL))
    calls += make_recorded("agent-recorded", ["heard", "unentitled", "none"])
    calls += make_recorded("agent-late", ["there", "late"])
    # Between two good ones each: five that fail one after the other end the task.
    failing = [*TROUBLES, "refused"]
    calls += make_recorded("agent-unheard", [each for name in failing for each in (f"good-{name}", name)])
    statsd = Statsd()
    api = LeakyApi(calls)
    api.recordings.statuses["late"] = 404
    with serve(api) as server, serve_recordings(api):
        connection = {"conn_type": "synthflow", "host": server.url, "password": TEST_KEY}
        extra = {"hash_key": HASH_KEY, "max_attempts": 2}
        env = {
            "AIRFLOW_CONN_SYNTHFLOW_DEFAULT": json.dumps({**connection, "extra": extra}),
            "AIRFLOW_CONN_IMPATIENT": json.dumps({**connection, "extra": {**extra, "timeout": 3}}),
            "AIRFLOW_VAR_WANTED_NUMBER": WANTED_NUMBER,
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_PORT": str(statsd.port),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": str(lineage), "append": True}
            ),
            "EXITS_OUTPUT_PATH": str(output),
            "TMPDIR": str(temporary),
        }
        with AirflowDeployment(folder / "airflow", DAGS, env) as deployment:
            found = Exits(deployment, api, output, statsd, lineage)
            deployment.wait_for(lambda: deployment.dag_ids() >= ENDS.keys(), "the DAGs are known")
            run(deployment, [dag_id for dag_id in ENDS if dag_id not in AT_LAST])
            found.waiting = [row for row in found.table("task_instance") if row["state"] == "deferred"]
            found.triggers = found.table("trigger")  # before a wait is over, and begins anew
            found.components = deployment.log.read_text(errors="replace")
            run(deployment, AT_LAST)
            links = deployment.rest("GET", f"{task_of('files')}/links")
            found.links = links if AIRFLOW_2 else links["extra_links"]
            for changed in ({}, {"password": "planted-wrong-key-1"}, {"host": "127.0.0.1:9"}):
                found.tested.append(
                    deployment.rest(
                        "POST",
                        "/connections/test",
                        {"connection_id": "tried", **connection, "extra": json.dumps(extra), **changed},
                    )
                )
            deployment.wait_for(lambda: "synthflow.duration" in " ".join(statsd.received), "the metrics have come")
            deployment.wait_for(
                lambda: lineage.exists() and lineage.read_text().count('"COMPLETE"') >= 3, "the lineage has come"
            )
            found.left = [str(path) for path in temporary.rglob("synthflow*")]
            time.sleep(0.5)  # for what is still on its way into logs
            yield found
    statsd.socket.close()


CALLS_IN_XCOM = ("from_xcom", "listed")
"""The task whose result is the calls themselves, as a user may want it."""


def planted_in(text: str) -> set[str]:
    """Return what of the planted is in a text, in plain or as JSON and URLs write it."""
    return {what for what, value in PLANTED.items() if value in text}


class TestNothingLeaves:
    @pytest.mark.parametrize("dag_id", [dag_id for dag_id in ENDS if dag_id != "leaking"])
    def test_through_the_logs_of_a_task(self, exits, dag_id):
        assert planted_in(exits.logs(dag_id)) == set()

    def test_through_the_logs_of_the_components(self, exits):
        assert planted_in(exits.components) == set()

    def test_through_the_results_in_xcom(self, exits):
        rows = [
            row
            for row in exits.table(XCOM)
            if row["dag_id"] not in {"leaking", "filtered"} and (row["dag_id"], row["task_id"]) != CALLS_IN_XCOM
        ]

        assert {row["key"] for row in rows} >= {"return_value"}
        assert planted_in(repr(rows)) == set()

    def test_through_rendered_templates(self, exits):
        rows = exits.table(RENDERED)

        assert {row["dag_id"] for row in rows} == ENDS.keys()
        assert planted_in(repr(rows)) == set()

    def test_through_asset_events(self, exits):
        events = exits.table("dataset_event" if AIRFLOW_2 else "asset_event")

        assert sorted(event["source_dag_id"] for event in events) == ["files", "recorded"]
        assert all(agent in repr(events) for agent in ("agent-1", "agent-recorded"))
        assert planted_in(repr(events)) == set()

    def test_through_triggers_and_what_is_kept_for_the_resumption(self, exits):
        assert len(exits.triggers) == 2
        assert {(row["dag_id"], row["next_method"]) for row in exits.waiting} == {
            ("waiting", "execute_complete"),
            ("late", "execute_complete"),
        }
        assert planted_in(repr(exits.triggers) + repr(exits.waiting)) == set()

    def test_through_any_table_of_the_database(self, exits):
        lines = exits.database(leaking=False).splitlines()
        # What a window was filtered by stands in its result, which is how another query's file is told.
        xcom = [line for line in lines if line.startswith(f'INSERT INTO "{XCOM}"')]
        results = [line for line in xcom if "filtered" in line]

        assert planted_in("\n".join(results)) == {"a telephone number"}
        calls = [line for line in xcom if all(f"'{name}'" in line for name in CALLS_IN_XCOM)]
        assert "a transcript" in planted_in("\n".join(calls))
        results += calls
        assert planted_in("\n".join(line for line in lines if line not in results)) == set()

    def test_through_lineage(self, exits):
        assert planted_in(exits.lineage.read_text()) == set()

    def test_through_metrics(self, exits):
        assert planted_in("\n".join(exits.statsd.received)) == set()

    def test_through_the_test_of_a_connection(self, exits):
        assert [each["status"] for each in exits.tested] == [True, False, False]
        assert planted_in(json.dumps(exits.tested)) == set()
        assert "planted-wrong-key" not in json.dumps(exits.tested)

    def test_through_manifests(self, exits):
        manifests = [path.read_text() for path in exits.output.rglob("_manifest.json")]

        assert len(manifests) == 2
        assert planted_in("".join(manifests)) == set()

    def test_through_what_lies_beside_recordings(self, exits):
        folders = [path for path in exits.output.parent.rglob("recordings") if path.is_dir()]
        files = [path for folder in folders for path in folder.iterdir() if path.suffix != ".mp3"]

        assert sorted(path.name for path in files) == [".waiting.json", *["_recordings.json"] * 2]
        assert planted_in("".join(path.read_text() for path in files)) == set()

    def test_of_the_key_to_the_host_of_recordings(self, exits):
        asked = exits.api.at_the_host

        assert asked.keys() >= {*TROUBLES, "heard", "there", *(f"good-{name}" for name in [*TROUBLES, "refused"])}
        assert TEST_KEY not in repr(asked)
        assert "authorization" not in repr(asked).lower()

    def test_through_files_of_calls_that_are_kept_for_a_while(self, exits):
        assert exits.left == []

    def test_through_links(self, exits):
        assert planted_in(json.dumps(exits.links)) == set()


class TestTheSearch:
    def test_finds_what_a_task_leaks_on_purpose_into_its_log_and_its_result(self, exits):
        calls = {what for what in PLANTED if what not in {"the key", "the hash key"}}

        assert planted_in(exits.logs("leaking")) == calls
        assert planted_in(exits.database(leaking=True)) == calls

    def test_finds_it_in_the_file_of_calls(self, exits):
        files = [read_file(path) for path in exits.output.rglob("calls.jsonl.gz")]

        assert planted_in(json.dumps(files)) == {"a telephone number", "a transcript", "a signed address", "a variable"}

    def test_is_not_spared_by_logs_that_say_nothing(self, exits):
        for dag_id, line in {
            "files": ") of agent agent-2, ",
            "refused": "HTTP 400",
            "broken": "is not JSON",
            "waiting": "not final",
            "recorded": "1 recording (2.0 KB) of 3 calls of agent agent-recorded",
            "unheard": "recordings could not be stored",
            "late": "1 expected recordings are not there yet",
        }.items():
            assert line in exits.logs(dag_id)

    def test_is_not_spared_by_troubles_that_were_not_met(self, exits):
        told = exits.logs("unheard")

        for line in (
            "HTTP 403 instead of a recording",
            "HTTP 502 instead of a recording",
            "text or a web page instead of a recording",
            "an empty recording",
            "The connection to 127.0.0.1 failed",
            "stopped sending",
            "redirects more than 3 times",
            "an address for the recording that is not https",
        ):
            assert line in told
        assert "recordings could not be stored, and the" in told


class TestWhatIsThere:
    def test_the_lineage_has_the_calls_read_and_the_files_written_with_rows_and_bytes(self, exits):
        events = [json.loads(line) for line in exits.lineage.read_text().splitlines()]
        (event,) = [each for each in events if each["eventType"] == "COMPLETE" and each["job"]["name"] == "files.calls"]
        host = json.loads(exits.deployment.env["AIRFLOW_CONN_SYNTHFLOW_DEFAULT"])["host"]

        assert [(each["namespace"], each["name"]) for each in event["inputs"]] == [
            (f"synthflow://{urlsplit(host).netloc}", "calls/agent-1"),
            (f"synthflow://{urlsplit(host).netloc}", "calls/agent-2"),
        ]
        assert [each["inputFacets"]["inputStatistics"]["rowCount"] for each in event["inputs"]] == [3, 3]
        manifests = sorted(
            (json.loads(path.read_text()) for path in exits.output.rglob("_manifest.json")),
            key=lambda each: each["model_id"],
        )
        assert [(each["namespace"], each["name"]) for each in event["outputs"]] == [
            ("file", each["path"]) for each in manifests
        ]
        for output, manifest in zip(event["outputs"], manifests, strict=True):
            statistics = output["outputFacets"]["outputStatistics"]
            assert (statistics["rowCount"], statistics["size"]) == (3, manifest["bytes"])

    def test_the_metrics_have_the_documented_names(self, exits):
        names = {line.partition(":")[0].removeprefix("airflow.") for line in exits.statsd.received}

        assert names >= {
            "synthflow.calls",
            "synthflow.pages",
            "synthflow.requests",
            "synthflow.retries",
            "synthflow.waits",
            "synthflow.walks",
            "synthflow.duration",
            "synthflow.failures",
        }

    def test_the_links_are_on_the_task_by_their_names(self, exits):
        assert exits.links == {"Output": None, "Synthflow calls": "https://app.synthflow.ai"}
