# SPDX-License-Identifier: Apache-2.0
"""Rows that an analyst can query, made of the nested fields of stored calls: turns, actions, variables, judgements."""
