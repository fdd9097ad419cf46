# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_synthflow.client.settings import REGIONS, Settings
from airflow_provider_synthflow.exceptions import SynthflowConfigError

KEY = "test-key-0123456789"


def settings(host=None, *, schema=None, port=None, password=KEY, **extra):
    return Settings.from_connection(password=password, host=host, schema=schema, port=port, extra=extra)


def test_without_anything_but_a_key_the_global_region_is_asked_as_the_contract_says():
    found = Settings.from_connection(password=KEY)
    assert found == Settings(
        base_url="https://api.synthflow.ai/v2",
        api_key=KEY,
        region="global",
        timeout=60.0,
        max_response_bytes=256 * 1024 * 1024,
        max_attempts=6,
        hash_key=None,
    )


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("global", "https://api.synthflow.ai/v2"),
        ("us", "https://api.us.synthflow.ai/v2"),
        ("eu", "https://api.eu.synthflow.ai/v2"),
        ("", "https://api.synthflow.ai/v2"),
        (None, "https://api.synthflow.ai/v2"),
        (" eu ", "https://api.eu.synthflow.ai/v2"),
    ],
)
def test_the_region_says_where_the_api_is(region, url):
    found = settings(region=region)
    assert (found.base_url, found.region) == (url, (region or "").strip() or "global")


def test_an_unknown_region_is_an_error_that_names_the_known_ones():
    with pytest.raises(SynthflowConfigError, match=r"region 'mars' is unknown.*global, us, eu"):
        settings(region="mars")


@pytest.mark.parametrize(
    ("pieces", "url"),
    [
        ({"host": "https://api.eu.synthflow.ai/v2"}, "https://api.eu.synthflow.ai/v2"),
        ({"host": "https://api.eu.synthflow.ai/v2/"}, "https://api.eu.synthflow.ai/v2"),
        ({"host": "https://api.eu.synthflow.ai"}, "https://api.eu.synthflow.ai/v2"),
        ({"host": "https://api.eu.synthflow.ai/"}, "https://api.eu.synthflow.ai/v2"),
        ({"host": "api.eu.synthflow.ai"}, "https://api.eu.synthflow.ai/v2"),
        ({"host": " api.eu.synthflow.ai "}, "https://api.eu.synthflow.ai/v2"),
        ({"host": "API.EU.Synthflow.ai"}, "https://api.eu.synthflow.ai/v2"),
        ({"host": "api.eu.synthflow.ai/v3"}, "https://api.eu.synthflow.ai/v3"),
        ({"host": "https://proxy.test/synthflow/v2"}, "https://proxy.test/synthflow/v2"),
        ({"host": "api.eu.synthflow.ai:8443"}, "https://api.eu.synthflow.ai:8443/v2"),
        ({"host": "api.eu.synthflow.ai", "port": 8443}, "https://api.eu.synthflow.ai:8443/v2"),
        ({"host": "api.eu.synthflow.ai:8443", "port": 1}, "https://api.eu.synthflow.ai:8443/v2"),
        ({"host": "api.eu.synthflow.ai", "schema": "https"}, "https://api.eu.synthflow.ai/v2"),
        ({"host": "api.eu.synthflow.ai", "schema": "HTTPS", "port": 443}, "https://api.eu.synthflow.ai:443/v2"),
        ({"host": "api.eu.synthflow.ai", "schema": "v2"}, "https://api.eu.synthflow.ai/v2"),
        ({"host": "api.eu.synthflow.ai", "schema": "v3/"}, "https://api.eu.synthflow.ai/v3"),
        ({"host": "https://api.eu.synthflow.ai/v2", "schema": "v3"}, "https://api.eu.synthflow.ai/v2"),
        ({"host": "https://api.eu.synthflow.ai", "schema": "http"}, "https://api.eu.synthflow.ai/v2"),
        ({"host": "127.0.0.1:8080"}, "http://127.0.0.1:8080/v2"),
        ({"host": "127.0.0.1", "port": 8080}, "http://127.0.0.1:8080/v2"),
        ({"host": "127.0.0.1", "port": 8080, "schema": "https"}, "https://127.0.0.1:8080/v2"),
        ({"host": "localhost:8080"}, "http://localhost:8080/v2"),
        ({"host": "http://localhost:8080"}, "http://localhost:8080/v2"),
        ({"host": "http://127.8.9.10:8080/v2"}, "http://127.8.9.10:8080/v2"),
        ({"host": "[::1]:8080"}, "http://[::1]:8080/v2"),
        ({"host": "::1", "port": 8080}, "http://[::1]:8080/v2"),
        ({"host": "2001:db8::7"}, "https://[2001:db8::7]/v2"),
        ({"host": "http://[::1]:8080/v2"}, "http://[::1]:8080/v2"),
    ],
    ids=str,
)
def test_every_form_of_a_host_gives_the_base_url(pieces, url):
    found = settings(**pieces)
    assert found.base_url == url
    assert found.region is None


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("synthflow://:key@api.eu.synthflow.ai", "https://api.eu.synthflow.ai/v2"),
        ("synthflow://:key@api.eu.synthflow.ai/v2", "https://api.eu.synthflow.ai/v2"),
        ("synthflow://:key@api.eu.synthflow.ai:443/v2", "https://api.eu.synthflow.ai:443/v2"),
        ("synthflow://:key@api.eu.synthflow.ai/https", "https://api.eu.synthflow.ai/v2"),
        ("synthflow://:key@127.0.0.1:8080", "http://127.0.0.1:8080/v2"),
        ("synthflow://:key@127.0.0.1:8080/http", "http://127.0.0.1:8080/v2"),
        ("synthflow://:key@[::1]:8080", "http://[::1]:8080/v2"),
        ("synthflow://:key@https%3A%2F%2Fapi.eu.synthflow.ai%2Fv2", "https://api.eu.synthflow.ai/v2"),
        ("synthflow://https://:key@api.eu.synthflow.ai/v2", "https://api.eu.synthflow.ai/v2"),
        ("synthflow://:key@/?region=us", "https://api.us.synthflow.ai/v2"),
    ],
)
def test_the_pieces_of_a_connection_uri_give_the_base_url(monkeypatch, uri, url):
    monkeypatch.setenv("AIRFLOW_CONN_OF_A_URI", uri)
    connection = BaseHook.get_connection("of_a_uri")
    found = Settings.from_connection(
        password=connection.password,
        host=connection.host,
        schema=connection.schema,
        port=connection.port,
        extra=connection.extra_dejson,
    )
    assert (found.base_url, found.api_key) == (url, "key")


@pytest.mark.parametrize(
    "host",
    [
        "https://user:pass-word@api.synthflow.ai",
        "user@api.synthflow.ai",
        "api.synthflow.ai?key=hush",
        "api.synthflow.ai#hush",
        "https://",
        "https:///v2",
        ":8080",
        "api.synthflow.ai:port",
        "api.synthflow.ai:99999",
        "exa mple.test",
        ".synthflow.ai",
        "api.synthflow.ai\x00",
        "api'synthflow.ai",
        "[::1",
    ],
)
def test_a_host_that_is_no_address_is_an_error_that_does_not_repeat_it(host):
    with pytest.raises(SynthflowConfigError, match="the host is not an address") as caught:
        settings(host)
    assert "hush" not in str(caught.value)
    assert "pass-word" not in str(caught.value)


def test_another_scheme_than_http_is_an_error():
    with pytest.raises(SynthflowConfigError, match=r"scheme is 'ftp'\. Use https"):
        settings("ftp://api.synthflow.ai")


@pytest.mark.parametrize(
    "pieces",
    [
        {"host": "http://api.synthflow.ai"},
        {"host": "api.synthflow.ai", "schema": "http"},
        {"host": "HTTP://10.0.0.1"},
        {"host": "http://localhost.evil.test"},
        {"host": "http://127.0.0.1.evil.test"},
        {"host": "http://[2001:db8::7]"},
    ],
    ids=str,
)
def test_the_key_goes_over_plain_http_to_another_machine_only_where_that_is_allowed(pieces):
    with pytest.raises(SynthflowConfigError, match=r"plain http.*allow_insecure"):
        settings(**pieces)
    with pytest.raises(SynthflowConfigError, match="plain http"):
        settings(**pieces, allow_insecure=False)
    assert settings(**pieces, allow_insecure=True).base_url.startswith("http://")


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        *[(value, True) for value in (True, "true", "True", 1, "yes", "on")],
        *[(value, False) for value in (False, "false", 0, "", None, "no", "off")],
    ],
)
def test_allow_insecure_may_be_written_as_a_text(value, allowed):
    if allowed:
        assert settings("http://10.0.0.1", allow_insecure=value).base_url == "http://10.0.0.1/v2"
    else:
        with pytest.raises(SynthflowConfigError, match="plain http"):
            settings("http://10.0.0.1", allow_insecure=value)


def test_an_allow_insecure_that_is_neither_true_nor_false_is_an_error():
    with pytest.raises(SynthflowConfigError, match="allow_insecure must be true or false"):
        settings(allow_insecure="maybe")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("timeout", 5, 5.0),
        ("timeout", "0.5", 0.5),
        ("timeout", " 30 ", 30.0),
        ("timeout", "", 60.0),
        ("timeout", None, 60.0),
        ("max_response_bytes", "1000", 1000),
        ("max_response_bytes", 2**40, 2**40),
        ("max_response_bytes", "", 256 * 1024 * 1024),
        ("max_attempts", 1, 1),
        ("max_attempts", "10", 10),
        ("max_attempts", 3.0, 3),
        ("max_attempts", "", 6),
        ("max_attempts", None, 6),
    ],
)
def test_numbers_come_as_numbers_or_as_texts(name, value, expected):
    found = getattr(settings(**{name: value}), name)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", 0),
        ("timeout", -1),
        ("timeout", "soon"),
        ("timeout", "nan"),
        ("timeout", "inf"),
        ("timeout", True),
        ("timeout", [5]),
        ("max_response_bytes", 0),
        ("max_response_bytes", -5),
        ("max_response_bytes", "256 MiB"),
        ("max_response_bytes", 1.5),
        ("max_attempts", 0),
        ("max_attempts", -1),
        ("max_attempts", 1.5),
        ("max_attempts", "many"),
        ("max_attempts", "nan"),
        ("max_attempts", "inf"),
    ],
)
def test_a_number_that_makes_no_sense_is_an_error_that_names_it(name, value):
    with pytest.raises(SynthflowConfigError, match=f"{name} must be a"):
        settings(**{name: value})


@pytest.mark.parametrize("password", [KEY, f" {KEY}\n", f"Bearer {KEY}", f"bearer  {KEY}"])
def test_a_key_is_taken_as_people_paste_it(password):
    assert settings(password=password).api_key == KEY


@pytest.mark.parametrize("password", [None, "", "  ", "Bearer  \n "])
def test_a_missing_key_is_an_error_that_says_where_it_goes(password):
    with pytest.raises(SynthflowConfigError, match=r"'synthflow_default': it has no API key.*password"):
        settings(password=password)


@pytest.mark.parametrize("password", ["two words", "line\nbreak", "tab\there", "clé", "zero\u200bwidth", "nul\0"])
def test_a_key_that_cannot_be_one_is_an_error_that_does_not_repeat_it(password):
    with pytest.raises(SynthflowConfigError, match="Copy it again") as caught:
        settings(password=password)
    assert password not in str(caught.value)


@pytest.mark.parametrize(("value", "expected"), [("hush", "hush"), ("", None), (None, None), (" hush ", "hush")])
def test_the_hash_key_is_optional(value, expected):
    assert settings(hash_key=value).hash_key == expected


def test_errors_name_the_connection():
    with pytest.raises(SynthflowConfigError, match="Connection 'other'"):
        Settings.from_connection(password=None, conn_id="other")


@pytest.mark.parametrize("write", [repr, str, "{}".format, lambda found: json.dumps(found, default=repr)])
def test_no_text_of_the_settings_holds_a_secret(write):
    text = write(settings(hash_key="hush-hush"))
    assert "api.synthflow.ai" in text
    assert KEY not in text
    assert "hush" not in text


@pytest.mark.parametrize(
    ("pieces", "host"),
    [
        ({}, "api.synthflow.ai"),
        ({"host": "https://proxy.test:8443/a/v2"}, "proxy.test:8443"),
        ({"host": "::1", "port": 80}, "[::1]:80"),
    ],
    ids=str,
)
def test_the_host_is_told_with_its_port_and_without_its_path(pieces, host):
    assert settings(**pieces).host == host


def test_the_regions_are_those_of_the_documentation():
    assert REGIONS == {
        "global": "https://api.synthflow.ai/v2",
        "us": "https://api.us.synthflow.ai/v2",
        "eu": "https://api.eu.synthflow.ai/v2",
    }


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("regoin", "Did you mean region?"),
        ("Region", "Did you mean region?"),
        ("time_out", "Did you mean timeout?"),
        ("max_attempt", "Did you mean max_attempts?"),
        ("allow-insecure", "Did you mean allow_insecure?"),
        ("hashkey", "Did you mean hash_key?"),
        ("zone", "Known fields: region, timeout, max_response_bytes, max_attempts, hash_key, allow_insecure."),
    ],
)
def test_an_extra_that_would_be_ignored_is_an_error_that_says_what_was_meant(name, cure):
    with pytest.raises(SynthflowConfigError, match=f"its extra has an unknown field '{name}'") as caught:
        settings(**{name: "eu"})
    assert cure in str(caught.value)


def test_a_secret_in_place_of_a_fields_name_is_not_repeated():
    with pytest.raises(SynthflowConfigError, match="unknown field") as caught:
        settings(**{"my secret word": "eu"})
    assert "secret" not in str(caught.value)
