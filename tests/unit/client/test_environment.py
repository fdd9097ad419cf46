# SPDX-License-Identifier: Apache-2.0
"""What the environment says of the way to the API is told as what it is, alike by both clients."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_synthflow.client import environment
from airflow_provider_synthflow.client.async_client import AsyncSynthflowClient
from airflow_provider_synthflow.client.environment import read_proxy, trust
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowError, SynthflowTransientError
from tests.unit.client.making import make_client, make_settings

QUERY = CallsQuery("agent")
URL = "https://api.synthflow.test/v2"


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def errors(url=URL, **fields):
    """Ask for a page by each client, and return what both raise: the same."""
    settings = make_settings(url, max_attempts=1, conn_id="of_team_a", **fields)

    async def ask():
        async with AsyncSynthflowClient.open(settings) as client:
            await client.page(QUERY, 1, 0)

    with pytest.raises(SynthflowError) as at_once:
        make_client(url, max_attempts=1, conn_id="of_team_a", **fields).page(QUERY, 1, 0)
    with pytest.raises(SynthflowError) as later:
        asyncio.run(ask())
    assert str(at_once.value) == str(later.value)
    assert type(at_once.value) is type(later.value)
    assert str(at_once.value).startswith("Connection 'of_team_a': ")
    assert "secret-word" not in str(at_once.value)
    return at_once.value


@pytest.fixture
def proxy():
    """Give a function that starts a proxy with one answer to every request, and returns its address."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(answer):
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    def start(answer):
        threading.Thread(target=serve, args=(answer,), daemon=True).start()
        return f"http://name:secret-word@127.0.0.1:{listening.getsockname()[1]}"

    yield start
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("http://127.0.0.1:8080/v2", {"HTTP_PROXY": "http://p.test:3128"}, None),
        ("https://api.synthflow.ai/v2", {"HTTPS_PROXY": "http://p.test:3128"}, "http://p.test:3128"),
        ("https://api.synthflow.ai/v2", {"HTTPS_PROXY": "p.test:3128"}, "http://p.test:3128"),
        ("https://api.synthflow.ai/v2", {"ALL_PROXY": "http://p.test:3128"}, "http://p.test:3128"),
        ("https://api.synthflow.ai/v2", {"HTTPS_PROXY": "http://p.test:3128", "NO_PROXY": "synthflow.ai"}, None),
        ("https://api.synthflow.ai/v2", {}, None),
    ],
)
def test_a_proxy_is_taken_as_tasks_take_it(monkeypatch, url, environment, proxy):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    found = read_proxy(make_settings(url), "socks")

    assert (found.rstrip("/") if found else None) == proxy


@pytest.mark.parametrize(
    "address",
    [
        "gopher://name:secret-word@p.test",
        "http://",
        "http://p.test:port",
        "http://:3128",
        "http://[::1",
        "//",
        "http://p.test:0",
    ],
)
def test_a_proxy_whose_address_is_none_is_told_as_that(monkeypatch, address):
    monkeypatch.setenv("HTTPS_PROXY", address)
    error = errors()
    assert isinstance(error, SynthflowConfigError)
    assert "The proxy address in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is not valid" in str(error)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_socks_proxy_without_its_library_is_told_as_that(monkeypatch, name, scheme):
    monkeypatch.setenv(name, f"{scheme}://name:secret-word@p.test:1080")
    monkeypatch.setattr(environment, "find_spec", lambda _: None)
    error = errors()
    assert isinstance(error, SynthflowConfigError)
    assert f"The proxy {scheme}://p.test:1080 needs SOCKS support, which is not installed" in str(error)


def test_a_proxy_that_refuses_connections_is_named_and_not_the_api(monkeypatch):
    port = free_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://name:secret-word@127.0.0.1:{port}")
    error = errors()
    assert isinstance(error, SynthflowTransientError)
    assert f"The proxy http://127.0.0.1:{port} refused the connection: nothing listens there." in str(error)


def test_a_proxy_that_is_an_unknown_host_is_named_and_not_the_api(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://name:secret-word@proxy.invalid:3128")
    assert "The proxy http://proxy.invalid:3128 is an unknown host" in str(errors())


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (407, SynthflowConfigError, "requires a user name and a password (HTTP 407)"),
        (403, SynthflowConfigError, "blocks requests to api.synthflow.test (HTTP 403)"),
        (502, SynthflowTransientError, "cannot reach api.synthflow.test (HTTP 502)"),
    ],
)
def test_what_a_proxy_answers_in_place_of_the_api_is_told_as_the_proxys(monkeypatch, proxy, status, kind, text):
    monkeypatch.setenv("HTTPS_PROXY", proxy(b"HTTP/1.1 %d Odd\r\nContent-Length: 0\r\n\r\n" % status))
    error = errors()
    assert isinstance(error, kind)
    assert text in str(error)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, b"", b"no certificates"])
def test_certificates_that_cannot_be_read_are_told_with_their_path(monkeypatch, tmp_path, name, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(name, str(path))
    error = errors()
    assert isinstance(error, SynthflowConfigError)
    assert f"REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names {path}, which contains no readable certificates" in str(error)


def test_neither_proxy_nor_certificates_count_for_a_server_on_this_machine(monkeypatch, synthflow):
    monkeypatch.setenv("HTTP_PROXY", "gopher://p.test")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    assert make_client(synthflow().url).page(QUERY, 1, 0).rows == []


def test_certificates_are_read_once(monkeypatch):
    made = []
    create = environment.ssl.create_default_context
    monkeypatch.setattr(environment, "_trusted", {})
    monkeypatch.setattr(environment.ssl, "create_default_context", lambda *_, **how: made.append(how) or create(**how))
    threads = [threading.Thread(target=trust) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Serve empty pages over https, and give the address and the file of the authority that vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority of the tests")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority, pair = (tmp_path_factory.mktemp("tls") / file for file in ("ca.pem", "pair.pem"))
    authority.write_bytes(certificate.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pair.write_bytes(secret + authority.read_bytes())

    class EmptyPages(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = b'{"response":{"calls":[]}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    with ThreadingHTTPServer(("127.0.0.1", 0), EmptyPages) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}/v2", str(authority)
        server.shutdown()


def test_an_authority_that_the_environment_names_is_trusted_by_both_clients(monkeypatch, tls):
    url, authority = tls
    assert isinstance(errors(url), SynthflowConfigError)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority)
    assert make_client(url).page(QUERY, 1, 0).rows == []

    async def ask():
        async with AsyncSynthflowClient.open(make_settings(url)) as client:
            return await client.page(QUERY, 1, 0)

    assert asyncio.run(ask()).rows == []


def test_connections_of_all_threads_share_the_certificates(monkeypatch, tls):
    """To read them takes longer than a page does."""
    url, authority = tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority)
    monkeypatch.setattr(environment, "_trusted", {})
    read = []
    load = ssl.SSLContext.load_verify_locations
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *given: read.append(1) or load(*given))
    client = make_client(url)
    with ThreadPoolExecutor(4) as threads:
        pages = list(threads.map(lambda _: client.page(QUERY, 1, 0), range(8)))
    assert [page.rows for page in pages] == [[]] * 8
    assert read == [1]


# --- what breaks without a proxy


def test_a_refused_connection_is_told_as_that():
    port = free_port()
    error = errors(f"http://127.0.0.1:{port}/v2")
    assert isinstance(error, SynthflowTransientError)
    assert f"127.0.0.1:{port} refused the connection: nothing listens there." in str(error)


def test_an_unknown_host_is_told_as_that():
    error = errors("https://api.invalid/v2")
    assert isinstance(error, SynthflowTransientError)
    assert "api.invalid is an unknown host: its name does not resolve." in str(error)


def test_plain_http_where_tls_is_due_is_told_as_that(proxy):
    port = proxy(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").rpartition(":")[2]
    error = errors(f"https://127.0.0.1:{port}/v2")
    assert isinstance(error, SynthflowTransientError)
    assert "does not speak TLS correctly" in str(error)
