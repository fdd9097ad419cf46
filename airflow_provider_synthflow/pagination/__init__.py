# SPDX-License-Identifier: Apache-2.0
"""All pages of a list, proven complete."""
