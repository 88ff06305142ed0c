"""The test suites under the filters of the units: daemons, tools and all, as chatd.service confines them.

SUITES names others than the two that are run by default.
"""

import os
import re

from lib import tap
from lib.booted import Machine

BUILD = os.environ.get("BUILD_DIR", "build")
KEYS = ("SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber", "RestrictAddressFamilies",
        "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "NoNewPrivileges",
        "LimitCORE", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups",
        "ProtectClock", "ProtectHostname", "PrivateDevices", "PrivateIPC", "RemoveIPC", "KeyringMode", "UMask")


def filters(m):
    text = m.take("/usr/local/lib/systemd/system/chatd.service")
    return [line for line in text.splitlines() if re.match(r"(%s)=" % "|".join(KEYS), line)]


def run_suite(m, name):
    unit = "[Service]\nType=oneshot\nTimeoutStartSec=300\nPrivateTmp=yes\n" + "\n".join(filters(m)) + f"""
Environment=PYTHONPATH=/run/tests CHATD=/usr/local/bin/chatd STREAMERD=/usr/local/bin/streamerd
Environment=PYTHONDONTWRITEBYTECODE=1 TIME_SCALE={os.environ.get("TIME_SCALE", "1")}
ExecStart=/usr/bin/python3 /run/tests/integration/test_{name}.py
"""
    m.write(f"/etc/systemd/system/suite-{name}.service", unit)
    m.ctl("daemon-reload")
    r = m.ctl(f"start suite-{name}", check=False, timeout=290)
    out = m.sh(f"journalctl -u suite-{name} -o cat --no-pager").stdout
    ok = len(re.findall(r"^ok ", out, re.M))
    tap.note(f"{name}: {ok} ok, {len(re.findall(r'^not ok ', out, re.M))} not ok")
    assert r.returncode == 0 and ok > 0, out[-6000:]


def test_suites_under_the_filters(m):
    """OPS-4: the integration suite's main flows run under chatd.service's system call filter and restrictions"""
    for name in os.environ.get("SUITES", "first_turn tools").split():
        run_suite(m, name)


def test_the_filter_bites(m):
    """OPS-4: what the units forbid does fail: the control for the test above"""
    m.write("/etc/systemd/system/control.service", "[Service]\nType=oneshot\n" + "\n".join(filters(m)) +
            "\nExecStart=/usr/bin/unshare --user true\n")
    m.ctl("daemon-reload")
    assert m.ctl("start control", check=False).returncode != 0, "a namespace could be made"


if __name__ == "__main__":
    try:
        with Machine() as machine:
            machine.install(BUILD)
            machine.share_golden()
            tap.run(globals(), machine)
    except tap.Skip as why:
        tap.one("the suites under the filters", lambda why=why: (_ for _ in ()).throw(why))
    tap.finish()
