"""The JavaScript client in programs: our example, and a platform as narrow as React Native's."""

import json
import re
import subprocess
from pathlib import Path

from tests.client.browser import BIN, NODE, ROOT, installed_module, node
from tests.client.live import PASSWORD, Live


def test_the_example_stays_logged_in_between_its_runs(live: Live, tmp_path: Path) -> None:
    installed_module()
    program = NODE / "client-example.mjs"  # where the packages are
    program.write_text((ROOT / "examples" / "elsewhere" / "client.mjs").read_text())
    state = tmp_path / "state.json"
    said = []
    try:
        for password in (PASSWORD, ""):
            command = [BIN / "node", program, live.base, state, "ada"]
            done = subprocess.run(command, input=password, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            said.append(done.stdout)
            live.expire()
    finally:
        program.unlink()
    assert said == ["ada 200\n", "ada 200\n"]
    assert state.stat().st_mode & 0o777 == 0o600
    assert live.kinds().count("logged_in") == 1


def test_where_the_platform_is_narrow(live: Live) -> None:
    installed_module()
    said = json.loads(node("native.mjs", live.base))
    assert said["heard"] == ["ada"]
    assert said["statuses"] == [200, 200]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", said["attempts"])
    assert said["kept"] is None
