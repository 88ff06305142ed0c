"""The units as an operator meets them: under systemd, with a key and a token, restarted under load.

One machine for all; its functions build on each other in the order in which they stand.
"""

import hashlib
import json
import os
import time

from lib import tap
from lib.booted import Machine
from lib.wait import scaled, until

BUILD = os.environ.get("BUILD_DIR", "build")
TOKEN = "tok-0123456789abcdef0123456789abcdef"
KEY = "sk-unit-0123456789-never-to-be-seen"
ETC = "/usr/local/etc/chatd"

CHATD_CONF = """[log]
path = /var/lib/chatd/events.db
[bus]
dir = /run/chatd
group = chatd
[workers]
count = 2
drain_timeout = 300ms
[defaults]
provider = demo
[provider demo]
type = demo
rate = 60
[provider paid]
type = openai
base_url = http://127.0.0.1:9/v1
model = m
api_key_file = key_paid
[tools probe]
command = python3 /usr/local/lib/probe.py
"""

STREAMERD_CONF = """[bus]
dir = /run/chatd
user = chatd
[auth]
mode = tokens
tokens_file = access_tokens
"""

# A tool server that is out for what isn't its own. It is no MCP server, so it is started again and
# again; each time it writes down what it could do.
PROBE = r'''
import json, os, signal, socket, sys
def attempt(f):
    try:
        f()
        return "done"
    except OSError as e:
        return e.strerror
def read(path):
    with open(path, "rb") as f:
        f.read(1)
parent = os.getppid()
found = {
    "database": attempt(lambda: read("/var/lib/chatd/events.db")),
    "wal": attempt(lambda: read("/var/lib/chatd/events.db-wal")),
    "new file beside it": attempt(lambda: open("/var/lib/chatd/x", "w")),
    "credential": attempt(lambda: read("/run/credentials/chatd.service/key_paid")),
    "key file": attempt(lambda: read("%(etc)s/keys/paid")),
    "tokens": attempt(lambda: read("/run/credentials/streamerd.service/access_tokens")),
    "environ": attempt(lambda: read(f"/proc/{parent}/environ")),
    "memory": attempt(lambda: read(f"/proc/{parent}/mem")),
    "by its root": attempt(lambda: read(f"/proc/{parent}/root/var/lib/chatd/events.db")),
    "by its files": attempt(lambda: [read(f"/proc/{parent}/fd/{n}") for n in os.listdir(f"/proc/{parent}/fd")]),
    "signal": attempt(lambda: os.kill(parent, 0)),
    "bus": attempt(lambda: socket.socket(socket.AF_UNIX).connect("/run/chatd/worker-0.sock")),
    "environment": sorted(os.environ),
    "own folder": attempt(lambda: open("mine", "w")),
    "home": attempt(lambda: open(os.environ["HOME"] + "/mine", "w")),
    "network": attempt(lambda: socket.socket(socket.AF_INET)),
}
with open(os.environ["HOME"] + "/probe.new", "w") as f:
    json.dump(found, f)
os.rename(os.environ["HOME"] + "/probe.new", os.environ["HOME"] + "/probe.json")
''' % {"etc": ETC}

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib/service_load.py"), encoding="utf-8") as load_file:
    TESTS_LOAD = load_file.read()

SAY = r'''
import http.client, json, sys
import time
headers = {"Content-Type": "application/json"}
if sys.argv[1]:
    headers["Authorization"] = "Bearer " + sys.argv[1]
for _ in range(100):
    c = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
    c.request("POST", "/v1/messages", json.dumps({"content": "demo: hello"}), headers)
    r = c.getresponse()
    if r.status != 503: # what it says until it has found the workers
        break
    time.sleep(0.1)
doc = json.loads(r.read())
text = ""
if r.status == 202:
    c = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
    c.request("GET", f"/v1/sessions/{doc['session_id']}/events?until=idle", headers=headers)
    text = c.getresponse().read().decode()
print(json.dumps({"status": r.status, "doc": doc, "stream": text}))
'''


def active(m, *units):
    return all(m.show(u, "ActiveState")["ActiveState"] == "active" for u in units)


def main_pid(m, unit):
    return int(m.show(unit, "MainPID")["MainPID"])


def workers(m):
    out = m.sh("pgrep -f -- '--worker [0-9]'", check=False).stdout.split()
    return [int(p) for p in out]


def test_start_and_readiness(m):
    """OPS-4, PRC-1: `systemctl start` returns when all workers are ready; the status says what runs"""
    began = time.monotonic()
    m.ctl("start chatd.service")
    tap.note(f"systemctl start chatd: {time.monotonic() - began:.2f} s")
    status = m.show("chatd", "ActiveState", "StatusText", "User", "NRestarts", "WatchdogUSec")
    tap.eq(status["StatusText"], "0 turns running, 2 workers", "status")
    tap.eq((status["User"], status["NRestarts"], status["WatchdogUSec"]), ("chatd", "0", "3s"), "chatd.service")
    tap.eq(len(workers(m)), 2, "workers")


def test_the_first_client_starts_streamerd(m):
    """OPS-4: socket activation; a token is needed, and with one a turn runs to its end"""
    m.ctl("start streamerd.socket")
    tap.eq(m.show("streamerd", "ActiveState")["ActiveState"], "inactive", "streamerd before a client came")
    tap.eq(m.python(SAY, "")["status"], 401, "without a token")
    assert active(m, "streamerd.service"), "streamerd was started by its socket"
    answer = m.python(SAY, TOKEN)
    tap.eq(answer["status"], 202, "with a token")
    assert "event: response_end" in answer["stream"], answer["stream"][-500:]
    tap.eq(m.show("streamerd", "User")["User"], "streamerd", "its user")


def test_credentials_are_their_daemons_alone(m):
    """OPS-4, PRC-2, PRV-6: a key is read by chatd and root, tokens by streamerd and root, and none is in a process's environment or the journal"""
    key, tokens = "/run/credentials/chatd.service/key_paid", "/run/credentials/streamerd.service/access_tokens"
    for user, path, may in (("chatd", key, True), ("streamerd", key, False), ("nobody", key, False),
                            ("streamerd", tokens, True), ("chatd", tokens, False), ("nobody", tokens, False),
                            ("chatd", ETC + "/keys/paid", False), ("streamerd", "/var/lib/chatd/events.db", False)):
        r = m.sh(f"cat {path}", check=False, user=user)
        tap.eq(r.returncode == 0, may, f"{user} reads {path}")
    for unit in ("chatd", "streamerd"):
        pids = m.sh(f"cat /sys/fs/cgroup/chat.slice/{unit}.service/cgroup.procs").stdout.split()
        assert pids, f"{unit} runs in chat.slice"
        for pid in pids:
            assert KEY not in m.sh(f"tr '\\0' '\\n' < /proc/{pid}/environ").stdout, f"the key is in {pid}'s environment"
    assert KEY not in m.sh("journalctl --no-pager -o cat").stdout, "the key is in the journal"


def test_a_tool_server_reaches_nothing_of_chatd(m):
    """PRC-1, PRV-6, SEC-6: a tool server reads neither database nor credentials nor its parent, and connects to no bus"""
    path = "/var/cache/chatd/probe.json"
    until(lambda: m.sh(f"test -e {path}", check=False).returncode == 0, "the probe has run", 30)
    found = json.loads(m.take(path))
    tap.note(json.dumps(found))
    for what in ("database", "wal", "new file beside it", "credential", "key file", "tokens", "environ", "memory",
                 "by its root", "by its files", "bus"):
        assert found[what] != "done", f"a tool server can: {what}"
    for what in ("own folder", "home", "network"):
        tap.eq(found[what], "done", what)
    assert not {"CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"} & set(found["environment"]), found["environment"]
    if float(".".join(os.uname().release.split(".")[:2])) >= 6.12 or int(os.uname().release.split(".")[0]) > 6:
        assert found["signal"] != "done", "a tool server can signal its worker"


def test_status_reads_well(m):
    """OPS-4: what `systemctl status` shows"""
    out = m.ctl("status --no-pager -n 4 chatd streamerd", check=False).stdout
    tap.note(out)
    for wanted in ('Status: "', "turns running, 2 workers", "viewers", "chat.slice"):
        assert wanted in out, f"{wanted!r} is not in the status"


def test_the_journal_has_levels_and_ids(m):
    """OPS-4, SDC-1: one line an event with its level; session= and turn= in what concerns a turn"""
    entries = m.journal("chatd")
    text = [e["MESSAGE"] for e in entries if isinstance(e["MESSAGE"], str)]
    assert any("session=" in t and "turn=" in t for t in text), "no line names a session and its turn"
    assert not any(t.startswith("<") for t in text), "a level is left in the text"
    levels = {e["PRIORITY"] for e in entries}
    assert {"5", "6"} <= levels, f"levels: {levels}"


def test_a_revoked_token_needs_a_restart_and_a_reload_says_so(m):
    """SEC-2, OPS-4: tokens are a credential, which a reload can't see"""
    path = f"{ETC}/access/tokens"
    extra = m.sh(f"/usr/local/bin/chatctl token --file {path} add ben").stdout.strip()
    m.ctl("restart streamerd")
    tap.eq(m.python(SAY, extra)["status"], 202, "with the new token")
    said = m.sh(f"/usr/local/bin/chatctl token --file {path} revoke ben 2>&1").stdout
    assert "systemctl restart streamerd" in said, said
    m.ctl("reload streamerd")
    until(lambda: any("auth.credential" in str(e["MESSAGE"]) for e in m.journal("streamerd")), "the warning", 20)
    tap.eq(m.python(SAY, extra)["status"], 202, "after a reload, as it says")
    m.ctl("restart streamerd")
    tap.eq(m.python(SAY, extra)["status"], 401, "after a restart")
    tap.eq(m.python(SAY, TOKEN)["status"], 202, "the other token")


def test_a_hung_daemon_is_found_and_replaced(m):
    """OPS-4, PRC-1: systemd's watchdog kills a streamerd and a supervisor that are stuck, the supervisor a worker; afterwards all is well"""
    stuck = workers(m)[0]
    m.sh(f"kill -STOP {stuck} {main_pid(m, 'streamerd')}")
    began = time.monotonic()
    until(lambda: int(m.show("streamerd", "NRestarts")["NRestarts"]) == 1 and active(m, "streamerd"),
          "streamerd was replaced", 30)
    tap.note(f"streamerd replaced after {time.monotonic() - began:.1f} s, watchdog 3 s")
    until(lambda: stuck not in workers(m) and len(workers(m)) == 2, "the worker was replaced", 60)
    tap.note(f"worker replaced after {time.monotonic() - began:.1f} s")
    m.sh(f"kill -STOP {main_pid(m, 'chatd')}")
    until(lambda: int(m.show("chatd", "NRestarts")["NRestarts"]) == 1 and active(m, "chatd"), "chatd was replaced", 60)
    tap.eq(m.show("chatd", "Result")["Result"], "success", "chatd after its restart")
    until(lambda: m.python(SAY, TOKEN)["status"] == 202, "a message is taken", 20)


def test_restarts_under_load_lose_nothing(m):
    """OPS-4, DUR-8, DUR-4, RUN-1: both daemons restarted again and again: no connection refused, no turn lost, no event missing or twice"""
    load = m.python(TESTS_LOAD, "8080", TOKEN, "8", "/run/enough", wait=False)
    try:
        rounds = 4
        for i in range(rounds):
            m.ctl("restart streamerd")
            m.ctl("restart chatd" if i % 2 else "restart chatd streamerd")
        m.write("/run/enough", "")
        out, err = load.communicate(timeout=scaled(100))
    finally:
        load.kill()
    assert load.returncode == 0, err[-2000:]
    seen = json.loads(out)
    tap.note(json.dumps(seen))
    tap.eq(seen["wrong"], [], "what clients saw")
    tap.eq(seen["refused"], 0, "connections refused")
    assert seen["turns"] >= 8, seen
    assert active(m, "streamerd.socket", "streamerd", "chatd"), "all run"
    states = m.sh("sqlite3 /var/lib/chatd/events.db 'SELECT state, count(*) FROM v_turns GROUP BY state'").stdout
    tap.note(states)
    assert states.startswith("done|") and states.count("\n") == 1, f"turns in the log: {states}"


def test_stop_is_clean(m):
    """RUN-1, OPS-4: both end in order, and nothing is left of them"""
    m.ctl("stop streamerd.socket streamerd chatd")
    for unit in ("chatd", "streamerd"):
        state = m.show(unit, "ActiveState", "Result", "ExecMainStatus")
        tap.eq(state, {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}, unit)
    assert m.sh("ls /run/chatd /run/credentials/chatd.service", check=False).returncode != 0, "folders are left"
    bug = [e["MESSAGE"] for e in m.journal("chatd") + m.journal("streamerd") if "broken invariant" in str(e["MESSAGE"])]
    tap.eq(bug, [], "broken invariants")


def test_a_bad_key_ends_it_until_it_is_mended(m):
    """RUN-1, RUN-2, OPS-4: a wrong config is status 78 and a failed unit, at once and for good; the mended one starts"""
    for unit, text in (("chatd", CHATD_CONF), ("streamerd", STREAMERD_CONF)):
        m.write(f"{ETC}/{unit}.conf", text + "nope = 1\n")
        assert m.ctl(f"start {unit}.service", check=False).returncode != 0, f"{unit} starts with a bad key"
        state = m.show(unit, "ActiveState", "ExecMainStatus", "NRestarts")
        tap.eq(state, {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}, unit)
        said = [e["MESSAGE"] for e in m.journal(unit) if "nope" in str(e["MESSAGE"])]
        assert said and f"{unit}.conf:" in said[-1], said
        m.write(f"{ETC}/{unit}.conf", text)
        m.ctl(f"start {unit}.service")
        assert active(m, unit), unit
    m.ctl("stop streamerd.socket streamerd chatd")


def drop_in(m, unit, text):
    m.write(f"/etc/systemd/system/{unit}.d/test.conf", text)


def run():
    with Machine() as m:
        m.install(BUILD)
        m.write("/usr/local/lib/probe.py", PROBE)
        m.write(f"{ETC}/chatd.conf", CHATD_CONF)
        m.write(f"{ETC}/streamerd.conf", STREAMERD_CONF)
        m.write(f"{ETC}/keys/paid", KEY + "\n", 0o600)
        m.write(f"{ETC}/access/tokens", f"anna:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n", 0o600)
        for unit in ("chatd.service", "streamerd.service"):  # as long as a test can wait
            drop_in(m, unit, "[Service]\nWatchdogSec=3\n")
        m.ctl("daemon-reload")
        tap.run(globals(), m)


def test_machine(m):
    """OPS-4: systemd finds nothing wrong with what was installed"""
    tap.note(m.sh("systemctl --version | head -1; systemctl is-system-running", check=False).stdout)
    for unit in ("chatd.service", "streamerd.service", "streamerd.socket", "chat.slice"):
        tap.eq(m.show(unit, "LoadState")["LoadState"], "loaded", unit)


if __name__ == "__main__":
    try:
        run()
    except tap.Skip as why:
        tap.one("the units under systemd", lambda why=why: (_ for _ in ()).throw(why))
    tap.finish()
