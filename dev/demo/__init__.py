# SPDX-License-Identifier: Apache-2.0
"""The demonstration: the daily example DAG over a fortnight of calls, by a real Airflow, and a check of the files."""
