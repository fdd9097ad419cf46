# SPDX-License-Identifier: Apache-2.0
"""The audit of a lake: is all that was published still there, whole, and what the API has today?"""

from __future__ import annotations

__all__ = ["FAILING", "FINDINGS"]

# Nothing else stands here, since each DAG file with an audit loads it.
FINDINGS = {
    "gap": "time that no window covers",
    "overlap": "two windows of one format that share time",
    "damaged": "a file that is not there, or not as its manifest says",
    "duplicate": "a call in two windows that do not overlap",
    "unsettled": "a window published with calls that were not final",
    "changed": "the API has another total today for what was asked then",
    "differs": "a day whose count is not that of the API's analytics",
    "unrecorded": "calls that promise a recording which is not stored",
}
"""The kinds of findings, and what each is."""

FAILING = ("gap", "overlap", "damaged", "duplicate")
"""The kinds that are wrong in the lake itself; the others may be as they must."""
