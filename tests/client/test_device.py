"""Device Bound Session Credentials in a real Chromium, which plays its part of the protocol itself."""

import re
from pathlib import Path

import pytest

from tests.client.browser import node
from tests.service.conftest import PASSWORD
from tests.service.process import service, tenure


@pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="Debian's package of chromium is not here")
def test_a_real_browser_binds_its_session(tmp_path: Path) -> None:
    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin=PASSWORD + "\n")
    with service(tmp_path) as url:
        told = node("--test", "--test-reporter=tap", "device.test.mjs", URL=url, PASSWORD=PASSWORD)
    assert re.search(r"^# fail 0$", told, re.M)
    assert re.search(r"^# pass 3$", told, re.M)
