# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

import airflow_provider_synthflow
from airflow_provider_synthflow import exceptions
from airflow_provider_synthflow.exceptions import (
    SynthflowAgentsError,
    SynthflowAgentsFatalError,
    SynthflowAuditError,
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowError,
    SynthflowIncompleteError,
    SynthflowOutputConflictError,
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowTransientError,
    SynthflowWindowError,
)

FAILS_WITHOUT_RETRY = {
    SynthflowConfigError,
    SynthflowAuthError,
    SynthflowWindowError,
    SynthflowRequestError,
    SynthflowAgentsFatalError,
    SynthflowAuditError,
}
PARENTS = {
    SynthflowError: AirflowException,
    SynthflowConfigError: SynthflowError,
    SynthflowAuthError: SynthflowConfigError,
    SynthflowWindowError: SynthflowConfigError,
    SynthflowRequestError: SynthflowError,
    SynthflowTransientError: SynthflowError,
    SynthflowProtocolError: SynthflowError,
    SynthflowIncompleteError: SynthflowError,
    SynthflowOutputConflictError: SynthflowError,
    SynthflowAuditError: SynthflowError,
    SynthflowAgentsError: SynthflowError,
    SynthflowAgentsFatalError: SynthflowAgentsError,
}
FIELDS = {
    SynthflowAuthError: {"status": 401, "request_id": "req-1"},
    SynthflowRequestError: {
        "status": 422,
        "request_id": "req-1",
        "parameters": ("limit",),
    },
    SynthflowTransientError: {"status": 429, "request_id": "req-1", "attempts": 6, "retry_after": 2.5},
    SynthflowProtocolError: {"call_ids": ("a", "b"), "request_id": "req-1", "attempts": 3, "retriable": True},
    SynthflowIncompleteError: {"expected": 7, "received": 6, "walks": 5},
    SynthflowOutputConflictError: {"path": "/lake/calls.jsonl", "differing": ("call_status",)},
    SynthflowAuditError: {"findings": ({"finding": "gap", "model_id": "agent-1"},)},
    SynthflowAgentsError: {"model_ids": ("agent-1",), "done": 3},
    SynthflowAgentsFatalError: {"model_ids": ("agent-1",), "done": 3},
}

SHELLS = {
    "hooks", "operators", "plugins", "sensors", "triggers", "links", "retry_policies", "get_provider_info.py",
}  # fmt: skip
"""What speaks with Airflow; all else of the package is plain Python."""
METRICS = ("observability", "metrics.py")
"""Sends to Airflow's metrics; the operators alone load it."""

BLOCKED = """
import importlib, json, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "airflow" or name.startswith("airflow."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
from airflow_provider_synthflow import exceptions
print(json.dumps({
    "airflow": [name for name in sys.modules if name == "airflow" or name.startswith("airflow.")],
    "fatal": [
        name for name in exceptions.__all__
        if issubclass(getattr(exceptions, name), exceptions.AirflowFailException)
    ],
    "rooted": all(
        issubclass(getattr(exceptions, name), exceptions.AirflowException) for name in exceptions.__all__
    ),
}))
"""


def core_modules():
    root = Path(airflow_provider_synthflow.__file__).parent
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root.parent).parts
        if parts[1] not in {*SHELLS, "example_dags"} and parts[1:] != METRICS:
            yield ".".join(parts).removesuffix(".py").removesuffix(".__init__")


def test_every_class_of_the_tree_is_exported_and_listed_here():
    assert sorted(exceptions.__all__) == sorted(each.__name__ for each in PARENTS)


@pytest.mark.parametrize("kind", PARENTS, ids=lambda kind: kind.__name__)
def test_each_error_hangs_below_its_parent_in_the_tree(kind):
    assert kind.__bases__[0] is PARENTS[kind]


@pytest.mark.parametrize("kind", PARENTS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("other", PARENTS, ids=lambda kind: kind.__name__)
def test_an_error_is_caught_by_its_ancestors_and_by_no_other_class(kind, other):
    ancestors = [kind]
    while ancestors[-1] in PARENTS:
        ancestors.append(PARENTS[ancestors[-1]])
    assert issubclass(kind, other) is (other in ancestors)


@pytest.mark.parametrize("kind", PARENTS, ids=lambda kind: kind.__name__)
def test_the_errors_that_no_retry_mends_fail_the_task_at_once_and_the_others_do_not(kind):
    assert issubclass(kind, AirflowFailException) is (kind in FAILS_WITHOUT_RETRY)


@pytest.mark.parametrize("kind", PARENTS, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling_with_its_text_and_all_its_fields(kind):
    fields = FIELDS.get(kind, {})
    error = kind("Say the cure.", **fields)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is kind
    assert str(copy) == str(error) == "Say the cure."
    for name, value in fields.items():
        assert getattr(copy, name) == getattr(error, name) == value


@pytest.mark.parametrize("kind", PARENTS, ids=lambda kind: kind.__name__)
def test_the_fields_of_an_error_need_not_be_given(kind):
    error = kind("Say the cure.")
    unset = {"done": 0, "attempts": 1, "retriable": False}
    unset |= dict.fromkeys(("call_ids", "differing", "parameters", "findings", "model_ids"), ())
    for name in FIELDS.get(kind, {}):
        assert getattr(error, name) == unset.get(name)


def test_the_whole_core_works_where_there_is_no_airflow():
    modules = list(core_modules())
    assert "airflow_provider_synthflow.extraction.extract" in modules
    assert "airflow_provider_synthflow.client.client" in modules
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", BLOCKED, json.dumps(modules)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(airflow_provider_synthflow.__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["airflow"] == []
    assert told["rooted"]
    assert sorted(told["fatal"]) == sorted(kind.__name__ for kind in FAILS_WITHOUT_RETRY)


@pytest.mark.parametrize(
    "hidden", ["\x00", "\x1b[31m", "\x7f", "\x9b", "\u202e", "\u2066", "\u200f", "\u2028", "\ufeff", "\ud83d"]
)
@pytest.mark.parametrize("kind", PARENTS, ids=lambda kind: kind.__name__)
def test_no_character_that_nobody_sees_leaves_with_an_error(kind, hidden):
    error = kind(f"before{hidden}after\nnext line: Grüße")
    assert hidden not in str(error)
    assert str(error).startswith("before\ufffd")
    assert str(error).endswith("after\nnext line: Grüße")


@pytest.mark.parametrize(
    "call_id", ["1776876567837x123", "5f3c1f0a-6f0d-4d0e-9c55-2f6a1b0c7d11", "a_b.c:d", "sha256:0f"]
)
def test_a_plain_id_is_shown(call_id):
    assert SynthflowError.show_id(call_id) == call_id
    assert SynthflowProtocolError("x", call_ids=[call_id]).call_ids == (call_id,)


@pytest.mark.parametrize("call_id", ["", "+4915112345678", "a b", "x\n", "\u202eabc", "é", "a/b", "a" * 201, 5, None])
def test_an_id_that_is_not_plain_is_not_shown(call_id):
    assert SynthflowError.show_id(call_id) == "(an id not shown)"
    if isinstance(call_id, str):
        assert SynthflowProtocolError("x", call_ids=["a", call_id]).call_ids == ("a",)
