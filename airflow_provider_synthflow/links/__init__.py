# SPDX-License-Identifier: Apache-2.0
"""Airflow's links from a task to where its calls are."""
