# SPDX-License-Identifier: Apache-2.0
"""A plugin of the tested Airflow that lets Synthflow's regions be test servers, which its API server can reach."""

from __future__ import annotations

import json
import os

from airflow_provider_synthflow.client.settings import REGIONS

REGIONS.update(json.loads(os.environ["REGIONS_OF_THE_TEST"]))
