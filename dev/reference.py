# SPDX-License-Identifier: Apache-2.0
"""Write docs/reference.md from the docstrings: ``make reference``."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from airflow_provider_synthflow import exceptions
from airflow_provider_synthflow.extraction.result import WindowResult
from airflow_provider_synthflow.hooks.synthflow import SynthflowHook
from airflow_provider_synthflow.links.synthflow import SynthflowAuditLink, SynthflowCallsLink, SynthflowOutputLink
from airflow_provider_synthflow.observability import metrics
from airflow_provider_synthflow.operators.synthflow import (
    SynthflowAuditOperator,
    SynthflowDownloadRecordingsOperator,
    SynthflowListAssistantsOperator,
    SynthflowListCallsOperator,
)
from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor
from airflow_provider_synthflow.triggers.synthflow import SynthflowNewCallsTrigger
from airflow_provider_synthflow.window import windows_of_run

__all__ = ["REFERENCE", "reference"]

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference.md"

_FIELD = re.compile(r"^:(param|return|raises)\s*([\w.]*):\s*", re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?([^`]+)`")

_RESULT = """\
## The result of the operator

An XCom `return_value`: a dictionary, or a list of them for a list of agents and for asset events. In both modes it
has `model_id`, `from_date`, `to_date` (ISO 8601 UTC with milliseconds: the key of the result), `count` (calls in
the window), `unsettled` (of them, not in a final status), `not_started` (calls without a start that are not final;
they come with the window in which they start), `total_records` (what the API declared for what was asked, which is
more than the window), `asked` (the bounds that were sent, in milliseconds since 1970), `query` (the filters), `pages`,
`requests`, `walks`, `changed`, `provider_version`, `extracted_at`; in a run also `dag_id`, `task_id`, `run_id` and
`logical_date`; and `unplaced` where final calls without a start were included, `details_missing` where Get a call did
not know some of the calls. Without `output_path` it also has
`calls`; with it `path`, `format`, `bytes` and `sha256`, and `changed` is false where the file was there with the
same bytes.

## The files of the operator

`<output_path>/model_id=<id>/from_date=20261123T000000Z/to_date=20261124T000000Z/calls.<format>`, and beside it
`_manifest.json`: the result without the calls, written last, so that where it is, the file is whole. Rows are sorted by
`start_time` and `call_id`; a repeated run over unchanged data gives the same bytes. JSON Lines hold each call as
received, one a line, less the dropped fields and with the hashed ones. A file that was made with other filters is never
overwritten.
"""

_RECORDINGS = """\
The result: `model_id`, `from_date` and `to_date` as those of the calls, `calls` (in the window), `recordings` and
`bytes` (stored), `none` (calls without a recording), `missing` (promised by the call's record, and not there),
`forbidden` (HTTP 403), `downloaded` (by this try) and `path`, the directory. A recording is the file
`<output_path>/model_id=<id>/from_date=…/to_date=…/recordings/<call_id>.<ext>`, and beside them stands
`_recordings.json`, written last: the result, and in `items` each call's `call_id`, `status` (`stored`, `none`,
`missing`, `forbidden`), `file`, `bytes`, `sha256` and `content_type`.
"""

_AUDIT = """\
An XCom `return_value`: `output_path`, `from_date`, `to_date`, `agents`, `windows`, `calls`, `files`, `bytes`,
`counts` (how many of each finding), `report` (where it is), `notes` (what was not looked at), `audited_at`,
`provider_version`, and `findings`: the first hundred, each with `finding`, `model_id`, `from_date`, `to_date`,
`detail` and `cure`. See [auditing a lake](howto/audit.md), which also has the command.
"""

_ERRORS = (
    "`from airflow_provider_synthflow.exceptions import …`; [what to do about each](errors.md). "
    "What an error was made with is also in its fields."
)


def reference() -> str:
    """Return the text of docs/reference.md."""
    parts = [
        "# Reference",
        "Written by `make reference` from the docstrings.",
        _class_text(SynthflowListCallsOperator),
        _RESULT.rstrip(),
        _class_text(SynthflowListAssistantsOperator),
        _class_text(SynthflowDownloadRecordingsOperator),
        _RECORDINGS.rstrip(),
        _class_text(SynthflowAuditOperator),
        _AUDIT.rstrip(),
        _class_text(SynthflowNewCallsSensor),
        "The XCom of the sensor: `model_id`, `from_date`, `count` and `newest_start_time`.",
        _class_text(SynthflowNewCallsTrigger),
        _class_text(SynthflowHook),
    ]
    for name, method in inspect.getmembers(SynthflowHook, inspect.isfunction):
        if not name.startswith("_") and name in vars(SynthflowHook):
            parts.append(_text(f"### `{name}{_signature(method)}`", method))
    parts.append(
        _text(
            f"## `windows_of_run`\n\n`from airflow_provider_synthflow.window import windows_of_run`\n\n"
            f"`windows_of_run{_signature(windows_of_run)}`",
            windows_of_run,
        )
    )
    parts.append("## Links")
    parts += [_text(f"### {link.name}", link) for link in (SynthflowCallsLink, SynthflowOutputLink, SynthflowAuditLink)]
    parts += ["## Metrics", _metrics()]
    parts += ["## Errors", _ERRORS]
    parts += [_error_text(getattr(exceptions, name)) for name in sorted(exceptions.__all__)]
    return "\n\n".join(parts) + "\n"


def _metrics() -> str:
    """Return the table of the metrics; what a counter counts is what the extraction says of its number."""
    numbers = {name: text for kind, name, text in _fields(WindowResult)[1] if kind == "param"}
    numbers |= {"recordings": "recordings downloaded", "recording_bytes": "bytes that came with recordings"}
    rows = [(name, "counter", numbers["count" if key == "calls" else key]) for key, name in metrics.COUNTERS.items()]
    rows.append((metrics.RECORDINGS_DURATION, "timer", "seconds until the recordings of a window were there"))
    rows.append((metrics.DURATION, "timer", "seconds from the first request of a window to its published file"))
    rows.append((metrics.FAILURES, "counter", "windows that failed, whatever the error; the tag `error` has its class"))
    return "\n".join(
        [
            "| name | kind | what |",
            "| --- | --- | --- |",
            *(f"| `{name}` | {kind} | {what} |" for name, kind, what in rows),
        ]
    )


def _error_text(kind: type[Exception]) -> str:
    base = next(each.__name__ for each in kind.__mro__[1:] if each.__name__ != "AirflowFailException")
    retried = "" if not issubclass(kind, exceptions.AirflowFailException) else " Airflow does not retry the task."
    return _text(f"### `{kind.__name__}`\n\nBelow `{base}`.{retried}", kind)


def _class_text(kind: type) -> str:
    module = re.sub(r"\.operators\.\w+$", ".operators.synthflow", kind.__module__)  # which hands on all operators
    return _text(f"## `{kind.__name__}`\n\n`from {module} import {kind.__name__}`", kind)


def _text(title: str, thing: Any) -> str:
    """Turn a docstring into Markdown: its prose, then a table of its parameters, then what it returns and raises."""
    prose, fields = _fields(thing)
    lines = [title, "", prose]
    parameters = [(name, text) for kind, name, text in fields if kind == "param"]
    if parameters:
        lines += ["", "| parameter | meaning |", "| --- | --- |"]
        lines += [f"| `{name}` | {text.replace('|', chr(92) + '|')} |" for name, text in parameters]
    for kind, name, text in fields:
        if kind == "return":
            lines += ["", f"Returns {text}."]
        elif kind == "raises":
            lines += ["", f"Raises `{name}`: {text}."]
    return "\n".join(lines)


def _fields(thing: Any) -> tuple[str, list[tuple[str, str, str]]]:
    """Take a docstring apart: its prose, and its fields as kind, name and text."""
    documented = _ROLE.sub(lambda match: f"`{match[1].rsplit('.', 1)[-1]}`", inspect.getdoc(thing) or "")
    pieces = _FIELD.split(documented.replace("``", "`"))
    fields = zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True)
    return pieces[0].strip(), [(kind, name, " ".join(text.split())) for kind, name, text in fields]


def _signature(method: Any) -> str:
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in inspect.signature(method).parameters.items()
        if name != "self"
    ]
    return str(inspect.Signature(parameters))


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
