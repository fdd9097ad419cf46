# SPDX-License-Identifier: Apache-2.0
"""Parameters as DAGs give them, read alike for the operators, the sensor, the trigger and the hook."""

from __future__ import annotations

import ast
import datetime as dt
import logging
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowWindowError
from airflow_provider_synthflow.storage.address import FileAddress, to_path_text
from airflow_provider_synthflow.timestamps import format_instant, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = [
    "FILTERS",
    "OUTPUT_FORMATS",
    "TABLES",
    "CheckedParameters",
    "Reader",
    "has_template",
    "is_nothing",
    "read_agent",
    "read_agents",
    "read_choice",
    "read_duration",
    "read_flag",
    "read_names",
    "read_parameter",
    "read_path",
    "read_seconds",
    "read_tables",
    "read_text",
    "read_time",
    "read_whole",
    "to_renderable",
]

log = logging.getLogger(__name__)

Reader: TypeAlias = "Callable[[Any, str], Any]"
"""Reads a value that is given, by the name of its parameter; what cannot be meant is a ValueError."""

OUTPUT_FORMATS = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet")
TABLES = ("turns", "actions", "variables", "judgements")

_TEMPLATE = r"(?s)\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}"  # compiled where it is used
_NOTHING = {"", "None", "[]", "{}", "()"}
_LOST_PART = r"(?:^|[/@=])(None|\[\]|\{\}|\(\))(?=[/@]|$)"
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def is_nothing(value: Any) -> bool:
    """Tell whether a value is none, as a template renders what is not there: None, what is empty, or their texts."""
    if isinstance(value, str):
        return value.strip() in _NOTHING
    return value is None or (isinstance(value, (list, tuple, set, frozenset, dict)) and not value)


def has_template(value: Any) -> bool:
    """Tell whether a value is known only once the task runs: it has a template, or is what another task returns."""
    if isinstance(value, str):
        return "{" in value and re.search(_TEMPLATE, value) is not None
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(has_template(each) for each in value)
    if isinstance(value, dict):
        return has_template(list(value.values()))
    if isinstance(value, os.PathLike):
        return has_template(str(value))
    return hasattr(value, "resolve")  # what another task returns, or is mapped over


def to_renderable(path: Any) -> Any:
    """Return a path so that Airflow renders templates in it: a ``pathlib.Path`` as text."""
    # Airflow takes a path for text that needs no rendering, and 3.1 also looks whether it is there.
    return os.fspath(path) if isinstance(path, os.PathLike) and not hasattr(path, "protocol") else path


def _read_list(value: Any) -> Any:
    """Return a value, and the list itself where a template rendered a list into a text."""
    if not _looks_like_list(value):
        return value
    try:
        found = ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value
    return list(found) if isinstance(found, (list, tuple, set)) else value


def _looks_like_list(value: Any) -> bool:
    return isinstance(value, str) and value.strip().startswith(("[", "(", "{"))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def read_text(value: Any, name: str) -> str:
    """Read one text."""
    if not isinstance(value, str) or _looks_like_list(value):
        raise ValueError(f"{name} must be a string, not {type(_read_list(value)).__name__}.")
    return value.strip()


def _read_phone_number(value: Any, name: str) -> str:
    """Read a telephone number; a template that renders native values makes an int of it, without its plus sign."""
    return f"+{value}" if _is_whole(value) and value > 0 else read_text(value, name)


def read_seconds(value: Any, name: str) -> int:
    """Read a whole number of seconds, also as text."""
    try:
        seconds = int(value)
    except (TypeError, ValueError, OverflowError):
        seconds = -1
    if seconds < 0 or isinstance(value, bool) or (isinstance(value, float) and seconds != value):
        raise ValueError(f"{name} must be a whole number of seconds.")
    return seconds


def read_whole(value: Any, name: str, *, least: int = 1) -> int:
    """Read a whole number."""
    if not _is_whole(value) or value < least:
        raise ValueError(f"{name} must be a whole number from {least}.")
    return int(value)


def read_flag(value: Any, name: str) -> bool:
    """Read True or False, also as the text that a template renders."""
    flag = _WORDS.get(str(value).strip().lower())
    if flag is None:
        raise ValueError(f"{name} must be True or False.")
    return flag


def read_choice(value: Any, name: str, *, choices: Sequence[str]) -> str:
    """Read one of some words."""
    if not isinstance(value, str) or value.strip() not in choices:
        raise ValueError(f"{name} '{value}' is unknown. Use one of {', '.join(choices)}.")
    return value.strip()


def read_duration(value: Any, name: str = "settle", *, least: int = 0) -> int:
    """Read a timedelta or a number of seconds into whole milliseconds."""
    if isinstance(value, dt.timedelta):
        milliseconds = round(value.total_seconds() * 1000)  # also for pendulum's, which cannot be divided
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        milliseconds = int(value * 1000) if math.isfinite(value) else -1
    else:
        milliseconds = -1
    if milliseconds < 0:
        raise ValueError(f"{name} must be a timedelta or a number of seconds, and not negative.")
    if milliseconds < least:
        raise ValueError(f"{name} must be {least / 1000:g} s or more.")
    return milliseconds


def read_time(value: Any, name: str) -> int:
    """Read an aware datetime, epoch milliseconds or ISO 8601 with a zone into UTC milliseconds since 1970."""
    return to_milliseconds(value, name=name)


def read_names(value: Any, name: str, *, choices: Sequence[str] = ()) -> tuple[str, ...]:
    """Read a list of names, or one text of names with commas, or of a list, as a template renders it."""
    value = _read_list(value)
    names = value.split(",") if isinstance(value, str) and not _looks_like_list(value) else value
    if not isinstance(names, (list, tuple, set, frozenset)) or not all(isinstance(each, str) for each in names):
        what = "names" if choices else "field names"
        raise ValueError(f"{name} must be a list of {what}, or one string of {what} with commas.")
    names = tuple(dict.fromkeys(each.strip() for each in names if not is_nothing(each)))
    for each in names if choices else ():
        read_choice(each, name, choices=choices)
    return names


def read_tables(value: Any, name: str = "tables") -> tuple[str, ...]:
    """Read names of tables; ``all`` means all of them."""
    names = read_names(value, name, choices=(*TABLES, "all"))
    return TABLES if "all" in names else names


def read_path(value: Any, name: str) -> str:
    """Read a path or a URL, of which no part is lost, as text."""
    if is_nothing(value):
        raise ValueError(f"{name} is missing, or came to nothing: give a path or a URL.")
    text = to_path_text(value, name)
    if lost := re.search(_LOST_PART, text):
        raise ValueError(f"{name} {text} contains {lost[1]}: a value that it is built from is missing.")
    return text


def read_agent(value: Any, name: str = "model_id") -> str:
    """Read the id of one agent."""
    if _is_whole(value):
        return str(value)  # as a template that renders native values makes it
    if _looks_like_list(value) or (isinstance(value, (list, tuple, set, frozenset)) and value):
        raise ValueError(f"{name} must be the id of one agent here, not a list.")
    if not isinstance(value, str) or is_nothing(value):
        raise ValueError(f"{name} is missing: give the id of an agent.")
    return value.strip()


def read_agents(value: Any, name: str = "model_id") -> list[str] | str:
    """Read the id of an agent, or a list of ids, each once."""
    value = _read_list(value)
    if isinstance(value, str) or _is_whole(value):
        if _looks_like_list(value):
            raise ValueError(f"{name} cannot be read as a list: give an id, or a list of ids.")
        return read_agent(value, name)
    try:
        agents = [] if isinstance(value, (bytes, Mapping)) else list(value)
    except TypeError:  # neither a text nor a list of any kind
        agents = []
    if not agents:
        raise ValueError(f"{name} is missing: give the id of an agent, or a list of ids that is not empty.")
    return list(dict.fromkeys(read_agent(agent, name) for agent in agents))


FILTERS: dict[str, Reader] = {
    "call_status": read_text,
    "duration_min": read_seconds,
    "duration_max": read_seconds,
    "lead_phone_number": _read_phone_number,
}
"""The API's filters: they alone may be empty, which is none."""


def read_parameter(read: Reader, value: Any, name: str) -> Any:
    """Read a parameter of a task."""
    try:
        return read(value, name)
    except ValueError as error:
        kind = SynthflowWindowError if read is read_time else SynthflowConfigError
        raise kind(str(error)) from None


class CheckedParameters:
    """The parameters of a task: checked in the DAG file where they are fixed there, and read when they are rendered."""

    readers: ClassVar[Mapping[str, Reader]] = {}
    required: ClassVar[tuple[str, ...]] = ("model_id",)

    template_fields: Any  # Airflow's own, by which it renders
    _given: dict[str, Any]

    def check_fixed(self) -> None:
        """Note what is given, and check what is fixed in the DAG file; at the end of the constructor."""
        self._given = {}
        fixed = {}
        for name in self.readers:
            value = getattr(self, name)
            if name not in self.required and is_nothing(value) and not isinstance(value, str):
                continue  # as by default
            self._given[name] = value if isinstance(value, str) else None
            is_fixed = name not in self.template_fields or not has_template(value)
            if is_fixed and not (name in FILTERS and is_nothing(value)):
                fixed[name] = self._read(name)
        _check_together(fixed)

    def read_parameters(self) -> dict[str, Any]:
        """Return all parameters, read; None for what is not given."""
        found = {name: self._read(name) for name in self.readers}
        _check_together(found)
        return found

    def _read(self, name: str) -> Any:
        value, read, template = getattr(self, name), self.readers[name], self._given.get(name)
        if is_nothing(value) and name not in self.required:
            if name not in self._given:
                return None
            if name in FILTERS:
                log.info("%s is empty: calls are not filtered by it.", name)
                return None
            written = f" ({template})" if has_template(template) else ""
            came = f"{name} is set, but rendered to nothing{written}."
            if read is read_time:
                raise SynthflowWindowError(f"{came} Give both from_date and to_date a value, or leave both out.")
            raise SynthflowConfigError(f"{came} Give it a value, or leave it out.")
        if template is not None and read is read_path and _has_lost(template, str(value)):
            raise SynthflowConfigError(
                f"A part of {name} rendered to nothing: {template} became {value}. Give each part a value."
            )
        if template is not None and read is read_time and _is_whole(value):
            value = str(value)  # digits, of which a template that renders native values makes a number
        found = read_parameter(read, value, name)
        if found == ():
            raise SynthflowConfigError(f"{name} is empty: {value!r}. Leave it out if you do not need it.")
        return found


def _check_together(found: Mapping[str, Any]) -> None:
    """Raise where values do not go together of which each is right."""
    begin, end = found.get("from_date"), found.get("to_date")
    if begin is not None and end is not None and begin >= end:
        msg = f"from_date {format_instant(begin)} is not before to_date {format_instant(end)}."
        raise SynthflowWindowError(f"{msg} Give the earlier one first: a window is [from_date, to_date).")
    least, most = found.get("duration_min"), found.get("duration_max")
    if least is not None and most is not None and least > most:
        msg = f"duration_min {least} is above duration_max {most}, so that no call fits."
        raise SynthflowConfigError(f"{msg} Lower the one or raise the other.")
    if found.get("output_path") is not None:
        FileAddress.parse(found["output_path"]).find_conn_id(found.get("output_conn_id"), "output_path")


def _has_lost(template: str, rendered: str) -> bool:
    """Tell whether a directory that a template's expressions alone make was rendered to nothing."""
    if "{%" in template:
        return False  # what its statements leave out is left out on purpose
    parts = re.sub(_TEMPLATE, "\0", template).split("/")
    made = [re.match(r"(?:[^\0]*=)?(?=\0+$)", part) for part in parts]  # of expressions alone, or key={{ … }}
    patterns = [
        re.escape(key[0]) + r"(?!/)\s*\S.*?" if key else ".*?".join(map(re.escape, part.split("\0")))
        for part, key in zip(parts, made, strict=True)
    ]
    leading = "/?" if made[0] else ""
    return any(made) and re.fullmatch(leading + "/".join(patterns), rendered, re.DOTALL) is None
