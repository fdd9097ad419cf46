# SPDX-License-Identifier: Apache-2.0
"""Metrics, OpenLineage and asset events of a window."""
