# SPDX-License-Identifier: Apache-2.0
"""Windows of time, and which of them a run reads."""

from airflow_provider_synthflow.window.run import RunWindows, windows_of_run
from airflow_provider_synthflow.window.window import Window

__all__ = ["RunWindows", "Window", "windows_of_run"]
