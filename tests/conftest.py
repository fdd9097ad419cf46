# SPDX-License-Identifier: Apache-2.0
"""What all tests share: an Airflow home of their own, made before Airflow is imported, and the test server."""

from __future__ import annotations

import atexit
import json
import os
import tempfile
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_HOME = tempfile.TemporaryDirectory(prefix="synthflow-tests-")
atexit.register(_HOME.cleanup)

os.environ.update(
    {
        "AIRFLOW_HOME": _HOME.name,
        "AIRFLOW__CORE__DAGS_FOLDER": os.path.join(_HOME.name, "dags"),  # noqa: PTH118 - before any import
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME.name}/airflow.db",
    }
)
for _name in [name for name in os.environ if name.startswith(("AIRFLOW_CONN_", "SYNTHFLOW_"))]:
    del os.environ[_name]

import pytest  # noqa: E402 - the environment comes first

from tests.effort import DEFAULT_EXAMPLES  # noqa: E402 - likewise


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one worker more than there are processors: many tests wait for a server, and the others use the time."""
    return (os.cpu_count() or 1) + 1


try:
    import hypothesis
except ImportError:  # the environment of `make stores` has none
    pass
else:
    hypothesis.settings.register_profile("synthflow", max_examples=DEFAULT_EXAMPLES)
    hypothesis.settings.load_profile("synthflow")

pytest_plugins = ["tests.synthflow_server.fixtures", "tests.s3_server"]


def pytest_configure(config: pytest.Config) -> None:
    """
    Make warnings errors, on the Airflow that the project is developed with.

    Older ones warn of their own moved names, and take such a warning as an error for a missing connection.
    """
    if version("apache-airflow").startswith("3.3."):
        config.addinivalue_line("filterwarnings", "error")


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give a function that makes the Airflow connection to a test server."""

    def make(host: str, conn_id: str = "synthflow_default", **fields: Any) -> None:
        connection = {"conn_type": "synthflow", "host": host, "password": "test-key-0123456789", **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))

    return make
