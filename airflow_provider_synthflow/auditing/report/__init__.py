# SPDX-License-Identifier: Apache-2.0
"""The report of an audit: one page that needs nothing but itself."""
