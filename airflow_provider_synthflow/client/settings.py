# SPDX-License-Identifier: Apache-2.0
"""The settings of a connection: the API's address, the key, and the limits of a request."""

from __future__ import annotations

import contextlib
import difflib
import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["REGIONS", "Settings", "is_loopback"]

REGIONS: dict[str, str] = {
    "global": "https://api.synthflow.ai/v2",
    "us": "https://api.us.synthflow.ai/v2",
    "eu": "https://api.eu.synthflow.ai/v2",
}
"""The base URL of each workspace region, from Synthflow's documentation."""

_API_PATH = "/v2"


_EXTRA = ("region", "timeout", "max_response_bytes", "max_attempts", "hash_key", "allow_insecure")
_NAME = re.compile(r"\w[\w.-]*")
_PLAIN = re.compile(r"[\w.-]{1,40}")
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """The settings of a connection to the API."""

    base_url: str
    api_key: str = field(repr=False)
    region: str | None = None
    timeout: float = 60.0
    max_response_bytes: int = 256 * _MIB
    max_attempts: int = 6
    hash_key: str | None = field(default=None, repr=False)
    conn_id: str = field(default="synthflow_default", compare=False)

    @classmethod
    def from_connection(
        cls,
        *,
        password: str | None,
        host: str | None = None,
        schema: str | None = None,
        port: int | None = None,
        extra: Mapping[str, Any] | None = None,
        conn_id: str = "synthflow_default",
    ) -> Settings:
        """Read the fields of a connection."""
        extra = extra or {}
        with _named(conn_id):
            _check_names(extra)
            key = _key(password)
            region = _text(extra.get("region")) or "global"
            insecure = _flag(extra, "allow_insecure")
            if _text(host):
                base_url = _base_url(_text(host), _text(schema), port)
            elif region in REGIONS:
                base_url = REGIONS[region]
            else:
                msg = f"region {_quote(region)} is unknown. Set it to one of {', '.join(REGIONS)}, or set the host."
                raise SynthflowConfigError(msg)
            parts = urlsplit(base_url)
            if parts.scheme == "http" and not insecure and not is_loopback(parts.hostname or ""):
                raise SynthflowConfigError(
                    f"the key would go over plain http to {parts.hostname}. Use https, or set allow_insecure to true "
                    "in the connection's extra if you trust that network."
                )
            return cls(
                base_url=base_url,
                api_key=key,
                region=None if _text(host) else region,
                timeout=_number(extra, "timeout", 60.0),
                max_response_bytes=_count(extra, "max_response_bytes", 256 * _MIB),
                max_attempts=_count(extra, "max_attempts", 6),
                hash_key=_text(extra.get("hash_key")) or None,
                conn_id=conn_id,
            )

    def named_in_errors(self) -> contextlib.AbstractContextManager[None]:
        """Name the connection in the errors that are raised in the block; those that name it already stay."""
        return _named(self.conn_id)

    @property
    def is_global(self) -> bool:
        """Tell whether the API is asked in the region Global, which is being retired."""
        return urlsplit(self.base_url).hostname == urlsplit(REGIONS["global"]).hostname

    @property
    def uses_tls(self) -> bool:
        """Tell whether the API is asked over https."""
        return urlsplit(self.base_url).scheme == "https"

    @property
    def is_local(self) -> bool:
        """Tell whether the API is asked over plain http on this machine, as a test server is."""
        return not self.uses_tls and is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def host(self) -> str:
        """Return the API's host, with its port where it is not the scheme's own."""
        return urlsplit(self.base_url).netloc


@contextlib.contextmanager
def _named(conn_id: str) -> Iterator[None]:
    try:
        yield
    except SynthflowError as error:
        prefix = f"Connection '{conn_id}': "
        if conn_id and not str(error).startswith(prefix):
            error.args = (prefix + str(error),)
        raise


def _check_names(extra: Mapping[str, Any]) -> None:
    """Raise for an extra that would be ignored: a misspelt region sends the key to another one."""
    for name in extra:
        if name in _EXTRA:
            continue
        near = difflib.get_close_matches(str(name).lower(), _EXTRA, n=1)
        cure = f"Did you mean {near[0]}?" if near else f"Known fields: {', '.join(_EXTRA)}."
        raise SynthflowConfigError(f"its extra has an unknown field {_quote(name)}. {cure}")


def _quote(name: object) -> str:
    """Return what a person typed as an error may show it: a word, or nothing where it may be a secret."""
    text = str(name)
    return f"'{text}'" if _PLAIN.fullmatch(text) else "(not shown)"


def _key(password: str | None) -> str:
    key = _text(password)
    word, _, rest = key.partition(" ")
    if word.lower() == "bearer":  # pasted with the word that the header has before it
        key = rest.strip()
    if not key:
        raise SynthflowConfigError("it has no API key. Put your Synthflow key into its password field.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SynthflowConfigError("the API key contains a space or a character that no key has. Copy it again.")
    return key


def _base_url(host: str, schema: str, port: int | None) -> str:
    """Make a base URL of the pieces in which a connection may hold it."""
    is_protocol = schema.lower() in {"http", "https"}
    try:
        text = f"//[{ipaddress.IPv6Address(host)}]"  # a connection URI's host comes without its brackets
    except ValueError:
        text = host if "://" in host else f"//{host}"
    try:
        parts = urlsplit(text)
        own_port = parts.port
    except ValueError:
        parts, own_port = urlsplit(""), None
    name = parts.hostname or ""
    if not (_NAME.fullmatch(name) or ":" in name) or parts.username is not None or parts.query or parts.fragment:
        raise SynthflowConfigError(
            "the host is not an address, or contains credentials or parameters. Use a "
            f"base URL such as {REGIONS['eu']}, or a host alone."
        )
    scheme = parts.scheme or (schema.lower() if is_protocol else "")
    if not scheme:
        scheme = "http" if is_loopback(name) else "https"
    if scheme not in {"http", "https"}:
        raise SynthflowConfigError(f"the host's scheme is '{scheme}'. Use https.")
    path = parts.path.rstrip("/")
    if not path and schema and not is_protocol:
        path = "/" + schema.strip("/")
    shown = f"[{name}]" if ":" in name else name
    number = own_port if own_port is not None else port
    netloc = shown if number is None else f"{shown}:{number}"
    return f"{scheme}://{netloc}{path or _API_PATH}"


def is_loopback(name: str) -> bool:
    """Tell whether a host is this machine itself."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _flag(extra: Mapping[str, Any], name: str) -> bool:
    text = _text(extra.get(name)).lower()
    if text in {"", "false", "0", "no", "off"}:
        return False
    if text in {"true", "1", "yes", "on"}:
        return True
    raise SynthflowConfigError(f"{name} must be true or false.")


def _number(extra: Mapping[str, Any], name: str, default: float) -> float:
    number = _read_number(extra, name, default)
    if not 0.001 <= number < 1e6:
        raise SynthflowConfigError(f"{name} must be a number of seconds above 0.")
    return number


def _count(extra: Mapping[str, Any], name: str, default: int) -> int:
    number = _read_number(extra, name, default)
    if not 1 <= number < 1e15 or number != int(number):
        raise SynthflowConfigError(f"{name} must be a whole number from 1.")
    return int(number)


def _read_number(extra: Mapping[str, Any], name: str, default: float) -> float:
    """Read a number; NaN for what is none, the default for nothing."""
    try:
        return float(_text(extra.get(name)) or default)
    except ValueError:
        return float("nan")
