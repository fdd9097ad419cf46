# SPDX-License-Identifier: Apache-2.0
"""The pages of a window, saved while it is read, so that a retry after a killed try reuses them."""
