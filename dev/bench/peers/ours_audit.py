# SPDX-License-Identifier: Apache-2.0
"""The audit of a lake, as its command does it, without the API."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import Any

from peer import measure

from airflow_provider_synthflow.auditing.command import run_command


def audit(job: dict[str, str]) -> dict[str, Any]:
    """Audit the lake once, and return what was found."""
    output = io.StringIO()
    run_command([job["lake"], "--no-api", "--json", "--quiet"], output, lambda _: None)  # type: ignore[arg-type,return-value]
    found = json.loads(output.getvalue())
    return {"windows": found["windows"], "calls": found["calls"], "found": found["counts"]}


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    os.environ.update(asked["environment"])
    measure(lambda: audit(asked))
