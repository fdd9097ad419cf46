# SPDX-License-Identifier: Apache-2.0
"""Measure speed and memory."""
