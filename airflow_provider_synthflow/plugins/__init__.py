# SPDX-License-Identifier: Apache-2.0
"""The provider's page in Airflow's own UI."""
