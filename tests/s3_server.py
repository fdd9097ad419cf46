# SPDX-License-Identifier: Apache-2.0
"""A real S3 API over HTTP for tests: moto's server on a free loopback port, whose requests can be made to fail."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Self
    from werkzeug.wrappers import Request, Response

__all__ = ["S3Server", "s3_server"]

_BUCKET = "lake"
_REGION = "us-east-1"
_KEY = "AKIATESTKEY"
_SECRET = "test-secret-0123456789"


class S3Server:
    """
    Serve S3 while the context lasts, with one bucket in it.

    ``requests`` holds what was asked for, as texts such as ``PUT /lake/key?uploads``; :attr:`fault`, where it is set,
    sees each request before it is served, and answers in its place or returns None.

    :param bucket: the bucket that is there
    :param port: the port; 0 takes a free one
    """

    def __init__(self, bucket: str = _BUCKET, *, port: int = 0) -> None:
        self.bucket = bucket
        self.requests: list[str] = []
        self.fault: Callable[[Request], Response | None] | None = None
        # Loaded here, since this file is a plugin of all tests.
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server  # noqa: PLC0415

        self._app = DomainDispatcherApplication(create_backend_app)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server("127.0.0.1", port, self._serve, threaded=True, request_handler=MotoRequestHandler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._lock = threading.Lock()
        self._active = 0
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        import boto3  # noqa: PLC0415 - likewise

        self._thread.start()
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=_REGION,
            aws_access_key_id=_KEY,
            aws_secret_access_key=_SECRET,
        )
        self.reset()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reset(self) -> None:
        """Empty the bucket, and forget faults and requests."""
        self.fault = None
        existing = {bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]}
        if self.bucket not in existing:
            self.client.create_bucket(Bucket=self.bucket)
        for key in self.objects():
            self.client.delete_object(Bucket=self.bucket, Key=key)
        for key, upload in self.uploads():
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
        self.requests.clear()

    def connection(self, **extra: Any) -> str:
        """
        Return an Airflow connection to this server, as JSON.

        :param extra: more fields of its extra, or others
        """
        fields = {"endpoint_url": self.url, "region_name": _REGION, **extra}
        return json.dumps({"conn_type": "aws", "login": _KEY, "password": _SECRET, "extra": fields})

    def objects(self, prefix: str = "") -> list[str]:
        """
        Return the keys of all objects.

        :param prefix: what they begin with
        """
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def read(self, key: str) -> bytes:
        """
        Return an object's bytes.

        :param key: its key
        """
        return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def uploads(self) -> list[tuple[str, str]]:
        """Return the unfinished multipart uploads: key and id."""
        found = self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())
        return [(each["Key"], each["UploadId"]) for each in found]

    def settle(self) -> None:
        """Wait until no request is being served, such as of a client that is gone."""
        deadline = time.monotonic() + 10
        quiet = 0
        while quiet < 3 and time.monotonic() < deadline:
            quiet = 0 if self._active else quiet + 1
            time.sleep(0.005)

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        from werkzeug.wrappers import Request  # noqa: PLC0415 - likewise

        request = Request(environ)
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        self.requests.append(f"{request.method} {request.path}{query}")
        with self._lock:
            self._active += 1
        try:
            return self._answer(request, environ, start_response)
        finally:
            with self._lock:
                self._active -= 1

    def _answer(self, request: Request, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self.fault:
            body = request.get_data()  # so that the fault may look at it, and the connection is good for more
            environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            answer = self.fault(request)
            if answer is not None:
                return answer(environ, start_response)
        return self._app(environ, start_response)


@pytest.fixture(scope="session")
def _one_s3_server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def s3_server(_one_s3_server: S3Server) -> S3Server:
    """Give a server with an empty bucket; the process has one, which the tests use one after the other."""
    _one_s3_server.reset()
    return _one_s3_server
