# SPDX-License-Identifier: Apache-2.0
"""One window of calls: planned, read, kept and handed over."""
