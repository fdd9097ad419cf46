# SPDX-License-Identifier: Apache-2.0
"""Is every call in exactly one window, whatever the server does: scenarios, trials, and a plain loop."""
