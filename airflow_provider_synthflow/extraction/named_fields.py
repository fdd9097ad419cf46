# SPDX-License-Identifier: Apache-2.0
"""The fields that a user names, which may be misspelt: a typo must not store what was to be dropped."""

from __future__ import annotations

import logging
import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.output.call_schema import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, KeysView, Mapping

__all__ = ["KNOWN_FIELDS", "NamedFields"]

log = logging.getLogger(__name__)

KNOWN_FIELDS = frozenset(
    {
        *(column.name for column in COLUMNS),
        "model_id",
        # seen, or in Get a call alone
        "assistant_version",
        "custom_end_call_reason",
        "prompt_variables",
        "status",
        "telephony_ringing_duration",
        "telephony_sip_headers",
    }
)
"""The fields of a call that are documented, or were seen."""

_ALIKE = 0.75
_LEAST_PART = 4


class NamedFields:
    """The field names in a task's parameters, each of which should be a field of a call."""

    def __init__(self, named: Mapping[str, Iterable[str]], *, fails: bool = True) -> None:
        self.unseen = {
            name: parameter for parameter, names in named.items() for name in names if name not in KNOWN_FIELDS
        }
        self._fails = fails
        self._came: set[str] = set()

    def receive(self, fields: KeysView[str]) -> None:
        """Record the field names of a call."""
        self._came |= fields
        for name in fields & self.unseen.keys():
            del self.unseen[name]

    def check(self) -> list[str]:
        """Return the names that are no fields, each with a warning, or an error where it resembles a field."""
        for name, parameter in sorted(self.unseen.items()):
            alike = self._find_alike(name)
            if alike is not None and self._fails:
                raise SynthflowConfigError(
                    f"{parameter} names '{name}', which is neither a documented field nor in any call of the window. "
                    f"Nothing was written. If '{alike}' is meant, write that; else set on_unknown_field='warn'."
                )
            log.warning(
                "%s names '%s', which is neither a documented field nor in any call of the window.", parameter, name
            )
        return sorted(self.unseen)

    def _find_alike(self, name: str) -> str | None:
        """Return the field that a name resembles most, if any."""
        plain = _to_plain(name)
        best, alike = 0.0, None
        for field in sorted(KNOWN_FIELDS | self._came):
            other = _to_plain(field)
            ratio = SequenceMatcher(None, plain, other).ratio()
            if min(len(plain), len(other)) >= _LEAST_PART and (plain in other or other in plain):
                ratio = max(ratio, _ALIKE)
            if ratio > best:
                best, alike = ratio, field
        return alike if best >= _ALIKE else None


def _to_plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
