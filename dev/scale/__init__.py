# SPDX-License-Identifier: Apache-2.0
"""A thousand deferred sensors in one triggerer."""
