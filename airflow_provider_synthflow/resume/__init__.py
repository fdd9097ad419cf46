# SPDX-License-Identifier: Apache-2.0
"""Keep the pages of a window that is being read, so that a retry after a killed try takes them up again."""
