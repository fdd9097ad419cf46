# SPDX-License-Identifier: Apache-2.0
"""The switches by which the test server takes one of the shapes that the real API may have."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

__all__ = ["TEST_KEY", "Behaviour"]

TEST_KEY = "test-key-0123456789"
"""The key that the test server takes unless it is told otherwise."""


@dataclass(frozen=True)
class Behaviour:
    """Describe how the test server behaves; the defaults are a plausible ordinary server."""

    # --- the order of the list
    order: Literal["newest", "oldest", "unstable_ties", "random", "by_id"] = "newest"
    """How rows are ordered: `unstable_ties` and `random` are drawn anew for each request."""
    seed: int = 0
    """What the orders that are drawn by lot begin from."""

    # --- which calls are in a window
    filter_from_on: Literal["start", "end", "listed"] = "start"
    """Which instant of a call `from_date` is compared with."""
    filter_to_on: Literal["start", "end"] = "start"
    """Which instant of a call `to_date` is compared with."""
    running_matches: bool = False
    """Whether a call without an end yet passes a filter on the end."""
    unstarted_matches: bool = False
    """Whether a call that is listed before its start passes a filter on the start."""
    from_inclusive: bool = True
    """Whether a call at exactly `from_date` is in."""
    to_inclusive: bool = False
    """Whether a call at exactly `to_date` is in."""
    date_granularity_ms: int = 1
    """The unit in which dates are compared, such as 1000 for whole seconds."""
    ignore_window: bool = False
    """Whether `from_date` and `to_date` are ignored."""

    # --- the other filters
    ignore_agent: bool = False
    """Whether `model_id` is ignored, so that the calls of all agents are listed."""
    ignore_status: bool = False
    """Whether `call_status` is ignored."""
    unknown_model: Literal["empty", "400", "404"] = "empty"
    """What an unknown `model_id` gives."""
    null_durations_match: bool = False
    """Whether a call without a duration passes `duration_min` and `duration_max`."""
    status_multi: bool = True
    """Whether `call_status` takes several values, separated by commas."""
    status_case_sensitive: bool = True
    """Whether `call_status` must be written as in the records."""
    invalid_status: Literal["empty", "error"] = "empty"
    """What a `call_status` that does not exist gives."""

    # --- pages
    default_limit: int = 20
    """The rows of a page where no `limit` is sent."""
    limit_cap: int = 100
    """The largest `limit`."""
    over_limit: Literal["error", "clamp"] = "error"
    """What a larger `limit` gives: 400, or a page of the largest size."""
    max_rows: int | None = None
    """A smaller number of rows that a page silently never exceeds."""
    repeats: Literal["none", "join", "page", "before"] = "none"
    """Which rows come twice: each of them, and the total counts them; a page's first; the last of the page before."""
    largest_offset: int | None = None
    """The largest offset that is served; 400 beyond."""
    ignore_offset: bool = False
    """Whether every page begins at the first row."""
    offset_past_end: Literal["empty", "error400", "error404", "last_page"] = "empty"
    """What an offset behind the last row gives."""

    # --- the envelope
    envelope: Literal["standard", "calls", "list", "nested"] = "standard"
    """The shape around the rows: as documented, `{calls}`, a bare list, or `response` twice."""
    status_word: str = "ok"
    """The envelope's `status`."""
    analytics_series: Literal["both", "call_status_stat", "duration_metrics", "none"] = "both"
    """Which members with counts by day the answer of `/analytics/` has."""
    pagination: Literal["present", "absent"] = "present"
    """Whether the envelope has `pagination`."""
    echo_limit: Literal["asked", "actual", "absent"] = "asked"
    """Which limit `pagination` tells: the one asked for, the one applied, or none."""
    echo_offset: Literal["asked", "actual", "absent"] = "asked"
    """Which offset `pagination` tells: the one asked for, the one applied, or none."""
    total: Literal["exact", "capped", "off_by", "page", "none", "absent"] = "exact"
    """What `total_records` counts; `page` is the rows of this page, `none` is 0."""
    total_cap: int = 1000
    """The largest total that `capped` tells."""
    total_off_by: int = 1
    """What `off_by` adds to the true total."""
    total_as: Literal["int", "string"] = "int"
    """The JSON type of the total."""

    no_calls_as: Literal["list", "null"] = "list"
    """What `calls` is on a page without rows."""

    # --- the records
    half_pairs: bool = False
    """Whether a telephone receiver in a text, U+1F4DE, is sent as the first half of its surrogate pair."""
    start_time_as: Literal["string_ms", "int_ms", "seconds", "iso", "null", "absent"] = "string_ms"
    """How `start_time` is written."""
    duration_as: Literal["int", "string"] = "int"
    """How `duration` is written."""
    telephony_start_as: Literal["iso", "object", "null"] = "iso"
    """How `telephony_start` and `telephony_end` are written; `object` is the documentation's `{}`."""
    late_fields_after_ms: int = 0
    """How long after a call's end `transcript`, `judge_results` and `executed_actions` are null."""
    recording_urls: Literal["stable", "rotating", "absent", "null"] = "stable"
    """Whether the signature in `recording_url` differs in each answer, or the field is gone, as from 2027-01-10."""

    # --- the recordings
    recordings_after_ms: int = 0
    """How long after a call's end its recording is there."""
    recording_bytes: int = 2000
    """How large a recording is."""
    recording_format: Literal["mp3", "wav", "ogg"] = "mp3"
    """What a recording is."""
    recording_type: Literal["true", "octet-stream", "absent"] = "true"
    """The content type that comes with a recording."""
    recording_length: Literal["exact", "more", "less", "absent", "chunked"] = "exact"
    """What the headers say of a recording's length: the truth, more (it is cut), less, nothing; or in chunks."""
    recording_redirects: int = 0
    """How often a signed address leads on to another one."""
    recording_pause_s: float = 0.0
    """Seconds between two pieces of a recording."""
    signed_life_ms: int = 86_400_000
    """How long a signed address is good; until then a call has the same one."""
    signed_base: str | None = None
    """What stands before `/signed/` where a recording's URL redirects to; None is this server."""

    # --- time, keys and rates
    latency_s: float = 0.0
    """Seconds before each answer."""
    latency_jitter_s: float = 0.0
    """The most that chance adds to these seconds."""
    require_key: frozenset[str] = frozenset({TEST_KEY})
    """The keys that are good."""
    key_not_entitled: frozenset[str] = frozenset()
    """The keys that get 403."""
    wrong_region: bool = False
    """Whether every key gets 401, as on another region's host."""
    rate_limit_per_minute: int | None = None
    """How many requests a minute are answered; 429 beyond."""
    rate_window_s: float = 60.0
    """How long a minute lasts, so that tests need not wait for one."""
    rate_clock: Literal["wall", "api"] = "wall"
    """Whether that minute passes by the machine's clock or by the server's own."""
    retry_after: int | str = "absent"
    """The `Retry-After` of such a 429: seconds, `date`, `absurd`, `absent`, or any text."""

    def __post_init__(self) -> None:
        for name, allowed in _choices():
            value = getattr(self, name)
            if value not in allowed:
                msg = f"{name} is {value!r}; it can be {', '.join(map(repr, allowed))}."
                raise ValueError(msg)
        if self.date_granularity_ms < 1:
            msg = "date_granularity_ms is at least 1."
            raise ValueError(msg)
        for name in ("require_key", "key_not_entitled"):
            value = getattr(self, name)
            keys = frozenset({value}) if isinstance(value, str) else frozenset(value)
            object.__setattr__(self, name, keys)

    def with_texts(self, pairs: dict[str, str]) -> Behaviour:
        """Return a copy with switches set from text, as a command line gives them."""
        kinds = get_type_hints(Behaviour)
        changes: dict[str, Any] = {}
        for name, text in pairs.items():
            if name not in kinds:
                msg = f"There is no switch {name!r}; there are {', '.join(f.name for f in fields(self))}."
                raise ValueError(msg)
            changes[name] = _read(kinds[name], text)
        return replace(self, **changes)


@lru_cache(maxsize=1)
def _choices() -> tuple[tuple[str, tuple[Any, ...]], ...]:
    hints = get_type_hints(Behaviour)
    return tuple((name, get_args(hint)) for name, hint in hints.items() if get_origin(hint) is Literal)


def _read(kind: Any, text: str) -> Any:
    """Read one switch's text as its type."""
    members = get_args(kind)
    if type(None) in members and text.lower() in ("none", "null", ""):
        return None
    if get_origin(kind) is frozenset:
        return frozenset(filter(None, text.split(",")))
    if kind is bool:
        if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
            msg = f"{text!r} must be true or false."
            raise ValueError(msg)
        return text.lower() in ("true", "1", "yes")
    if kind is float:
        return float(text)
    if kind is int or (int in members and text.lstrip("-").isdigit()):
        return int(text)
    return text
