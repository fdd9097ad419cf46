# SPDX-License-Identifier: Apache-2.0
"""Find the store that an output path names: a local disk, or what Airflow's ObjectStoragePath knows."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.storage.address import FileAddress
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from airflow_provider_synthflow.storage.base import Store

__all__ = ["open_store", "to_path_text"]

_EXTRAS = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("abfs", "abfss", "adl", "az", "wasb"), "azure"),
}


_SCHEME = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+:/")


def to_path_text(path: Any, name: str = "output_path") -> str:
    """Return a path as text; an ObjectStoragePath with its connection in it."""
    if hasattr(path, "protocol"):  # an ObjectStoragePath
        text = str(path)
    elif isinstance(path, (str, os.PathLike)):
        text = str(os.fspath(path)).strip()
    else:
        msg = f"{name} must be a path or a URL, as text."
        raise SynthflowConfigError(msg)
    if FileAddress.parse(text).is_local and _SCHEME.match(text):
        msg = (
            f"{name} {text} is neither a URL nor a path on this disk: a URL has two slashes and a bucket behind them. "
            "Give it as text, since a pathlib.Path leaves one slash."
        )
        raise SynthflowConfigError(msg)
    return text


def open_store(output_path: str, output_conn_id: str | None = None, *, name: str = "output_path") -> Store:
    """Return the store of an output path."""
    address = FileAddress.parse(output_path)
    if address.is_local:
        if output_conn_id:
            msg = f"output_conn_id is set, but {name} is on a local disk, which needs none. Remove one of the two."
            raise SynthflowConfigError(msg)
        return LocalStore(output_path, name=name)
    conn_id = _find_connection(address, output_conn_id, name)
    if conn_id:
        _check_connection(conn_id, address.url, name)
    fs, root = _attach(address, conn_id, name)
    return ObjectStore(fs, root, address.url, name=name)


def _find_connection(address: FileAddress, output_conn_id: str | None, name: str) -> str | None:
    """Return the connection, wherever it stands."""
    within = address.within
    if ":" in within:
        msg = (
            f"{name} holds credentials. Keep them in an Airflow connection, and name that: {address.scheme}://conn_id@…"
        )
        raise SynthflowConfigError(msg)
    if within and output_conn_id and within != output_conn_id:
        msg = f"{name} names the connection '{within}' and output_conn_id '{output_conn_id}'. Remove one of the two."
        raise SynthflowConfigError(msg)
    if not address.bucket:
        msg = f"{name} {address.url} names no bucket. Write {address.scheme}://bucket/directory."
        raise SynthflowConfigError(msg)
    return within or output_conn_id


def _load_airflow() -> Any:
    """Return the part of Airflow that knows stores; a local disk needs none of it."""
    from airflow.providers.common.compat import sdk  # noqa: PLC0415 - the core needs no Airflow

    return sdk


def _check_connection(conn_id: str, url: str, name: str) -> None:
    """Raise where a connection is not there: the stores' libraries would go on without credentials."""
    airflow = _load_airflow()
    try:
        airflow.BaseHook.get_connection(conn_id)
    except airflow.AirflowNotFoundException:
        msg = (
            f"The connection '{conn_id}' of {name} {url} is not there. Create it, or correct output_conn_id. "
            f"(What stands before an @ in {name} is read as a connection.)"
        )
        raise SynthflowConfigError(msg) from None


def _attach(address: FileAddress, conn_id: str | None, name: str) -> tuple[Any, str]:
    """Return the file system that Airflow makes for a URL, and the URL's path in its own way."""
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
            "Correct output_conn_id and its credentials."
        )
    else:
        return found
    raise SynthflowConfigError(msg) from None
