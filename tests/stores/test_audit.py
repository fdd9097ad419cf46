# SPDX-License-Identifier: Apache-2.0
"""An audit in Google Cloud Storage and in Azure reads every page of their listings, and writes nothing."""

from __future__ import annotations

import pytest

from airflow_provider_synthflow.storage import azure, google
from tests.stores.emulators import Azure, Google
from tests.unit.auditing.lakes import check_lake_of_many_pages

# What the stores' own libraries warn of is not this package's.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.filterwarnings("error:::airflow_provider_synthflow")]

DAYS = 2
AT_ONCE = 20


@pytest.mark.parametrize(("kind", "module", "files"), [(Google, google, "GoogleFiles"), (Azure, azure, "AzureFiles")])
def test_a_lake_of_many_pages_is_audited_whole_and_left_as_it_is(tmp_path, monkeypatch, kind, module, files):
    pages = []
    list_page = getattr(module, files).list_page

    def count(self, prefix, token=None):
        page, token = list_page(self, prefix, token)
        pages.append(len(page))
        return page, token

    monkeypatch.setattr(module, "LISTED_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(getattr(module, files), "list_page", count)
    with kind(tmp_path / "store") as emulator:
        # A connection of its own: Airflow keeps what it opened by a connection's id for as long as the process lives.
        monkeypatch.setenv("AIRFLOW_CONN_AUDITED", emulator.connection())

        check_lake_of_many_pages(tmp_path / "lake", f"{emulator.url}/calls", "audited", DAYS)

    assert max(pages) <= AT_ONCE
    assert sum(pages) >= 2 * (DAYS * 48 - 1)  # two objects an hour, in two audits
