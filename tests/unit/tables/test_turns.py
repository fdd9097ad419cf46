# SPDX-License-Identifier: Apache-2.0
"""A transcript's turns: each utterance a row, joined they are the transcript, and what is no text is in `_raw`."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.tables.making import JSON, TEXTS, rows_of, rows_of_field


def turns(transcript):
    return [(row["turn"], row["speaker"], row["text"]) for row in rows_of_field("turns", transcript)]


def joined(rows) -> str:
    return "\n".join([f"{row['speaker']}: {row['text']}" if row["speaker"] else row["text"] for row in rows])


@pytest.mark.parametrize(
    ("transcript", "expected"),
    [
        ("bot: Hello\nhuman: Yes", [(0, "bot", "Hello"), (1, "human", "Yes")]),
        ("bot: one\ntwo\n\nhuman: three", [(0, "bot", "one\ntwo\n"), (1, "human", "three")]),
        ("before\nbot: after", [(0, None, "before"), (1, "bot", "after")]),
        ("\nbot: x", [(0, None, ""), (1, "bot", "x")]),
        ("bot: \nhuman: ", [(0, "bot", ""), (1, "human", "")]),
        ("bot:\nhuman:x", [(0, None, "bot:\nhuman:x")]),
        ("Bot: x", [(0, None, "Bot: x")]),
        ("human: he said bot: x", [(0, "human", "he said bot: x")]),
        ('bot: "a" \\ \t\nhuman: \\nbot: x', [(0, "bot", '"a" \\ \t'), (1, "human", "\\nbot: x")]),
        ("bot: Grüße, 😀\nhuman: é", [(0, "bot", "Grüße, 😀"), (1, "human", "é")]),
        ("bot: a\r\nhuman: b\n", [(0, "bot", "a\r"), (1, "human", "b\n")]),
        ("", []),
        (None, []),
    ],
)
def test_each_utterance_is_a_row_with_its_speaker(transcript, expected):
    assert turns(transcript) == expected


@pytest.mark.parametrize("ascii_only", [True, False])
@settings(max_examples=80, deadline=None)
@given(transcripts=st.lists(TEXTS | st.lists(TEXTS, max_size=4).map("\n".join), min_size=1, max_size=6))
@example(transcripts=["bot: a\nhuman: b", "x", "bot: c", "", "human: \ud800"])
def test_joined_the_turns_are_the_transcripts_again(transcripts, ascii_only):
    records = [{"call_id": str(number), "transcript": text} for number, text in enumerate(transcripts)]
    try:
        raws = [json.dumps(record, ensure_ascii=ascii_only).encode() for record in records]
    except UnicodeEncodeError:
        raws = [json.dumps(record).encode() for record in records]

    by_call = defaultdict(list)
    for row in rows_of("turns", *raws):
        assert row["_raw"] is None
        assert row["turn"] == len(by_call[row["call_id"]])
        by_call[row["call_id"]].append(row)

    for number, text in enumerate(transcripts):
        mended = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        assert joined(by_call[str(number)]) == mended


@settings(max_examples=80, deadline=None)
@given(value=JSON.filter(lambda value: not isinstance(value, str) and value is not None))
def test_a_transcript_that_is_no_text_stands_in_raw(value):
    (row,) = rows_of_field("turns", value)

    assert (row["turn"], row["speaker"]) == (0, None)
    assert row["_raw"].encode().decode("unicode_escape") is not None
    assert row["text"] in (None, json.dumps(value))
    if "\\ud" not in json.dumps(value):
        assert json.loads(row["_raw"]) == value


def test_turns_of_all_kinds_of_calls_stay_in_the_order_of_the_calls():
    transcripts = ["bot: a\nhuman: b", "none", None, ["list"], "bot: c\nd", "", "human: e", 5]
    rows = rows_of("turns", *({"call_id": str(n), "transcript": t} for n, t in enumerate(transcripts)))

    assert [(row["call_id"], row["turn"], row["speaker"], row["text"], row["_raw"]) for row in rows] == [
        ("0", 0, "bot", "a", None),
        ("0", 1, "human", "b", None),
        ("1", 0, None, "none", None),
        ("3", 0, None, None, '["list"]'),
        ("4", 0, "bot", "c\nd", None),
        ("6", 0, "human", "e", None),
        ("7", 0, None, "5", "5"),
    ]
