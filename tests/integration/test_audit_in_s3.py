# SPDX-License-Identifier: Apache-2.0
"""An audit in S3 sees more than one page of its listing, and writes nothing."""

from __future__ import annotations

import pytest

from tests.unit.auditing.lakes import check_lake_of_many_pages


@pytest.mark.long
def test_a_lake_of_more_than_a_page_is_audited_whole_and_left_as_it_is(s3_server, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_S3", s3_server.connection())

    check_lake_of_many_pages(tmp_path, f"s3://{s3_server.bucket}/calls", "s3", days=22)

    assert sum("list-type=2" in each and "prefix=calls" in each for each in s3_server.requests) > 1
    changes = [each for each in s3_server.requests[-1000:] if each.startswith(("PUT", "POST", "DELETE"))]
    assert not [each for each in changes if "/calls/" in each]
