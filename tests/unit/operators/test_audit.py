# SPDX-License-Identifier: Apache-2.0
"""The audit as a task: its result, what fails it, and what it asks of the API."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_synthflow.exceptions import (
    SynthflowAuditError,
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowTransientError,
)
from airflow_provider_synthflow.operators.synthflow import SynthflowAuditOperator, SynthflowListCallsOperator
from tests.synthflow_server import Behaviour, Fault
from tests.unit.auditing.lakes import edit, make_lake
from tests.unit.making import AGENT, DAY, FROM_MS, HOUR, make_call, tree_of


def operator(lake, **arguments):
    return SynthflowAuditOperator(**{"task_id": "audit", "output_path": str(lake), "against_api": False, **arguments})


@pytest.fixture
def lake(synthflow, connect, tmp_path):
    """Extract three days of an agent from a test server."""
    calls = [make_call(f"c{day}-{number}", day * DAY + number * 3 * HOUR) for day in range(3) for number in range(4)]
    server = synthflow(calls)
    connect(server.url)
    for day in range(3):
        SynthflowListCallsOperator(
            task_id="extract",
            model_id=AGENT,
            from_date=FROM_MS + day * DAY,
            to_date=FROM_MS + (day + 1) * DAY,
            output_path=str(tmp_path / "lake"),
        ).execute({})
    return SimpleNamespace(path=tmp_path / "lake", server=server)


class TestResult:
    def test_of_a_whole_lake_has_counts_of_nothing(self, lake):
        result = operator(lake.path, against_api=True).execute({})

        assert set(result["counts"].values()) == {0}
        assert (result["windows"], result["calls"], result["findings"], result["report"]) == (3, 12, [], None)
        assert (result["from_date"], result["to_date"]) == ("2024-03-01T00:00:00.000Z", "2024-03-04T00:00:00.000Z")
        json.dumps(result)

    def test_names_the_first_hundred_findings_and_the_error_all(self, tmp_path):
        for window in make_lake(tmp_path, 120):
            edit(window, unsettled=1)

        result = operator(tmp_path).execute({})
        assert (result["counts"]["unsettled"], len(result["findings"])) == (120, 100)

        with pytest.raises(SynthflowAuditError) as caught:
            operator(tmp_path, fail_on=["unsettled"]).execute({})
        assert len(caught.value.findings) == 120
        assert set(caught.value.findings[0]) == {"finding", "model_id", "from_date", "to_date", "detail", "cure"}

    def test_leads_to_the_report_also_where_the_task_fails(self, tmp_path):
        windows = make_lake(tmp_path / "lake")
        (windows[1] / "calls.jsonl.gz").unlink()
        pushed = {}
        context = {"ti": SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))}
        report = tmp_path / "reports" / "audit.html"

        with pytest.raises(SynthflowAuditError):
            operator(tmp_path / "lake", report_path=str(report)).execute(context)

        assert report.read_text(encoding="utf-8").startswith("<!doctype html>")
        assert pushed == {"audit_report": str(report)}

    def test_writes_nothing_but_the_report(self, lake):
        before = tree_of(lake.path)

        operator(lake.path, against_api=True, report_path=f"{lake.path.parent}/reports/").execute({})

        assert tree_of(lake.path) == before
        assert [path.name for path in (lake.path.parent / "reports").iterdir()] == ["synthflow-audit.html"]


class TestFailing:
    def test_is_by_what_is_wrong_in_the_lake_itself(self, tmp_path):
        windows = make_lake(tmp_path)
        edit(windows[0], unsettled=1)
        assert operator(tmp_path).execute({})["counts"]["unsettled"] == 1

        (windows[1] / "_manifest.json").unlink()
        with pytest.raises(SynthflowAuditError, match="1 damaged, 1 unsettled") as caught:
            operator(tmp_path).execute({})
        assert "Cure: airflow tasks clear calls" in str(caught.value)
        assert isinstance(caught.value, AirflowFailException)
        assert pickle.loads(pickle.dumps(caught.value)).findings == caught.value.findings  # noqa: S301 - our own

    def test_is_by_what_fail_on_names(self, tmp_path):
        windows = make_lake(tmp_path)
        (windows[1] / "_manifest.json").unlink()

        assert operator(tmp_path, fail_on=()).execute({})["counts"]["damaged"] == 1
        assert operator(tmp_path, fail_on=("gap",)).execute({})["counts"]["damaged"] == 1

    @pytest.mark.parametrize("wrong", [{"fail_on": ["gaps"]}, {"fail_on": "hole"}, {"max_requests": -1}])
    def test_is_at_parse_time_for_what_the_dag_file_has_wrong(self, tmp_path, wrong):
        with pytest.raises(SynthflowConfigError):
            operator(tmp_path, **wrong)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"output_path": ""},
            {"output_path": None},
            {"output_path": "None"},
            {"report_path": " "},
            {"model_id": ""},
            {"model_id": [""]},
            {"model_id": "[]"},
            {"from_date": "None"},
            {"from_date": "yesterday"},
            {"from_date": FROM_MS, "to_date": FROM_MS},
            {"output_conn_id": "some"},
        ],
    )
    def test_is_without_a_retry_for_what_a_template_rendered_to_nothing(self, tmp_path, wrong):
        make_lake(tmp_path)

        with pytest.raises(SynthflowConfigError):
            operator(**{"lake": tmp_path, **wrong}).execute({})


class TestAgents:
    @pytest.mark.parametrize("named", ["agent-2", ["agent-2"], "['agent-2']", ("agent-2", "agent-2")])
    def test_are_those_that_are_named(self, tmp_path, named):
        make_lake(tmp_path, 2)
        make_lake(tmp_path, 3, agent="agent-2")

        assert operator(tmp_path, model_id=named).execute({})["windows"] == 3


class TestAgainstTheApi:
    def audit(self, lake, **arguments):
        return operator(lake.path, **{"against_api": True, **arguments}).execute({})

    def test_a_call_that_came_late_or_left_is_seen(self, lake):
        lake.server.api.add(make_call("late", DAY + HOUR))
        lake.server.api.remove("c2-3")

        result = self.audit(lake)

        changed = [(each["finding"], each["from_date"][:10]) for each in result["findings"]]
        assert changed == [("changed", "2024-03-02"), ("changed", "2024-03-03")]
        assert "1 more call" in result["findings"][0]["detail"]
        assert "1 fewer call" in result["findings"][1]["detail"]

    def test_running_the_window_again_cures_it(self, lake):
        lake.server.api.add(make_call("late", DAY + HOUR))
        SynthflowListCallsOperator(
            task_id="extract", model_id=AGENT, from_date=FROM_MS + DAY, to_date=FROM_MS + 2 * DAY,
            output_path=str(lake.path),
        ).execute({})  # fmt: skip

        assert self.audit(lake)["findings"] == []

    def test_running_the_window_again_cures_it_where_the_other_call_lies_beside_it(self, lake):
        lake.server.api.add(make_call("late", 3 * DAY + 60_000))  # in what is asked for beyond the last window
        assert self.audit(lake)["counts"]["changed"] == 1
        SynthflowListCallsOperator(
            task_id="extract", model_id=AGENT, from_date=FROM_MS + 2 * DAY, to_date=FROM_MS + 3 * DAY,
            output_path=str(lake.path),
        ).execute({})  # fmt: skip

        assert self.audit(lake)["findings"] == []

    def test_one_small_request_is_sent_for_each_window_with_what_was_asked_then(self, lake):
        earlier = [request.query for request in lake.server.api.requests_to("calls")]
        self.audit(lake)
        requests = [request.query for request in lake.server.api.requests_to("calls")][len(earlier) :]

        assert [query["limit"] for query in requests] == ["1"] * 3
        bounds = sorted((query["from_date"], query["to_date"]) for query in requests)
        assert bounds == sorted({(query["from_date"], query["to_date"]) for query in earlier})

    def test_of_more_windows_than_may_be_asked_the_newest_are(self, lake):
        lake.server.api.add(make_call("late", HOUR))
        lake.server.api.add(make_call("late-too", 2 * DAY + HOUR))

        result = self.audit(lake, max_requests=1)

        assert [each["from_date"][:10] for each in result["findings"]] == ["2024-03-03"]
        assert any("Not asked for again: 2 windows" in note for note in result["notes"])

    def test_a_manifest_without_what_was_asked_is_compared_by_the_window_s_own_calls(self, lake):
        for path in lake.path.rglob("_manifest.json"):
            edit(path.parent, asked=None, total_records=9)  # of a longer settle
        assert self.audit(lake)["findings"] == []

        lake.server.api.add(make_call("late", HOUR))
        assert [each["from_date"][:10] for each in self.audit(lake)["findings"]] == ["2024-03-01"]

    def test_a_server_without_totals_is_not_compared(self, lake):
        lake.server.api.behaviour = Behaviour(pagination="absent")

        result = self.audit(lake)

        assert result["findings"] == []
        assert any("declared no total" in note for note in result["notes"])

    def test_an_agent_that_the_api_does_not_know_any_more_is_named(self, lake):
        lake.server.api.arm(Fault(kind="status", route="calls", status=404, times=None))

        result = self.audit(lake)

        assert result["findings"] == []
        assert any("refuses" in note for note in result["notes"])

    def test_a_wrong_key_fails_the_task(self, lake, connect):
        connect(lake.server.url, password="another-key-0123456789")

        with pytest.raises(SynthflowAuthError):
            self.audit(lake)

    def test_a_failing_api_fails_the_task_after_the_report(self, lake, connect, tmp_path):
        connect(lake.server.url, extra={"max_attempts": 1})
        lake.server.api.arm(Fault(kind="status", route="calls", status=503, times=None))

        with pytest.raises(SynthflowTransientError):
            self.audit(lake, report_path=str(tmp_path / "audit.html"))
        assert "could not be asked to the end" in (tmp_path / "audit.html").read_text(encoding="utf-8")

    def test_a_retry_after_the_api_failed_reads_no_file_again(self, lake, connect, tmp_path):
        connect(lake.server.url, extra={"max_attempts": 1})
        lake.server.api.arm(Fault(kind="status", route="calls", status=503, times=1))
        paths = {"resume_path": str(tmp_path / "kept"), "report_path": str(tmp_path / "audit.html")}
        with pytest.raises(SynthflowTransientError):
            self.audit(lake, **paths)

        result = self.audit(lake, **paths)

        assert (result["windows"], result["findings"]) == (3, [])
        assert "Not read again, since an earlier try found them whole: 3 windows." in Path(result["report"]).read_text()
        assert list((tmp_path / "kept").iterdir()) == []

    def test_without_it_no_connection_is_needed(self, tmp_path):
        make_lake(tmp_path)

        assert operator(tmp_path, synthflow_conn_id="nowhere").execute({})["windows"] == 5
