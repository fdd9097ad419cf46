# SPDX-License-Identifier: Apache-2.0
"""The recordings of a window's calls: which calls have one, and each of them once in a store."""
