# SPDX-License-Identifier: Apache-2.0
"""The trigger that waits for new calls in the triggerer."""
