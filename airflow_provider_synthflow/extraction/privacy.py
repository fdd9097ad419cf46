# SPDX-License-Identifier: Apache-2.0
"""Fields that are dropped from a call, or replaced by a keyed hash, before it is stored."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_synthflow.client.call import decode_record
from airflow_provider_synthflow.client.raw_json import TooDeepError, split_members
from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.extraction.named_fields import NamedFields
from airflow_provider_synthflow.parameters import read_names, read_parameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Privacy"]


class Privacy:
    """The fields to drop and to hash in each record before it is stored."""

    # A value has the same hash in every window and field, so that files can be joined. A null stays null, since its
    # hash would hide that there was nothing.

    def __init__(
        self,
        drop_fields: Sequence[str] = (),
        hash_fields: Sequence[str] = (),
        *,
        key: str | None = None,
        named: NamedFields | None = None,
    ) -> None:
        self.drop_fields = _read_names(drop_fields, "drop_fields")
        self.hash_fields = _read_names(hash_fields, "hash_fields")
        if self.hash_fields and not key:
            msg = (
                "hash_fields needs a secret key, and the connection has none. "
                "Set hash_key in the connection's extra, and keep it: another key gives other hashes."
            )
            raise SynthflowConfigError(msg)
        self._key = (key or "").encode()
        self.named = NamedFields({}) if named is None else named
        self._changes = bool(self.drop_fields or self.hash_fields)
        self._hides_ids = bool(self.hides(["call_id"]))
        self._ids: dict[str, str] | None = None

    def __bool__(self) -> bool:
        """Tell whether there is anything to change."""
        return self._changes

    def hides(self, names: Iterable[str]) -> list[str]:
        """Return those of some fields that are dropped or hashed."""
        return sorted({*self.drop_fields, *self.hash_fields} & set(names))

    def described(self) -> dict[str, list[str]]:
        """Return the dropped and the hashed fields, as results and manifests name them."""
        fields = {"drop_fields": self.drop_fields, "hash_fields": self.hash_fields}
        return {name: sorted(names) for name, names in fields.items() if names}

    def to_key(self, call_id: str) -> str:
        """Return a call's id, or a hash of it where ids are hidden."""
        if not self._hides_ids:
            return call_id
        key = self._mac(call_id.encode("utf-8", "surrogatepass"))
        if self._ids is not None:
            self._ids[key] = call_id
        return key

    def remember_ids(self) -> None:
        """Remember the ids behind the keys from now on."""
        self._ids = {}

    def to_id(self, key: str) -> str:
        """Return the id behind a key, after :meth:`remember_ids`."""
        return (self._ids or {}).get(key, key)

    def apply(self, raw: bytes) -> bytes:
        """Return a record without its dropped fields and with its hashed ones."""
        if not self._changes and not self.named.unseen:
            return raw
        fields = split_members(raw)  # the fields that stay keep their own bytes
        if self.named.unseen:
            self.named.receive(fields.keys())
        if not self._changes:
            return raw
        for name in self.drop_fields:
            fields.pop(name, None)
        for name in self.hash_fields:
            if fields.get(name, b"null") != b"null":
                fields[name] = self._hash(fields[name])
        return b"{%b}" % b",".join(b"%b:%b" % (_canonical(name), value) for name, value in fields.items())

    def _hash(self, raw: bytes) -> bytes:
        value = decode_record(b'{"":%b}' % raw)[""]
        data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else _canonical(value)
        return b'"%b"' % self._mac(data).encode()

    def _mac(self, data: bytes) -> str:
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()


def _canonical(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value, order="deterministic")
    except RecursionError:
        raise TooDeepError from None
    except (msgspec.MsgspecError, UnicodeError):  # half of a surrogate pair
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def _read_names(value: Sequence[str] | str, name: str) -> tuple[str, ...]:
    names: tuple[str, ...] = read_parameter(read_names, value, name) if value else ()
    return names
