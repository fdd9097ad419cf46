# SPDX-License-Identifier: Apache-2.0
"""Parameters are read alike by every shell, refused in the DAG file where they are fixed there, and never lost."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

import pytest
from airflow.providers.common.compat.sdk import DAG
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowWindowError
from airflow_provider_synthflow.hooks.synthflow import SynthflowHook
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.output.formats import FORMATS
from airflow_provider_synthflow.parameters import (
    FILTERS,
    OUTPUT_FORMATS,
    TABLES,
    has_template,
    is_nothing,
    read_names,
)
from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor
from airflow_provider_synthflow.tables.table import TABLES as WRITTEN
from airflow_provider_synthflow.triggers.new_calls import NewCallsPolls
from tests.unit.making import AGENT, FROM, TO, make_call
from tests.unit.making_tasks import operator

NOTHING = [
    "{{ params.none }}",
    "{{ params.empty }}",
    "{{ params.blank }}",
    "{{ params.list }}",
    "{% if params.none %}x{% endif %}",
]
VALUES = {
    "none": None,
    "empty": "",
    "blank": " ",
    "list": [],
    "odd": b"+15550100001",
    "phone": "+15550100001",
    "id": "1234",
    "ms": "1709251200000",
}


def sensor(**arguments: Any) -> SynthflowNewCallsSensor:
    return SynthflowNewCallsSensor(**{"task_id": "new", "model_id": AGENT, "from_date": FROM, **arguments})


def render(make: Any, *, native: bool = False, **arguments: Any) -> Any:
    with DAG("templates", schedule=None, render_template_as_native_obj=native) as dag:
        one = make(**arguments)
    one.render_template_fields({"params": VALUES}, jinja_env=dag.get_template_env())
    return one


class TestEveryShell:
    """Operator, sensor, trigger and hook take and refuse the same."""

    SHELLS: ClassVar = {
        "operator": lambda value: operator(from_date=value),
        "sensor": lambda value: sensor(from_date=value),
        "trigger": lambda value: NewCallsPolls({"model_id": AGENT, "from_date": value})._make_poll(),
        "list_calls": lambda value: SynthflowHook().list_calls(AGENT, from_date=value),
        "list_calls_page": lambda value: SynthflowHook().list_calls_page(AGENT, from_date=value),
        "list_calls_window": lambda value: SynthflowHook().list_calls_window(AGENT, (value, TO)),
        "count_calls": lambda value: SynthflowHook().count_calls(AGENT, from_date=value),
    }

    @pytest.mark.parametrize("shell", SHELLS)
    @pytest.mark.parametrize(
        "value", ["1709251200", " 1709251200 ", "20240301", "1", "2024-03-01", "2024-03-01T00:00:00", "soon", 1.5, True]
    )
    def test_refuses_a_time_that_may_mean_another_one(self, connect, shell, value):
        connect(host="127.0.0.1:9")

        with pytest.raises((ValueError, SynthflowWindowError), match="from_date"):
            self.SHELLS[shell](value)

    @pytest.mark.parametrize("make", [operator, sensor], ids=["operator", "sensor"])
    @pytest.mark.parametrize(
        "arguments",
        [
            {"call_status": ["completed"]},
            {"call_status": "['completed']"},
            {"duration_min": "long"},
            {"duration_max": -1},
            {"duration_max": 1.5},
            {"lead_phone_number": ["+1"]},
            {"model_id": None},
            {"model_id": ""},
            {"model_id": 1.5},
            {"synthflow_conn_id": ""},
            {"synthflow_conn_id": 5},
            {"to_date": "2024-03-02"},
            {"call_status": {"status": "completed"}},
            {"from_date": "2024-03-02T00:00:00Z", "to_date": "2024-03-01T00:00:00Z"},
            {"duration_min": 10, "duration_max": 5},
        ],
        ids=str,
    )
    def test_refuses_in_the_dag_file_what_is_fixed_there(self, make, arguments):
        with pytest.raises(SynthflowConfigError, match=next(iter(arguments))):
            make(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"on_empty": "ignore"},
        {"on_empty": "{{ params.none }}"},
        {"output_format": "csv"},
        {"output_path": ""},
        {"output_path": "None/calls"},
        {"output_path": "s3://None/calls"},
        {"output_path": "[]"},
        {"output_path": 5},
        {"output_path": "s3:/lake/calls"},
        {"output_path": "s3://"},
        {"output_path": "s3://AKIA:secret@lake/calls"},
        {"output_conn_id": "lake", "output_path": "/lake/calls"},
        {"output_conn_id": "lake", "output_path": "s3://other@lake/calls"},
        {"from_date": None},
        {"model_id": {"agent": 1}},
        {"deferrable": "maybe"},
        {"resume_path": "s3://lake/None"},
        {"drop_fields": ["a", 1]},
        {"concurrency": 0},
        {"max_walks": True},
        {"settle": "1h"},
        {"max_xcom_bytes": "1"},
    ],
    ids=str,
)
def test_an_operator_refuses_in_the_dag_file_what_is_fixed_there(arguments):
    with pytest.raises(SynthflowConfigError, match="|".join(arguments)):
        operator(**arguments)


def test_what_does_not_go_together_is_refused_also_where_templates_made_it():
    one = operator(
        from_date="{{ params.to }}", to_date="{{ params.at }}", duration_min="{{ params.most }}", duration_max=1
    )
    one.render_template_fields({"params": {"to": TO, "at": FROM, "most": 2}})

    with pytest.raises(SynthflowWindowError, match="is not before"):
        one.execute({})


@pytest.mark.parametrize(("given", "meant"), [("yes", True), ("False", False), (0, False), (True, True)])
def test_deferrable_means_what_it_says_in_words_too(given, meant):
    assert operator(deferrable=given).deferrable is meant
    assert sensor(deferrable=given).deferrable is meant


def test_a_mapped_task_is_read_when_its_values_are_known():
    with DAG("mapped", schedule=None):
        SynthflowListCallsOperator.partial(task_id="calls", on_empty="write").expand(model_id=["a", "b"])


class TestNothing:
    @pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
    @pytest.mark.parametrize("template", NOTHING)
    @pytest.mark.parametrize(
        "parameter",
        [name for name in SynthflowListCallsOperator.template_fields if name not in FILTERS and name != "to_date"],
    )
    def test_that_a_given_parameter_is_rendered_to_is_an_error_and_never_its_default(
        self, serve, parameter, template, native
    ):
        handle = serve([make_call("a")])
        with pytest.raises(SynthflowConfigError, match=parameter):
            render(operator, native=native, **{parameter: template}).execute({})

        assert handle.api.requests == []

    @pytest.mark.parametrize("parameter", ["model_id", "from_date", "to_date", "synthflow_conn_id"])
    def test_is_an_error_of_the_sensor_too(self, serve, parameter):
        handle = serve([make_call("a")])
        with pytest.raises(SynthflowConfigError, match=parameter):
            render(sensor, **{parameter: "{{ params.none }}"}).execute({})

        assert handle.api.requests == []

    @pytest.mark.parametrize(
        "template",
        [
            "{{ params.none }}/calls",
            "{{ params.empty }}/calls",
            "/lake/{{ params.none }}/calls",
            "/lake/{{ params.empty }}/calls",
            "s3://{{ params.none }}/calls",
            "s3://{{ params.empty }}/calls",
            "s3://{{ params.none }}@bucket/calls",
            "/lake/{{ params.empty }}",
            "/lake/{{ params.blank }}/x",
            "/lake/tenant={{ params.none }}/calls",
            "/lake/tenant={{ params.empty }}/calls",
            "{{ params.list }}/calls",
        ],
    )
    @pytest.mark.parametrize("parameter", ["output_path", "resume_path"])
    def test_in_a_part_of_a_path_is_an_error(self, serve, parameter, template):
        handle = serve([make_call("a")])

        with pytest.raises(SynthflowConfigError, match=parameter):
            render(operator, **{parameter: template}).execute({})

        assert handle.api.requests == []

    def test_in_a_filter_is_no_filter_and_in_the_log(self, serve, caplog):
        handle = serve([make_call("a")])
        caplog.set_level("INFO")

        one = render(operator, **dict.fromkeys(FILTERS, "{{ params.none }}"))

        assert one.execute({})["query"] == {}
        assert not set(FILTERS) & set(handle.api.requests[0].query)
        assert all(f"{name} is empty" in caplog.text for name in FILTERS)


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("{{ params.base }}/calls", "/data/lake/calls"),
        ("{{ params.base }}/calls{{ params.empty }}", "/data/calls"),
        ("/lake/{% if params.none %}x/{% endif %}calls", "/lake/calls"),
        ("/lake/{{ '2026/11' }}/calls", "/lake/2026/11/calls"),
        ("/lake/{{ 'a' }}{{ '' }}/calls", "/lake/a/calls"),
    ],
)
def test_a_path_whose_parts_are_all_there_is_taken(template, rendered):
    one = operator(output_path=template)
    one.output_path = rendered

    assert one.read_parameters()["output_path"] == rendered


class TestNativeValues:
    def test_of_an_agent_s_digits_name_the_agent(self, serve):
        handle = serve([make_call("a", agent="1234")])

        assert render(operator, native=True, model_id="{{ params.id }}").execute({})["model_id"] == "1234"
        assert handle.api.requests[0].query["model_id"] == "1234"

    def test_of_a_telephone_number_are_asked_for_with_its_plus_sign(self, serve):
        handle = serve([make_call("a")])

        render(operator, native=True, lead_phone_number="{{ params.phone }}").execute({})

        assert handle.api.requests[0].query["lead_phone_number"] == VALUES["phone"]

    def test_of_milliseconds_are_a_time_and_of_seconds_are_none(self, serve):
        serve([make_call("a")])

        assert render(operator, native=True, from_date="{{ params.ms }}").execute({})["count"] == 1
        with pytest.raises(SynthflowWindowError, match="milliseconds"):
            render(operator, native=True, from_date="{{ 1709251200 }}").execute({})


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("make", [operator, sensor], ids=["operator", "sensor"])
def test_a_telephone_number_is_not_among_the_rendered_fields_whatever_its_type(make, native):
    one = render(make, native=native, lead_phone_number="{{ params.phone }}")

    assert "lead_phone_number" not in one.template_fields
    assert one.read_parameters()["lead_phone_number"] == VALUES["phone"]
    odd = render(make, native=native, lead_phone_number="{{ params.odd }}")
    assert "lead_phone_number" not in odd.template_fields


def test_the_formats_and_tables_are_those_that_are_written():
    assert tuple(FORMATS) == OUTPUT_FORMATS
    assert tuple(WRITTEN) == TABLES


def test_a_status_that_is_not_documented_is_warned_of_with_agent_and_statuses(serve, caplog):
    serve([make_call("a")])

    operator(call_status="complete").execute({})
    sensor(call_status="complete").poke({})

    warned = [record.getMessage() for record in caplog.records if "'complete'" in record.getMessage()]
    assert len(warned) >= 2
    assert all(AGENT in line and "completed" in line for line in warned)


@given(st.lists(st.text("abc_", min_size=1), min_size=1))
def test_names_are_the_same_as_a_list_as_its_text_and_with_commas(names):
    expected = read_names(names, "drop_fields")

    assert read_names(str(names), "drop_fields") == read_names(",".join(names), "drop_fields") == expected


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.timedeltas(), st.datetimes()))
def test_a_value_that_is_no_text_has_no_template_and_only_none_of_them_is_nothing(value):
    assert not has_template(value)
    assert is_nothing(value) is (value is None)


def test_what_another_task_returns_is_known_only_when_the_task_runs():
    with DAG("values", schedule=None):
        first = operator()
        second = operator(task_id="second", output_path=first.output, settle=dt.timedelta(hours=2))

    assert has_template(second.output_path)
