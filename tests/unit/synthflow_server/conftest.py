# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tests.synthflow_server.fixtures import synthflow

__all__ = ["synthflow"]
