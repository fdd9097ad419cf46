# SPDX-License-Identifier: Apache-2.0
"""What Airflow does with a task after an error of this package."""
