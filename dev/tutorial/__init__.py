# SPDX-License-Identifier: Apache-2.0
"""The trial of the tutorial, word by word."""
