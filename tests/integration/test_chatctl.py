"""chatctl: what an operator sees and does at a shell, beside the daemons and without them."""

import hashlib
import json
import os
import signal
import subprocess

from lib import http, tap, upstream
from lib.daemons import Stack
from lib.tools import ANTHROPIC as A
from lib.tools import ToolStack
from lib.upstream import Upstream, chunk, hang
from lib.wait import SCALE, until

CHATCTL = os.path.join(os.path.dirname(os.environ["CHATD"]), "ctl", "chatctl")
OK, NO, FAILED, NOT_FOUND = range(4)
NASTY = "a\x1b[31mred\x07\u009bx"


def ctl(t, *args, stdin=None):
    """Exit status, stdout, stderr."""
    p = subprocess.run([CHATCTL, "--config", t.chatd_conf, *args], input=stdin, capture_output=True, timeout=60 * SCALE,
                       encoding="utf-8")
    return p.returncode, p.stdout, p.stderr


def ok(t, *args, **more):
    status, out, err = ctl(t, *args, **more)
    assert status == OK, f"chatctl {args}: {status}, {err}"
    return out


def js(t, *args):
    return json.loads(ok(t, "--json", *args))


def test_sessions_are_listed_searched_and_shown(t):
    """OPS-1"""
    t.up.on("zebra crossing", upstream.text("black and white"))
    sid = t.say("zebra crossing")["session_id"]
    t.wait_idle(sid)
    rows = js(t, "sessions")
    assert sid in [r["session_id"] for r in rows], rows
    tap.eq([r["session_id"] for r in js(t, "sessions", "--search", "ZEBRA")], [sid], "found")
    tap.eq(js(t, "sessions", "--owner", "nobody"), [], "of another owner")
    tap.eq(len(js(t, "sessions", "--limit", "1")), 1, "limited")
    for wrong in ("0", "-1", "many", "1x"):
        tap.eq(ctl(t, "sessions", "--limit", wrong)[0], FAILED, f"--limit {wrong}")
    table = ok(t, "sessions", "--search", "zebra").splitlines()
    assert table[0].split()[:3] == ["SESSION_ID", "OWNER", "STATE"], table
    assert table[1].startswith(sid) and table[1].endswith("zebra crossing"), table
    shown = js(t, "show", sid)
    tap.eq([m["content"] for m in shown["messages"]], ["zebra crossing", "black and white"], "messages")
    tap.eq(shown["turns"][0]["state"], "done", "turn")
    out = ok(t, "show", sid[:12])
    assert "zebra crossing" in out and "black and white" in out, out


def test_what_is_not_there_has_a_status_of_its_own(t):
    """OPS-1"""
    for args in (("show", "ses_nothing"), ("abort", "ses_nothing"), ("follow", "ses_nothing"), ("prompts", "ses_no"),
                 ("allow", "prm_nothing"), ("send", "--session", "ses_nothing", "x")):
        status, out, err = ctl(t, *args)
        tap.eq((status, out), (NOT_FOUND, ""), f"{args}: {err}")
    for args in ((), ("nonsense",), ("show",), ("sessions", "--wrong"), ("send",), ("send", ""), ("allow",),
                 ("answer", "prm_x"), ("sessions", "extra"), ("--config", "/nowhere/chatd.conf", "sessions"),
                 ("--db", "/nowhere/events.db", "sessions")):
        status, out, err = ctl(t, *args)
        assert status in (FAILED, NOT_FOUND) and err, f"{args}: {status} {out} {err}"


def test_the_log_is_read_while_chatd_is_down(t):
    """OPS-1, DUR-9"""
    t.up.on("read me later", upstream.text("later"))
    sid = t.say("read me later")["session_id"]
    t.wait_idle(sid)
    tap.eq(t.chatd.term(), 0, "exit status")
    try:
        assert "later" in ok(t, "show", sid)
        status, _, err = ctl(t, "abort", sid)
        tap.eq(status, FAILED, err)
        stats = js(t, "stats")
        assert "error" in stats["workers"][0] and stats["log"]["sessions"] > 0, stats
    finally:
        t.chatd.start()
        t.wait_ready(30)


def test_a_message_is_sent_followed_and_aborted(t):
    """OPS-1, SDC-7, SDC-3"""
    t.up.on("from the shell", upstream.text("to ", "the ", "shell"))
    out = ok(t, "send", "--follow", "from the shell")
    assert "to the shell" in out and "[done after" in out, out
    sid, turn = ok(t, "send", "-", stdin="from the shell").split()
    t.wait_idle(sid)
    tap.eq(t.log.turn(turn)["state"], "done", "state")
    t.up.on("breaks off", upstream.cut(chunk("half")))
    status, out, _ = ctl(t, "send", "--follow", "breaks off")
    tap.eq(status, NO, f"status of a turn that failed: {out}")
    assert "half" in out and "[error " in out, out
    t.up.on("never ends", hang(chunk("so far")))
    accepted = js(t, "send", "--session", sid, "never ends")
    tap.eq((accepted["session_id"], accepted["created"]), (sid, False), "accepted")
    until(lambda: t.log.turn(accepted["turn_id"])["state"] == "running", "it runs")
    status, _, err = ctl(t, "send", "--session", sid, "too early")
    tap.eq(status, NO, err)
    assert "already_processing" in err, err
    ok(t, "abort", sid)
    tap.eq(t.log.turn(accepted["turn_id"])["state"], "aborted", "state")
    status, _, err = ctl(t, "abort", sid)
    tap.eq(status, NO, err)
    assert "not_processing" in err, err


def test_following_goes_on_over_the_death_of_the_worker(t):
    """OPS-1, DUR-6, SDC-10"""
    texts = [f"w{i} " for i in range(60)]
    turn = t.say(t.up.on("follow me", upstream.drip(texts, 60)))
    sid = turn["session_id"]
    p = subprocess.Popen([CHATCTL, "-c", t.chatd_conf, "--json", "follow", sid, "--until-idle"],
                         stdout=subprocess.PIPE, encoding="utf-8")
    until(lambda: len(t.log.events(sid)) > 20, "text")
    t.kill_workers()
    t.wait_ready(30)
    out, _ = p.communicate(timeout=60 * SCALE)
    tap.eq(p.returncode, OK, "exit status")
    got = [json.loads(line) for line in out.splitlines()]
    rows = t.log.events(sid)
    tap.eq([e["seq"] for e in got], [r["seq"] for r in rows], "seqs printed and stored")
    assert any(r["type"] == "turn_resumed" for r in rows), "the worker died too late"
    tap.eq(got[-1]["session_id"], sid, "common members")


def test_follow_ends_at_a_signal_and_leaves_the_turn_alone(t):
    """OPS-1, SDC-4"""
    turn = t.say(t.up.on("watched", upstream.drip(["x "] * 40, 40)))
    p = subprocess.Popen([CHATCTL, "-c", t.chatd_conf, "follow", turn["session_id"]], stdout=subprocess.PIPE)
    assert p.stdout.readline().startswith(b"[turn ")
    p.send_signal(signal.SIGINT)
    p.wait(20 * SCALE)
    p.stdout.close()
    tap.eq(t.wait_idle(turn["session_id"])["content"], "x " * 40, "answer")


def test_prompts_are_listed_and_answered(t):
    """OPS-1, SDC-13, SEC-6"""
    t.up.on("may it", A.calls(("c1", "asks__write", '{"text":"one"}')), A.text("it did."))
    turn = t.say("may it", provider="claude")
    sid = turn["session_id"]
    t.wait_waiting(sid)
    (prompt,) = js(t, "prompts", sid)
    tap.eq((prompt["kind"], prompt["tool"], prompt["arguments"]), ("tool_permission", "write", {"text": "one"}), "prompt")
    assert prompt["prompt_id"] in ok(t, "prompts"), "in the table"
    shown = ok(t, "show", sid)
    assert f"chatctl allow {prompt['prompt_id']}" in shown, shown
    ok(t, "allow", prompt["prompt_id"])
    tap.eq(t.wait_idle(sid)["content"], "it did.", "answer")
    status, _, err = ctl(t, "deny", prompt["prompt_id"])
    tap.eq(status, NO, err)
    assert "already_resolved" in err, err
    t.up.on("once more", A.calls(("c2", "asks__write", '{"text":"two"}')), A.text("it did not."))
    t.say("once more", sid, provider="claude")
    t.wait_waiting(sid)
    ok(t, "deny", js(t, "prompts", sid)[0]["prompt_id"])
    tap.eq(t.wait_idle(sid)["tool_invocations"][0]["status"], "denied", "status")


def test_allowed_for_the_session_is_not_asked_again(t):
    """OPS-1, TOL-2"""
    t.up.on("first", A.calls(("c1", "asks__write", '{"text":"one"}')), A.text("one."))
    t.up.on("second", A.calls(("c2", "asks__write", '{"text":"two"}')), A.text("two."))
    sid = t.say("first", provider="claude")["session_id"]
    t.wait_waiting(sid)
    ok(t, "allow", js(t, "prompts", sid)[0]["prompt_id"], "--session")
    t.wait_idle(sid)
    t.say("second", sid, provider="claude")
    tap.eq(t.wait_idle(sid)["content"], "two.", "answer")


def test_questions_are_answered_by_their_ids(t):
    """OPS-1, TOL-3"""
    questions = {"questions": [
        {"question": "Which?", "options": [{"label": "a"}, {"label": "b"}], "multiple": True},
        {"question": "Why?", "free_text": True}]}
    t.up.on("ask me", A.calls(("c1", "ask_user", json.dumps(questions))), A.text("thanks."))
    sid = t.say("ask me", provider="claude")["session_id"]
    t.wait_waiting(sid)
    (prompt,) = js(t, "prompts", sid)
    ids = [q["id"] for q in prompt["request"]["questions"]]
    assert "Which?" in ok(t, "show", sid)
    status, _, err = ctl(t, "answer", prompt["prompt_id"], f"{ids[0]}=zzz", f"{ids[1]}=so")
    tap.eq(status, NO, err)
    ok(t, "answer", prompt["prompt_id"], f"{ids[0]}=a", f"{ids[0]}=b", f"{ids[1]}=be=cause")
    t.wait_idle(sid)
    output = json.dumps(t.snapshot(sid)["tool_invocations"][0]["output"])
    assert "a" in output and "b" in output and "be=cause" in output, output


def test_a_terminal_is_not_driven_by_what_users_and_models_wrote(t):
    """SEC-5, OPS-1"""
    t.up.on(NASTY, upstream.text(NASTY))
    sid = t.say(NASTY)["session_id"]
    t.wait_idle(sid)
    for args in (("sessions",), ("show", sid), ("follow", sid, "--until-idle")):
        out = ok(t, *args)
        assert not [c for c in out if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160], f"{args}: {out!r}"
    tap.eq(js(t, "show", sid)["messages"][1]["content"], NASTY, "scripts get what was said")


def test_stats_count_the_log_and_the_workers(t):
    """OPS-1"""
    stats = js(t, "stats")
    tap.eq(len(stats["workers"]), t.workers, "workers")
    tap.eq(stats["log"]["sessions"], t.log.one("SELECT count(*) FROM v_sessions"), "sessions")
    done = next(s for s in stats["turns"] if s["state"] == "done")
    tap.eq(done["turns"], t.log.one("SELECT count(*) FROM turns WHERE state = 'done'"), "turns done")
    assert "sessions" in ok(t, "stats")


def test_verify_finds_the_log_by_itself(t):
    """OPS-1"""
    for sid in [s["session_id"] for s in js(t, "sessions", "--limit", "200")]:
        t.wait_idle(sid)
    assert ok(t, "verify").startswith("clean: "), "verify"


def test_a_backup_is_the_log_of_one_moment(t):
    """OPS-1, DUR-9"""
    busy = t.say(t.up.on("meanwhile", upstream.drip(["m "] * 60, 60)))
    copy = os.path.join(t.dir, "copy.db")
    ok(t, "backup", copy)
    assert ok(t, "verify", copy).startswith("clean: ")
    status, _, err = ctl(t, "backup", copy)
    tap.eq(status, FAILED, f"onto what is there: {err}")
    assert ok(t, "--db", copy, "show", busy["session_id"]), "it can be read like the log"
    tap.eq(ctl(t, "backup", "/nowhere/copy.db")[0], FAILED, "no such folder")
    tap.eq(t.wait_idle(busy["session_id"])["content"], "m " * 60, "answer")


def test_pruning_folds_turns_and_takes_old_sessions_out(t):
    """OPS-1, OPS-3"""
    t.up.on("to be folded", upstream.text("kept", "as", "an answer"))
    turn = t.say("to be folded")
    t.wait_idle(turn["session_id"])
    tap.eq(ctl(t, "prune")[0], FAILED, "without a limit")
    tap.eq(ctl(t, "prune", "--keep-deltas", "soon")[0], FAILED, "a bad time")
    until(lambda: js(t, "prune", "--keep-deltas", "1ms") and not [
        e for e in t.log.events(turn["session_id"]) if e["type"] == "response_chunk"], "the turn is folded")
    assert "keptasan answer" in ok(t, "show", turn["session_id"])
    assert ok(t, "verify").startswith("clean: ")
    done = js(t, "prune", "--keep-sessions", "1ms")
    assert done["sessions_removed"] > 0, done
    tap.eq(t.call("GET", f"/v1/sessions/{turn['session_id']}").status, 404, "it is gone")


def test_tokens_are_made_listed_and_revoked(t):
    """OPS-1, SEC-2"""
    path = os.path.join(t.dir, "made-tokens")
    token = ok(t, "token", "--file", path, "add", "anna").strip()
    other = js(t, "token", "--file", path, "add", "ben@example.org")
    assert len(token) >= 40 and token != other["token"]
    with open(path, encoding="ascii") as f:
        lines = f.read().splitlines()
    tap.eq(lines[0], "anna:" + hashlib.sha256(token.encode()).hexdigest(), "what is stored")
    assert token not in "\n".join(lines)
    tap.eq(os.stat(path).st_mode & 0o777, 0o600, "mode")
    tap.eq([x["owner"] for x in js(t, "token", "--file", path, "list")], ["anna", "ben@example.org"], "owners")
    tap.eq(ctl(t, "token", "--file", path, "add", "not:good")[0], FAILED, "a bad name")
    with Stack(t.up, streamerd=f"[auth]\nmode = tokens\ntokens_file = {path}\n") as served:
        def status(**headers):
            return http.request(served.port, "GET", "/v1/sessions", headers=headers).status

        tap.eq(status(), 401, "without a token")
        tap.eq(status(Authorization=f"Bearer {token}"), 200, "with it")
        js(t, "token", "--file", path, "revoke", lines[0].split(":")[1][:12])
        tap.eq(ctl(t, "token", "--file", path, "revoke", "anna")[0], NOT_FOUND, "it is gone")
        served.streamerd.process.send_signal(signal.SIGHUP)
        until(lambda: status(Authorization=f"Bearer {token}") == 401, "it is refused")
        tap.eq(status(Authorization=f"Bearer {other['token']}"), 200, "the other one")


if __name__ == "__main__":
    with Upstream() as up:
        with ToolStack(up) as stack:
            tap.run(globals(), stack)
    tap.finish()
