# SPDX-License-Identifier: Apache-2.0
"""Write the calls of a window into a file: its place, its format, and its publishing as a whole."""
