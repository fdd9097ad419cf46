# SPDX-License-Identifier: Apache-2.0
"""
How long the operator's import takes where `airflow.sdk` (on 2.11: `airflow.models`) is loaded already.

The package is compiled first, as pip compiles what it installs: a checkout is not, where the environment has
PYTHONDONTWRITEBYTECODE.
"""

from __future__ import annotations

import compileall
import importlib
import importlib.util
import json
import sys
import time

try:
    from airflow.sdk import DAG, BaseOperator
except ImportError:
    from airflow.models import DAG, BaseOperator  # noqa: F401 - likewise

OURS = "airflow_provider_synthflow.operators.synthflow"
PACKAGE = importlib.util.find_spec(OURS.partition(".")[0])
assert PACKAGE is not None
compileall.compile_dir(PACKAGE.submodule_search_locations[0], quiet=1)
assert OURS not in sys.modules
begun, cpu = time.perf_counter(), time.process_time()
importlib.import_module(OURS)

print(json.dumps({"seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu}))
