# SPDX-License-Identifier: Apache-2.0
"""Speak with Synthflow's API: settings, requests, answers, errors, retries. Plain Python, no Airflow."""
