# SPDX-License-Identifier: Apache-2.0
"""Places for files: a local disk, and object stores."""
