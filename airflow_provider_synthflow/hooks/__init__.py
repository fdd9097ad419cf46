# SPDX-License-Identifier: Apache-2.0
"""The hook that holds a connection to Synthflow."""
