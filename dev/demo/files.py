# SPDX-License-Identifier: Apache-2.0
"""Read what the runs have written: the manifests, and the ids of the calls in the files."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dev.demo.source import Source

__all__ = ["Comparison", "compare", "digests", "manifests"]


@dataclass(frozen=True)
class Comparison:
    """
    Tell how the files compare with what the server holds.

    :param held: calls that the server holds
    :param once: of them, those in exactly one file, once
    :param missing: of them, those in no file
    :param doubled: of them, those that stand more than once
    :param foreign: calls in the files that the server does not hold
    """

    held: int
    once: int
    missing: int
    doubled: int
    foreign: int

    @property
    def right(self) -> bool:
        """Tell whether each call stands in the files exactly once, and nothing else does."""
        return self.once == self.held and not self.foreign

    def __str__(self) -> str:
        """Return the one line that counts."""
        text = f"{self.once:,} of {self.held:,} calls, each once"
        if self.right:
            return text
        return f"{text} - {self.missing:,} missing, {self.doubled:,} doubled, {self.foreign:,} unknown to the server"


def manifests(output: Path, source: Source) -> list[dict[str, Any]]:
    """
    Return the manifests of a source's agents and days below a directory, in the order of agent and window.

    :param output: the output path of the runs
    :param source: the agents and the days
    """
    numbers = {agent: number for number, agent in enumerate(source.agents)}
    first, until = f"{source.first:%Y-%m-%dT%H:%M:%S}", f"{source.until:%Y-%m-%dT%H:%M:%S}.000Z"
    found = [json.loads(path.read_bytes()) for path in output.glob("*/*/*/_manifest.json")]
    mine = [each for each in found if each["model_id"] in numbers and first <= each["from_date"] < until]
    return sorted(mine, key=lambda each: (numbers[each["model_id"]], each["from_date"]))


def digests(output: Path) -> dict[str, str]:
    """
    Return the SHA-256 of each file by its path.

    :param output: the output path of the runs
    """
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(output.glob("*/*/*/calls.jsonl.gz"))
    }


def compare(paths: Iterable[str], held: Iterable[str]) -> Comparison:
    """
    Compare the ids in files with those that the server holds.

    :param paths: the files
    :param held: the ids of the server's calls
    """
    found: Counter[str] = Counter()
    for path in paths:
        with gzip.open(path) as lines:
            found.update(json.loads(line)["call_id"] for line in lines)
    truth = set(held)
    return Comparison(
        held=len(truth),
        once=sum(found[call_id] == 1 for call_id in truth),
        missing=sum(call_id not in found for call_id in truth),
        doubled=sum(found[call_id] > 1 for call_id in truth),
        foreign=len(found.keys() - truth),
    )
