# SPDX-License-Identifier: Apache-2.0
"""How long the operator's import takes where `airflow.sdk` (on 2.11: `airflow.models`) is loaded already."""

from __future__ import annotations

import importlib
import json
import sys
import time

try:
    from airflow.sdk import DAG, BaseOperator
except ImportError:
    from airflow.models import DAG, BaseOperator  # noqa: F401 - likewise

OURS = "airflow_provider_synthflow.operators.synthflow"
assert OURS not in sys.modules
begun, cpu = time.perf_counter(), time.process_time()
importlib.import_module(OURS)

print(json.dumps({"seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu}))
