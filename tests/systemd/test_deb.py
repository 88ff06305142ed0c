"""The packages in a clean Debian with systemd: installed, set up as README says, used, upgraded, removed, purged.

usage: DEBS=FOLDER [CLEAN_ROOT=FOLDER] test_deb.py
CLEAN_ROOT is made by mmdebstrap if it isn't there yet (30 s, and needs Debian's archive). `make debtest`
runs this; it is in no suite.
"""

import glob
import hashlib
import json
import os
import shutil

from lib import tap
from lib.booted import Machine, run
from lib.wait import scaled
from test_units import KEY, SAY, TESTS_LOAD, TOKEN

DEBS = os.environ.get("DEBS", "build/deb")
ROOT = os.path.abspath(os.environ.get("CLEAN_ROOT", os.path.join(DEBS, "clean")))
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden/log/v1.sql")
SCHEMA = 4  # what this chatd makes of it
# what the packages need and what the tests do; installed beforehand, since the machine has no network
INCLUDE = ("systemd,systemd-sysv,dbus,ca-certificates,libcurl4,libevent-core-2.1-7,libsqlite3-0,libmsgpackc2,"
           "libjansson4,libinih1,libsodium23,libsystemd0,python3,sqlite3,procps,iproute2")


def deb(name):
    found = glob.glob(os.path.join(DEBS, f"{name}_*.deb"))
    assert len(found) == 1, f"{name} in {DEBS}: {found}"
    return found[0]


def make_root():
    if os.path.exists(os.path.join(ROOT, "lib/systemd/systemd")):
        return
    if not shutil.which("mmdebstrap"):
        raise tap.Skip("there is no mmdebstrap")
    sources = "/etc/apt/sources.list.d/debian.sources"
    hook = 'mkdir -p "$1/etc/apt/apt.conf.d"; cp /etc/apt/apt.conf.d/99* "$1/etc/apt/apt.conf.d/" 2>/dev/null; true'
    r = run("mmdebstrap", "--variant=minbase", f"--include={INCLUDE}", f"--setup-hook={hook}", "bookworm", ROOT,
            *([sources] if os.path.exists(sources) else []), check=False)
    if r.returncode:
        shutil.rmtree(ROOT, ignore_errors=True)
        raise tap.Skip("a clean root can't be made: " + r.stderr.strip()[-300:])


def older(name, m):
    """The same package with a version before it, as /run/old/NAME.deb: what is upgraded."""
    work = os.path.join(m.dir, "old-" + name)
    run("dpkg-deb", "-R", deb(name), work)
    control = os.path.join(work, "DEBIAN/control")
    with open(control, encoding="utf-8") as f:
        lines = f.read().splitlines()
    lines = ["Version: 0.0.1" if x.startswith("Version:") else x for x in lines]
    lines = [x.replace("chatd (= 0.1.0)", "chatd (= 0.0.1)").replace("streamerd (= 0.1.0)", "streamerd (= 0.0.1)")
             for x in lines]
    with open(control, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    os.makedirs(f"/proc/{m.pid1}/root/run/old", exist_ok=True)
    run("dpkg-deb", "--root-owner-group", "-Znone", "-b", work, f"/proc/{m.pid1}/root/run/old/{name}.deb")


def put_debs(m):
    os.makedirs(f"/proc/{m.pid1}/root/run/debs", exist_ok=True)
    for name in ("chatd", "streamerd"):
        shutil.copy(deb(name), f"/proc/{m.pid1}/root/run/debs/{name}.deb")
        older(name, m)


def test_an_older_version_is_installed(m):
    """OPS-4: into a clean Debian, with all that it needs; nothing is started, nothing listens before there is a config"""
    m.sh("DEBIAN_FRONTEND=noninteractive dpkg -i /run/old/chatd.deb /run/old/streamerd.deb")
    tap.eq(m.sh("stat -c '%U %a' /etc/chatd/keys /etc/chatd/access").stdout, "root 700\nroot 700\n", "folders")
    tap.eq(m.sh("id -un chatd && id -un streamerd").stdout, "chatd\nstreamerd\n", "users")
    tap.eq(m.show("chatd", "ActiveState")["ActiveState"], "inactive", "chatd")
    tap.eq(m.show("streamerd.socket", "ActiveState")["ActiveState"], "inactive", "streamerd.socket")


def test_a_log_of_version_1_is_there(m):
    """OPS-6: what an older chatd left"""
    with open(GOLDEN, encoding="utf-8") as f:
        m.write("/run/v1.sql", f.read())
    m.sh("install -d -o chatd -g chatd -m 700 /var/lib/chatd && sqlite3 /var/lib/chatd/events.db < /run/v1.sql"
         " && chown chatd:chatd /var/lib/chatd/events.db")
    m.before = m.sh("sqlite3 /var/lib/chatd/events.db 'SELECT count(*) FROM sessions; SELECT count(*) FROM turns;'").stdout
    tap.note("sessions, turns: " + m.before.replace("\n", " "))


def test_keys_and_tokens_are_put_in_their_places(m):
    """README: a key in a credential, a token for a client"""
    m.write("/etc/chatd/keys/openai", KEY + "\n", 0o600)
    m.write("/etc/chatd/access/tokens", f"anna:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n", 0o600)
    m.sh("sed -i 's/^mode = none/;&/; s/^;mode = tokens/mode = tokens/; s/^;tokens_file/tokens_file/' /etc/chatd/streamerd.conf")
    m.sh("sed -i '/^;\\[provider openai\\]/,$ s/^;//' /etc/chatd/chatd.conf")
    tap.note(m.sh("grep -v '^;' /etc/chatd/chatd.conf").stdout)


def test_upgrade_while_it_is_enabled(m):
    """OPS-4, OPS-6: the new version keeps configs, keys and the log, which is brought to its schema"""
    m.sh("DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i /run/debs/chatd.deb /run/debs/streamerd.deb")
    m.ctl("enable --now chatd streamerd")
    tap.eq(m.show("chatd", "ActiveState")["ActiveState"], "active", "chatd")
    after = m.sh("sqlite3 /var/lib/chatd/events.db 'SELECT count(*) FROM sessions; SELECT count(*) FROM turns;'").stdout
    tap.eq(after, m.before, "sessions and turns")
    tap.eq(int(m.sh("sqlite3 /var/lib/chatd/events.db 'PRAGMA user_version'").stdout), SCHEMA, "schema version")
    assert "ok" in m.sh("sqlite3 /var/lib/chatd/events.db 'PRAGMA integrity_check'").stdout


def test_a_message_with_a_token(m):
    """OPS-4: what README says works"""
    tap.eq(m.python(SAY, "")["status"], 401, "without a token")
    answer = m.python(SAY, TOKEN)
    tap.eq(answer["status"], 202, "with one")
    assert "event: response_end" in answer["stream"], answer["stream"][-300:]
    assert m.sh("chatctl --help", check=False).returncode == 0
    assert "anna" in m.sh("chatctl token list").stdout, "it edits the file that the service reads"
    tap.note(m.ctl("status --no-pager -n 3 chatd streamerd streamerd.socket").stdout)


PAGE = r'''
import http.client, json, re
def get(path):
    c = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
    c.request("GET", path)
    r = c.getresponse()
    return r.status, r.getheader("Content-Type"), r.read().decode()
status, kind, page = get("/")
parts = ["/" + p for p in re.findall(r'(?:src|href)="([^"#:]+)"', page)]
print(json.dumps({"page": [status, kind], "parts": {p: get(p)[0] for p in parts},
                  "licences": get("/page/licences.txt")[0]})) # of what is in a bundle
'''


def test_the_page_is_the_one_that_was_meant(m):
    """CLI-2: whole, with all that it loads; bundled where the packages were built with npm (tools/deb.sh), else plain"""
    wanted = os.environ.get("PAGE") or ("bundled" if shutil.which("npm") else "plain")
    found = m.python(PAGE)
    tap.note(json.dumps(found))
    tap.eq(found["page"][0], 200, "the page")
    assert found["page"][1].startswith("text/html"), found
    assert found["parts"] and set(found["parts"].values()) == {200}, found
    tap.eq(found["licences"], 200 if wanted == "bundled" else 404, f"the licences of a {wanted} page")


def test_an_upgrade_under_load_loses_nothing(m):
    """DUR-8, OPS-4: packages are replaced and the daemons restarted while clients talk"""
    load = m.python(TESTS_LOAD, "8080", TOKEN, "6", "/run/enough", wait=False)
    try:
        for _ in range(2):
            m.sh("DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i /run/debs/chatd.deb /run/debs/streamerd.deb")
        m.ctl("restart chatd streamerd")
        m.write("/run/enough", "")
        out, err = load.communicate(timeout=scaled(100))
    finally:
        load.kill()
    assert load.returncode == 0, err[-2000:]
    seen = json.loads(out)
    tap.note(json.dumps(seen))
    tap.eq((seen["wrong"], seen["refused"]), ([], 0), "what clients saw")


def test_remove_keeps_the_log_and_purge_does_not(m):
    """OPS-4: removed, nothing runs and data and configs stay; purged, nothing is left"""
    m.sh("DEBIAN_FRONTEND=noninteractive dpkg -r streamerd chatd")
    tap.eq(m.sh("pgrep -x 'chatd|streamerd'", check=False).stdout, "", "what still runs")
    m.sh("test -e /var/lib/chatd/events.db && test -e /etc/chatd/chatd.conf && test ! -e /usr/bin/chatd")
    m.sh("DEBIAN_FRONTEND=noninteractive dpkg -P streamerd chatd")
    left = m.sh("ls -d /var/lib/chatd /var/cache/chatd /etc/chatd /run/chatd /lib/systemd/system/chat* "
                "/lib/systemd/system/streamerd* /usr/lib/sysusers.d/chatd.conf /etc/systemd/system/*/chatd* "
                "/etc/systemd/system/*/streamerd* 2>/dev/null", check=False).stdout
    tap.eq(left, "", "what is left")


if __name__ == "__main__":
    try:
        make_root()
        with Machine(ROOT) as machine:
            machine.share_tests()
            put_debs(machine)
            tap.run(globals(), machine)
    except tap.Skip as why:
        tap.one("the packages", lambda why=why: (_ for _ in ()).throw(why))
    tap.finish()
