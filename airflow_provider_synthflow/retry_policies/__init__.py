# SPDX-License-Identifier: Apache-2.0
"""Airflow's retries after an error of this package."""
