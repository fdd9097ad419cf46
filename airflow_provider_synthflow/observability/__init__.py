# SPDX-License-Identifier: Apache-2.0
"""What others are told of a window: metrics, OpenLineage, asset events."""
