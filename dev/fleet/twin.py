# SPDX-License-Identifier: Apache-2.0
"""A task once more, at the same time: the operator's own work for windows that somebody else is extracting, too."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator

__all__ = ["main"]


def main() -> int:
    """Say that it is ready, wait until a file names the windows, extract them, and write down the results."""
    ready, go, results = (Path(argument) for argument in sys.argv[1:])
    ready.touch()
    while not go.exists():
        time.sleep(0.01)
    operator = SynthflowListCallsOperator(task_id="twin", **json.loads(go.read_text()))
    results.write_text(json.dumps(operator.execute({})), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
