# SPDX-License-Identifier: Apache-2.0
"""The audit as a command: what it says, where, and its exit status."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_synthflow.audit import main
from airflow_provider_synthflow.auditing.progress import LogProgress
from tests.unit.auditing.lakes import edit, make_lake
from tests.unit.making import AGENT, tree_of
from tests.versions import AIRFLOW

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "howto" / "audit.md"


@pytest.fixture
def lake(tmp_path):
    make_lake(tmp_path / "lake")
    return tmp_path / "lake"


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_whole_lake_is_status_0_and_a_sentence(lake, capsys):
    status, out, _ = run(capsys, lake, "--no-api")

    assert status == 0
    assert "5 windows of 1 agent with 15 calls" in out
    assert "Whole: nothing was found." in out


def test_what_else_runs_in_its_process_logs_as_before(lake, capsys):
    log = logging.getLogger("airflow_provider_synthflow")
    before = log.level

    assert [run(capsys, path, "--no-api")[0] for path in (lake, lake / "nothing")] == [0, 2]
    assert log.level == before


def test_a_finding_is_status_1_with_its_cure(lake, capsys):
    edit(next(lake.rglob("_manifest.json")).parent, count=9)

    status, out, _ = run(capsys, lake, "--no-api")

    assert status == 1
    assert "damaged" in out
    assert "cure: airflow tasks clear calls --task-regex extract" in out


def test_the_status_is_of_what_fail_on_names(lake, capsys):
    edit(next(lake.rglob("_manifest.json")).parent, unsettled=1)

    assert run(capsys, lake, "--no-api")[0] == 1
    assert run(capsys, lake, "--no-api", "--fail-on", "unsettled")[0] == 1
    assert run(capsys, lake, "--no-api", "--fail-on", "gap,damaged")[0] == 0


@pytest.mark.parametrize("harmed", [False, True])
def test_with_json_standard_output_holds_nothing_else_also_of_libraries(lake, harmed):
    if harmed:
        edit(next(lake.rglob("_manifest.json")).parent, count=9)
    # Some Airflows write to standard output themselves when they are loaded in their tests' mode.
    command = [sys.executable, "-m", "airflow_provider_synthflow.audit", str(lake), "--no-api", "--json"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own

    result = json.loads(done.stdout)
    assert done.returncode == int(harmed)
    assert (result["windows"], len(result["findings"])) == (5, int(harmed))


@pytest.mark.parametrize(
    "arguments",
    [
        ["{lake}/nowhere", "--no-api"],
        ["{lake}/empty", "--no-api"],
        ["{lake}/of-another-tool", "--no-api"],
        ["{lake}", "--no-api", "--report", "/proc/nowhere/audit.html"],
        ["{lake}", "--no-api", "--model-id", "agent-9"],
        ["{lake}", "--no-api", "--from", "2024-03-02", "--to", "2024-03-01"],
        ["{lake}", "--no-api", "--conn-id", "aws_default"],
        ["{lake}"],  # without a connection to the API
        ["nosuch://bucket/lake", "--no-api"],
        ["s3:/bucket/lake", "--no-api"],
    ],
)
def test_where_it_could_not_look_it_is_status_2_and_one_sentence(lake, capsys, arguments):
    (lake / "empty").mkdir()
    (lake / "of-another-tool" / "dt=2024-03-01").mkdir(parents=True)
    (lake / "of-another-tool" / "dt=2024-03-01" / "part-0.parquet").write_bytes(b"PAR1")

    status, out, err = run(capsys, *(argument.format(lake=lake) for argument in arguments))

    assert (status, out) == (2, "")
    assert err.strip().splitlines()[-1].endswith((".", ">", "…)", ")"))
    # Airflow 2.11 itself logs one for its database, which has no tables here.
    assert "Traceback" not in err or (AIRFLOW < (3, 0) and arguments == ["{lake}"])


def test_errors_speak_of_what_was_typed(lake, capsys):
    told = [
        run(capsys, lake / "nowhere", "--no-api")[2],
        run(capsys, lake, "--no-api", "--conn-id", "aws_default")[2],
        run(capsys, lake, "--no-api", "--report", lake)[2],
        run(capsys, lake, "--no-api", "--report", "/proc/nowhere/audit.html")[2],
    ]

    assert "output_conn_id" not in "".join(told)
    assert told[0].startswith(f"{lake}/nowhere holds nothing")
    assert told[1].startswith("PATH is on a local disk, which needs no connection: leave out 'aws_default'.")
    assert told[2].startswith(f"--report {lake} is a directory. Name a file in it, or put a slash at its end for ")
    assert told[3].startswith("--report /proc/nowhere cannot be written")


@pytest.mark.parametrize(
    ("options", "cure"), [((), "With --resume DIR"), (("--resume", "{kept}"), "same command again")]
)
def test_an_interruption_is_status_2_and_a_sentence(lake, capsys, monkeypatch, options, cure):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(LogProgress, "begin", interrupt)

    status, out, err = run(capsys, lake, "--no-api", *(each.format(kept=lake.parent / "kept") for each in options))

    assert (status, out) == (2, "")
    assert err.startswith("The audit was interrupted. ")
    assert cure in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fail-on", "holes"],
        ["--from", "soon"],
        ["--max-requests", "-1"],
        ["--no"],
        ["--report", " "],
        ["--fail-on", ""],
        ["--model-id", ""],
        ["--conn-id", ""],
        ["--resume", ""],
        ["--no-api", "--analytics"],
        ["--no-read", "--resume", "x"],
    ],
)
def test_words_that_it_does_not_know_are_status_2(lake, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(lake), *arguments])

    assert caught.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/usr/bin/setpriv"), reason="root may read all")  # noqa: PTH110
def test_no_right_to_read_is_status_2_and_a_sentence(lake):
    (lake / f"model_id={AGENT}").chmod(0)
    command = [sys.executable, "-m", "airflow_provider_synthflow.audit", str(lake), "--no-api"]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]  # root without its powers
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    (lake / f"model_id={AGENT}").chmod(0o755)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_it_asks_the_api_by_a_connection_of_the_environment(lake, capsys, synthflow, connect):
    server = synthflow([], assistants=[AGENT])
    connect(server.url, "other")

    status, out, _ = run(capsys, lake, "--synthflow-conn-id", "other", "--max-requests", "2")

    assert status == 1
    assert "2 changed" in out
    assert len(server.api.requests_to("calls")) == 2
    assert "Not asked for again: 3 windows" in out


def test_a_wrong_key_is_status_2(lake, capsys, synthflow, connect):
    connect(synthflow([], assistants=[AGENT]).url, password="another-key-0123456789")

    status, out, err = run(capsys, lake)

    assert status == 2
    assert "401" in err
    assert "another-key" not in out + err


def test_the_dag_is_named_where_manifests_do_not(lake, capsys):
    for path in lake.rglob("_manifest.json"):
        edit(path.parent, dag_id=None, task_id=None, run_id=None, logical_date=None, count=9)

    assert "clear my_dag --start-date 2024-03-01" in run(capsys, lake, "--no-api", "--dag-id", "my_dag")[1]
    assert "clear DAG_ID --start-date" in run(capsys, lake, "--no-api")[1]


def test_it_writes_nothing_but_the_report(lake, capsys, tmp_path):
    before = tree_of(lake)

    status, out, _ = run(capsys, lake, "--no-api", "--report", tmp_path / "a" / "audit.html")

    assert status == 0
    assert f"Report: {tmp_path}/a/audit.html" in out
    assert tree_of(lake) == before
    assert tree_of(tmp_path / "a").keys() == {"audit.html"}


def test_what_a_terminal_would_obey_is_not_written_to_it(tmp_path, capsys):
    hostile = "a\x1b[31m\u202eb\n"
    edit(make_lake(tmp_path, 2, agent=hostile)[0], count=9)

    _, out, err = run(capsys, tmp_path, "--no-api")

    assert not {"\x1b", "\u202e"} & {*out, *err}


def test_its_options_are_those_of_the_document(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out

    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `--"):
            for option in line.split("|")[1].replace("`", "").split(","):
                assert option.split()[0] in said if option.strip().startswith("--") else True
