# SPDX-License-Identifier: Apache-2.0
"""
What the documents show works as it stands there: each DAG, program and command is run. Part of ``make docs-test``.

All DAGs run once in one Airflow, against one test server and one S3 API, as of the same date; the folder of the files
is replaced by a temporary one. The tutorial has a trial of its own, ``dev.tutorial``. This file is not among the
quick tests, which parse the DAGs only (``tests/unit/docs/test_docs.py``).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import (
    DAGS,
    DOCUMENTS,
    PROGRAMS,
    ROOT,
    SHOWN,
    TRIED_ELSEWHERE,
    TUTORIAL,
    Block,
    blocks_of,
    dag_id_of,
)
from tests.integration.airflow_home import AirflowHome, read_marked
from tests.s3_server import S3Server
from tests.synthflow_server import TEST_KEY, SynthflowApi, audio, make_calls, serve
from tests.synthflow_server.dataset import DAY_MS

FROM_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
RUN_AT = "2026-01-06T00:00:00+00:00"
AGENT = "your-agent-id"
OUTPUT = "/data/synthflow"
CHROMIUM = shutil.which("chromium")
BY_EVENTS = [block for block in DAGS if "AssetWatcher" in block.text]
"""Started by asset events, which only a real scheduler has: see test_waiting_scheduler.py."""
RUN = [block for block in DAGS if block not in BY_EVENTS]
OF_RECORDINGS = [block for block in PROGRAMS if block.document.name == "recordings.md"]
COMMANDS = {
    document: [each for each in blocks_of(document, "sh") if re.search(r"^(airflow|export) ", each.text, re.MULTILINE)]
    for document in DOCUMENTS
    if document not in {TUTORIAL, *TRIED_ELSEWHERE}
}

PROGRAM = """
import json, sys
import pendulum
from airflow.dag_processing.dagbag import DagBag

bag = DagBag(sys.argv[1])
states = {}
for dag_id in sorted(set(bag.dag_ids) - set(sys.argv[3:])):
    states[dag_id] = str(bag.get_dag(dag_id).test(logical_date=pendulum.parse(sys.argv[2])).state)
print("\\nFOUND " + json.dumps({"errors": bag.import_errors, "states": states}))
"""


class Home:
    """
    An Airflow with all DAGs of the documents, and what became of each.

    :param folder: where all of it is
    :param url: the test server
    :param s3: the S3 API
    """

    def __init__(self, folder: Path, url: str, s3: S3Server) -> None:
        self.dags = folder / "dags"
        self.output = folder / "output"
        self.s3 = s3
        self.dags.mkdir()
        for block in DAGS:
            dag_id = dag_id_of(block)
            text = block.text.replace(OUTPUT, str(self.output / dag_id))
            (self.dags / f"{dag_id}.py").write_text(text, encoding="utf-8")
        self.airflow = AirflowHome(
            folder,
            {
                "AIRFLOW_CONN_AWS_LAKE": s3.connection(),
                "AIRFLOW_CONN_SYNTHFLOW_DEFAULT": json.dumps(
                    {"conn_type": "synthflow", "host": url, "password": TEST_KEY, "extra": {"hash_key": "a-key"}}
                ),
                "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
                "SYNTHFLOW_API_KEY": TEST_KEY,
            },
        )
        self.airflow.airflow("pools", "set", "synthflow", "4", "of the documents")
        done = self.airflow.run(
            "-c", PROGRAM, str(self.dags), RUN_AT, *(dag_id_of(block) for block in BY_EVENTS), timeout=400
        )
        self.found = read_marked(done.stdout)

    def manifests(self, dag_id: str) -> list[dict]:
        paths = (self.output / dag_id).rglob("to_date=*/_manifest.json")
        return [json.loads(path.read_bytes()) for path in paths] or [
            json.loads(self.s3.read(key)) for key in self.s3.objects() if key.endswith("_manifest.json")
        ]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    calls = make_calls(5, 100, agents=[AGENT], from_ms=FROM_MS, to_ms=FROM_MS + DAY_MS)
    with serve(SynthflowApi(calls)) as server, S3Server() as s3:
        yield Home(tmp_path_factory.mktemp("home"), server.url, s3)


@pytest.fixture(scope="module")
def serialized(home):
    """Let Airflow's database know all DAGs that the documents name."""
    for path in (ROOT / "example_dags").glob("*.py"):
        shutil.copy(path, home.dags)
    home.airflow.airflow("dags", "reserialize")


class TestDags:
    def test_all_parse(self, home):
        assert home.found["errors"] == {}

    @pytest.mark.parametrize("dag_id", [dag_id_of(block) for block in RUN])
    def test_runs_and_writes_the_day_that_ends_with_it(self, home, dag_id):
        assert home.found["states"][dag_id].rpartition(".")[2].lower() == "success"
        days = {manifest["from_date"][:10]: manifest["count"] for manifest in home.manifests(dag_id)}
        assert days["2026-01-05"] == 100

    def test_the_one_without_persons_has_none(self, home):
        (manifest,) = home.manifests("calls_without_persons")

        assert "transcript" in manifest["drop_fields"]
        assert "lead_phone_number" in manifest["hash_fields"]

    def test_the_one_that_reads_again_reads_seven_days(self, home):
        assert len(home.manifests("calls_again")) == 7

    def test_the_one_with_a_bucket_writes_there(self, home):
        assert [key.rpartition("/")[2] for key in home.s3.objects("synthflow/")] == ["_manifest.json", "calls.jsonl.gz"]
        assert not (home.output / "calls_to_a_bucket").exists()


def run_program(home: Home, block: Block, more: str = "") -> str:
    """Run a program over what the DAG before it wrote, and return what it prints."""
    before = [each for each in DAGS if each.document == block.document and each.line < block.line][-1]
    return home.airflow.run("-c", block.text.replace(OUTPUT, str(home.output / dag_id_of(before))) + more).stdout


@pytest.mark.parametrize("block", [each for each in PROGRAMS if each not in OF_RECORDINGS], ids=str)
def test_a_program_reads_what_the_dag_before_it_wrote(home, block):
    assert "100" in run_program(home, block)


class TestProgramsOfRecordings:
    def test_are_those_that_are_tried_here(self):
        assert len(OF_RECORDINGS) == 2

    def test_one_counts_each_call_in_one_status(self, home):
        printed = run_program(home, OF_RECORDINGS[0])

        counted = dict(re.findall(r"│ (stored|none|missing|forbidden) +│ +(\d+) │", printed))
        assert int(counted["stored"]) > 0
        assert sum(map(int, counted.values())) == 100, printed

    def test_one_keeps_a_recording_by_hand(self, home):
        manifest = next((home.output / "calls_and_recordings").rglob("_recordings.json"))
        item = next(item for item in json.loads(manifest.read_bytes())["items"] if item["status"] == "stored")

        run_program(home, OF_RECORDINGS[1], f"\nkeep({item['call_id']!r})\n")

        kept = home.output / "recordings_that_come_late" / f"{item['call_id']}.mp3"
        assert kept.read_bytes() == audio(item["call_id"])


class TestCommands:
    @pytest.mark.usefixtures("serialized")
    @pytest.mark.parametrize("document", [each for each in COMMANDS if COMMANDS[each]], ids=lambda path: path.stem)
    def test_end_well(self, home, document):
        script = "\n".join(["set -e", *(block.text for block in COMMANDS[document])])
        script = re.sub(r"^pip install .*$", "", script, flags=re.MULTILINE)  # tests/packaging does that

        done = subprocess.run(  # noqa: S603 - the documents' own commands
            ["/bin/bash", "-c", script], env=home.airflow.env, cwd=ROOT, capture_output=True, text=True, timeout=300,
            check=False,
        )  # fmt: skip

        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"

    def test_of_the_readme_make_a_connection_in_the_region(self, home):
        (command,) = [
            line
            for block in SHOWN
            if block.document.name == "README.md"
            for line in block.text.splitlines()
            if "connections add" in line
        ]
        subprocess.run(  # noqa: S603 - the README's own command
            ["/bin/bash", "-c", command.replace("synthflow_default", "of_the_readme")],
            env=home.airflow.env, check=True, capture_output=True, timeout=120,
        )  # fmt: skip

        (shown,) = json.loads(home.airflow.airflow("connections", "get", "of_the_readme", "-o", "json").stdout)
        assert shown["conn_type"] == "synthflow"
        assert json.loads(str(shown["extra_dejson"]).replace("'", '"')) == {"region": "eu"}


AUDITS = [
    line
    for block in SHOWN
    if block.document.name == "moving-from-global.md"
    for line in block.text.splitlines()
    if line.startswith("python -m airflow_provider_synthflow.audit ")
]


@pytest.mark.parametrize("command", AUDITS)
def test_an_audit_finds_no_fault_in_the_lake_of_a_dag_and_writes_its_report(home, command, tmp_path):
    for window in (home.output / "calls").glob("*/from_date=20260105*"):  # other documents write other days
        shutil.copytree(window, tmp_path / "lake" / window.parent.name / window.name)
    words = command.replace(OUTPUT, str(tmp_path / "lake")).split()

    done = home.airflow.run(*words[1:-1], str(tmp_path / words[-1]), check=False)

    assert done.returncode in {0, 1}, done.stderr  # 1: some of the made-up calls never end
    begun = set(re.findall(r"^\s*(\w+)", done.stdout, re.MULTILINE))
    assert not {"gap", "overlap", "damaged", "duplicate", "changed"} & begun
    assert (tmp_path / words[-1]).stat().st_size > 0


@pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium")
def test_the_site_is_searched_from_a_folder_without_a_server(tmp_path):
    built = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")]
    subprocess.run(built, cwd=ROOT, check=True, capture_output=True, timeout=120)  # noqa: S603 - our own program

    shown = subprocess.run(  # noqa: S603 - likewise
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=20000", "--dump-dom",
            f"file://{tmp_path}/site/index.html?q=retention",
        ],
        check=True, capture_output=True, text=True, timeout=180,
    )  # fmt: skip

    assert "security.html?h=retention" in shown.stdout  # a result; without the frame in a worker's place there is none
