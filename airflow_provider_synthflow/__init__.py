# SPDX-License-Identifier: Apache-2.0
"""Bring every call of a Synthflow voice agent into Airflow: each in exactly one window, none lost, none twice."""

__all__ = ["__version__"]

__version__ = "0.1.0"
