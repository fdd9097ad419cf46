# SPDX-License-Identifier: Apache-2.0
"""Have gcsfs speak to the emulator alone: it would ask Google itself, by gRPC, of what kind a bucket is."""

from __future__ import annotations

import os

os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
