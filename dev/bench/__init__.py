# SPDX-License-Identifier: Apache-2.0
"""Measure the extraction beside its floor and its peers, in one run: `make bench`."""
