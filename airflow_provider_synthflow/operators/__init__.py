# SPDX-License-Identifier: Apache-2.0
"""The operator that extracts the calls of a window."""
