# SPDX-License-Identifier: Apache-2.0
"""Run the tests against the built wheel, on every version of Airflow that is supported."""
