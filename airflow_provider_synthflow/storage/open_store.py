# SPDX-License-Identifier: Apache-2.0
"""The store of an output path: a local disk, or any that Airflow's ObjectStoragePath knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.storage.address import FileAddress
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from airflow_provider_synthflow.storage.base import Store

__all__ = ["open_store"]

_EXTRAS = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("abfs", "abfss", "adl", "az", "wasb"), "azure"),
}


def open_store(output_path: str, output_conn_id: str | None = None, *, name: str = "output_path") -> Store:
    """Return the store of an output path."""
    address = FileAddress.parse(output_path)
    conn_id = address.find_conn_id(output_conn_id, name)
    if address.is_local:
        return LocalStore(output_path, name=name)
    if conn_id:
        _check_connection(conn_id, address.url, name)
    fs, root = _attach(address, conn_id, name)
    return ObjectStore(fs, root, address.url, name=name)


def _load_airflow() -> Any:
    """Return Airflow's part that knows stores, which a local disk does without."""
    from airflow.providers.common.compat import sdk  # noqa: PLC0415 - the core needs no Airflow

    return sdk


def _check_connection(conn_id: str, url: str, name: str) -> None:
    """Raise where a connection does not exist, since the stores' libraries would go on without credentials."""
    airflow = _load_airflow()
    try:
        airflow.BaseHook.get_connection(conn_id)
    except airflow.AirflowNotFoundException:
        raise SynthflowConfigError(
            f"The connection '{conn_id}' of {name} {url} does not exist (the part before an @ in {name} is one). "
            "Create it, or name another."
        ) from None


def _attach(address: FileAddress, conn_id: str | None, name: str) -> tuple[Any, str]:
    """Return Airflow's file system for a URL, and the path in it."""
    scheme, url = address.scheme, address.url
    extra = _EXTRAS.get(scheme)
    cure = (
        f"pip install 'airflow-provider-synthflow[{extra}]'"
        if extra
        else "the Airflow provider that brings it, or name a local path, s3://, gs:// or abfss://"
    )
    try:
        path = _load_airflow().ObjectStoragePath(url, conn_id=conn_id)
        found = path.fs, path.path
    except ImportError:
        msg = f"{name} begins with {scheme}://, and its file system is not installed. Install it: {cure}."
    except ValueError as error:
        if "filesystem" not in str(error) and "protocol" not in str(error).lower():
            msg = f"The connection of {name} {url} cannot be used ({type(error).__name__}). Correct its fields."
        else:
            msg = f"{name} begins with {scheme}://, which this Airflow does not know. Install it: {cure}."
    except Exception as error:  # noqa: BLE001 - each store's library has its own
        msg = (
            f"The connection of {name} {url} cannot be used ({type(error).__name__}). "
            "Correct its fields and its credentials."
        )
    else:
        return found
    raise SynthflowConfigError(msg) from None
