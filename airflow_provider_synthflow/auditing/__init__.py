# SPDX-License-Identifier: Apache-2.0
"""The audit of a lake: whether all that was published is there today, whole, and still what the API has."""
