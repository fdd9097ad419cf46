# SPDX-License-Identifier: Apache-2.0
"""A release is what its tag says, with a changelog and with links that lead somewhere; else it is refused."""

from __future__ import annotations

import zipfile

import pytest

from dev.release import find_faults

REPOSITORY = "https://forge.example/owner/name"
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-12-01\n"
METADATA = """Metadata-Version: 2.4
Name: airflow-provider-synthflow
Version: {version}
Project-URL: Source, {source}

[the docs]({link})
"""


@pytest.fixture
def make_wheel(tmp_path):
    def make(version="1.2.0", source=REPOSITORY, link=f"{REPOSITORY}/blob/v1.2.0/docs/index.md"):
        path = tmp_path / "package.whl"
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("package.dist-info/METADATA", METADATA.format(version=version, source=source, link=link))
        return path

    return make


def test_a_whole_release_has_no_fault(make_wheel):
    assert find_faults("v1.2.0", REPOSITORY, make_wheel(), CHANGELOG) == []


@pytest.mark.parametrize(
    ("tag", "repository", "changes", "said"),
    [
        ("v1.2.1", REPOSITORY, {}, "tag v1.2.0"),
        ("", REPOSITORY, {}, "not given"),
        ("v1.3.0", REPOSITORY, {"version": "1.3.0"}, "no section [1.3.0]"),
        ("v1.2.0", "", {}, "PROJECT_REPOSITORY"),
        ("v1.2.0", REPOSITORY, {"source": "https://other.example/a/b"}, "PROJECT_REPOSITORY"),
        ("v1.2.0", REPOSITORY, {"link": "docs/index.md"}, "docs/index.md"),
    ],
)
def test_a_release_that_is_not_whole_is_refused_with_the_cure(make_wheel, tag, repository, changes, said):
    (fault,) = find_faults(tag, repository, make_wheel(**changes), CHANGELOG)

    assert said in fault
