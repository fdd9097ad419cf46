# SPDX-License-Identifier: Apache-2.0
"""The public emulators of Google Cloud Storage and of Azure Blob Storage, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.stores.relay import Relay

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Azure", "Emulator", "Google"]

_ROOT = Path(__file__).resolve().parents[2]
_AZURITE = _ROOT / ".cache" / "stores" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
_PATIENCE = 60.0
_BUCKET = "lake"


class Emulator:
    """
    Run an emulator while the context lasts, with one bucket in it, behind a relay.

    :param folder: for its log, and its data
    """

    url = ""
    """The bucket, as an output path begins."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self.relay = Relay(self._port)

    def __enter__(self) -> Self:
        self._folder.mkdir()
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the emulator
                self._command(), cwd=self._folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                break
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.1)
        self.relay.__enter__()
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.relay.__exit__()
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def connection(self) -> str:
        """Return an Airflow connection to it, as JSON."""
        raise NotImplementedError

    def denied(self) -> str:
        """Return an Airflow connection that it does not let in, as JSON."""
        raise NotImplementedError

    def objects(self) -> list[str]:
        """Return the names of all objects in the bucket."""
        raise NotImplementedError

    def read(self, name: str) -> bytes:
        """
        Return an object's bytes.

        :param name: its name
        """
        raise NotImplementedError

    def unfinished(self) -> list[str]:
        """Return the names of the objects with an upload that has begun and not ended."""
        raise NotImplementedError

    def begin_upload(self, name: str) -> None:
        """
        Begin an upload in several requests, and leave it so.

        :param name: the object's name
        """
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _begin(self) -> None:
        """Make what must be there."""


class Google(Emulator):
    """Run ``gcp-storage-emulator``, by its JSON API; ``google_emulator.py`` looks at conditions, which it does not."""

    url = f"gs://{_BUCKET}"

    def connection(self) -> str:
        """Return an Airflow connection to it, as JSON."""
        extra = {"is_anonymous": True, "gcs.endpoint": f"http://127.0.0.1:{self.relay.port}"}
        return json.dumps({"conn_type": "google_cloud_platform", "extra": extra})

    def objects(self) -> list[str]:
        """Return the names of all objects in the bucket."""
        found = json.loads(self._get(f"storage/v1/b/{_BUCKET}/o"))
        return [each["name"] for each in found.get("items", ())]

    def read(self, name: str) -> bytes:
        """
        Return an object's bytes.

        :param name: its name
        """
        return self._get(f"storage/v1/b/{_BUCKET}/o/{quote(name, safe='')}?alt=media")

    def unfinished(self) -> list[str]:
        """Return the names of the objects with an upload that has begun and not ended."""
        state = json.loads((self._folder / "data" / ".cloudstorage" / ".meta").read_text())
        return [each["name"] for each in state["resumable"].values()]

    def begin_upload(self, name: str) -> None:
        """
        Begin an upload in several requests, and leave it so.

        :param name: the object's name
        """
        self._get(f"upload/storage/v1/b/{_BUCKET}/o?uploadType=resumable", json.dumps({"name": name}).encode())

    def _command(self) -> list[str]:
        program = str(Path(__file__).with_name("google_emulator.py"))
        where = ["--host", "127.0.0.1", "--port", str(self._port), "--default-bucket", _BUCKET]
        return [sys.executable, program, "--data-dir", str(self._folder / "data"), "start", "--quiet", *where]

    def _get(self, path: str, data: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/{path}", data)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
            body: bytes = answer.read()
        return body


class Azure(Emulator):
    """Run Azurite, by its blob service."""

    url = f"abfss://{_BUCKET}"
    _ACCOUNT = "devstoreaccount1"
    _KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

    def connection(self) -> str:
        """Return an Airflow connection to it, as JSON."""
        return json.dumps({"conn_type": "wasb", "extra": {"connection_string": self._text(self.relay.port, self._KEY)}})

    def denied(self) -> str:
        """Return an Airflow connection that it does not let in, as JSON."""
        wrong = self._text(self.relay.port, self._KEY[::-1].replace("==", "") + "==")
        return json.dumps({"conn_type": "wasb", "extra": {"connection_string": wrong}})

    def objects(self) -> list[str]:
        """Return the names of all objects in the bucket."""
        return [each.name for each in self._container.list_blobs()]

    def read(self, name: str) -> bytes:
        """
        Return an object's bytes.

        :param name: its name
        """
        data: bytes = self._container.download_blob(name).readall()
        return data

    def unfinished(self) -> list[str]:
        """Return the names of the objects with an upload that has begun and not ended."""
        found = []
        for blob in self._container.list_blobs(include=["uncommittedblobs"]):
            _, open_blocks = self._container.get_blob_client(blob.name).get_block_list("all")
            found += [blob.name] * bool(open_blocks)
        return found

    def begin_upload(self, name: str) -> None:
        """
        Begin an upload in several requests, and leave it so.

        :param name: the object's name
        """
        self._container.get_blob_client(name).stage_block("MDAwMQ==", b"half")

    def _text(self, port: int, key: str) -> str:
        end = f"BlobEndpoint=http://127.0.0.1:{port}/{self._ACCOUNT};"
        return f"DefaultEndpointsProtocol=http;AccountName={self._ACCOUNT};AccountKey={key};{end}"

    def _command(self) -> list[str]:
        where = ["--blobPort", str(self._port), "--location", str(self._folder / "data")]
        return ["node", str(_AZURITE), *where, "--silent", "--skipApiVersionCheck", "--disableTelemetry"]

    def _begin(self) -> None:
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - there in the environment of `make stores`

        service: Any = BlobServiceClient.from_connection_string(self._text(self._port, self._KEY))
        self._container = service.create_container(_BUCKET)
