"""/metrics: the form, checked strictly; what each number counts; and that dashboard, alerts and /ops name nothing else."""

import json
import os
import re
import sys
import threading

from lib import plan, tap, upstream
from lib.daemons import Stack
from lib.load import SERVER
from lib.prometheus import parse
from lib.upstream import Upstream
from lib.wait import until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def scrape(t):
    r = t.call("GET", "/metrics")
    tap.eq((r.status, r.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"), "answer")
    return parse(r.body)


def test_an_idle_system_tells_every_family(up):
    """OPS-5"""
    with Stack(up) as t:
        m = scrape(t)
        tap.eq((m["chatd_workers"].value(), m["chatd_workers_up"].value(), m["chatd_workers_writable"].value()),
               (2, 2, 2), "workers")
        tap.eq(m["chatd_turns_total"].value(), 0, "turns")
        tap.eq(len(m["chatd_turns_total"].samples), 6, "outcomes that have not been yet, of each worker")
        assert m["chatd_db_bytes"].value() >= m["chatd_db_used_bytes"].value() > 4096
        tap.eq(m["chatd_build_info"].value(worker="1"), 1, "version")
        text = json.dumps(sorted(m))
        for path in ("systemd/examples/grafana-dashboard.json", "systemd/examples/prometheus-alerts.yml",
                     "streamerd/web/page/ops.js"):
            with open(os.path.join(TOP, path), encoding="utf-8") as f:
                named = set(re.findall(r"\b(?:chatd|streamerd)_[a-z_]+", f.read()))
            assert len(named) > 8, named
            for name in named:
                base = re.sub(r"_(bucket|sum|count)$", "", name)
                assert name in m or (base in m and m[base].kind == "histogram"), f"{path}: {name} is not in {text}"


def test_a_chatd_that_is_not_there_is_alarmed(up):
    """OPS-5: streamerd started without it counts no workers, of which none can be missing"""
    with Stack(up) as t:
        t.chatd.term()
        t.streamerd.term()
        t.streamerd.start()

        def answers():
            try:
                return t.call("GET", "/metrics").status == 200
            except OSError:
                return False

        until(answers, "streamerd answers", 20)
        m = scrape(t)
        tap.eq((m["chatd_workers"].value(), m["chatd_workers_up"].value()), (0, 0), "workers")
    with open(os.path.join(TOP, "systemd", "examples", "prometheus-alerts.yml"), encoding="utf-8") as f:
        rules = f.read()
    for wanted in ("expr: chatd_workers_up < chatd_workers or chatd_workers == 0\n", 'expr: up{job="chatd"} == 0\n'):
        assert wanted in rules, wanted


def test_the_spec_lists_what_there_is(up):
    """OPS-5"""
    with open(os.path.join(TOP, ".lore", "specs", "metrics.md"), encoding="utf-8") as f:
        listed = set(re.findall(r"`((?:chatd|streamerd)_[a-z_]+)`", f.read()))
    with Stack(up) as t:
        tap.eq(sorted(set(scrape(t)) - listed), [], "metrics that the spec does not name")
        tap.eq(sorted(listed - set(scrape(t))), [], "metrics that are only in the spec")


def test_each_number_counts_what_it_says(up):
    """OPS-5: turns by outcome, tokens, provider's errors, retries and times, tools, viewers, events, queues."""
    journal = "/dev/null"
    tools = f"[tools kit]\ncommand = {sys.executable} {SERVER} {journal}\npermission = allow\nask_tools = risky\n"
    with Stack(up, workers=1, chatd=tools, providers={"odd": {"type": "openai", "max_retries": 1}}) as t:
        up.default = plan.script
        up.on("plain", upstream.text("some ", "words"))
        up.on("fails", upstream.error(400, {"error": {"message": "no"}}))
        up.on("limited", upstream.error(503, {"error": {"message": "later"}}))
        up.on("hangs", upstream.hang(upstream.chunk("so ")))
        done = t.say("plain")
        v = t.viewer(done["session_id"])
        t.wait_idle(done["session_id"])
        for content, more in (("fails", {}), ("limited", {"provider": "odd", "model": 'a"b\\c'})):
            t.wait_idle(t.say(content, **more)["session_id"], timeout=40)
        hanging = t.say("hangs")
        t.say("later", hanging["session_id"], on_busy="queue")
        waiting = t.say(plan.plan("m", (["Let ", "me. "], [["kit__look", {"key": "m.0.0"}], ["kit__risky", {"key": "m"}]])))
        t.wait_state(waiting["turn_id"], "waiting")
        m = scrape(t)
        tap.eq([m["chatd_turns_total"].value(outcome=o) for o in ("done", "error", "aborted")], [1, 2, 0], "turns")
        tap.eq(m["chatd_turns_started_total"].value(), 5, "started")
        tap.eq([m[f"chatd_turns_{x}"].value() for x in ("running", "waiting", "queued")], [1, 1, 1], "now")
        tap.eq(m["chatd_turn_errors_total"].value(code="provider_error"), 2, "errors")
        tap.eq(m["chatd_turn_seconds"].value("_count", outcome="error"), 2, "turn times")
        tap.eq([m["chatd_tokens_total"].value(kind=k, provider="main", model="test-model") for k in ("input", "output")],
               [3, 5], "tokens")
        tap.eq(m["chatd_provider_requests_total"].value(provider="main", outcome="answered"), 2, "answers")
        tap.eq(m["chatd_provider_requests_total"].value(provider="odd", outcome="provider_error"), 1, "errors")
        tap.eq(m["chatd_provider_retries_total"].value(provider="odd"), 1, "retries")
        tap.eq(m["chatd_provider_first_token_seconds"].value("_count", provider="odd"), 0, "no first token")
        assert m["chatd_provider_request_seconds"].value("_sum", provider="odd") >= 0.37, "the retry's wait, 375 ms at least"
        tap.eq(m["chatd_tool_calls_total"].value(server="kit", status="done"), 1, "tool calls")
        tap.eq(m["chatd_tool_call_seconds"].value("_count", server="kit"), 1, "their times")
        stored = t.log.one("SELECT count(*) FROM events")
        tap.eq(m["chatd_events_stored_total"].value(), stored, "events")
        tap.eq(m["chatd_commit_events"].value("_sum"), stored, "events in commits")
        tap.eq(m["chatd_commit_events"].value("_count"), m["chatd_commit_seconds"].value("_count"), "commits")
        tap.eq(m["streamerd_viewers"].value(), 1, "viewers")
        v.close()
        until(lambda: scrape(t)["streamerd_viewers"].value() == 0, "no viewer is counted any more")
        t.abort(hanging["session_id"])
        until(lambda: scrape(t)["chatd_turns_total"].value(outcome="aborted") == 1, "the abort is counted")


def test_a_worker_that_died_is_counted(up):
    """OPS-5, PRC-1"""
    with Stack(up) as t:
        tap.eq(scrape(t)["chatd_worker_restarts_total"].value(), 0, "restarts")
        t.kill_workers(1)
        t.wait_ready()
        m = scrape(t)
        tap.eq([m["chatd_worker_restarts_total"].value(worker=w) for w in "01"], [0, 1], "restarts")


def test_models_that_clients_name_are_bounded(up):
    """OPS-5, PRC-5"""
    up.default = upstream.text("ok")
    with Stack(up, workers=1) as t:
        session = None
        for i in range(70):
            session = t.say("hi", session, model=f"m{i}")["session_id"]
            t.wait_idle(session)
        m = scrape(t)["chatd_tokens_total"]
        tap.eq(len({dict(k[1])["model"] for k in m.samples}), 65, "models")
        tap.eq(m.value(kind="input", model="other"), 6 * 3, "the rest")


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_goes_on_to_the_provider_and_into_log_and_rows(up):
    """OPS-5, OPS-4, FAF-6: also for a turn that waits in the queue, and for one that is taken up after a crash."""
    up.default = upstream.text("ok")
    gate = threading.Event()
    up.on("gated", upstream.gated(["be", "fore "], gate, ["after"]))
    with Stack(up) as t:
        def send(content, trace, session=None, **more):
            body = {"content": content, **more, **({"session_id": session} if session else {})}
            r = t.call("POST", "/v1/messages", body, {"traceparent": trace})
            tap.eq(r.status, 202, "POST")
            return r.json()

        def sent(content):
            return [r.headers.get("traceparent") for r in up.requests if content == r.key]

        plain = send("traced", TRACE)
        t.wait_idle(plain["session_id"])
        tap.eq(sent("traced"), [TRACE], "what the provider was told")
        tap.eq(t.log.turn(plain["turn_id"])["traceparent"], TRACE, "the row")
        log = t.chatd.log()
        for event in ("turn.start", "turn.end"):
            line = next(x for x in log.splitlines() if event in x and plain["turn_id"] in x)
            assert f"session={plain['session_id']}" in line and f"trace={TRACE[3:35]}" in line, line
        bad = send("not traced", TRACE.upper())
        t.wait_idle(bad["session_id"])
        tap.eq((sent("not traced"), t.log.turn(bad["turn_id"])["traceparent"]), ([None], None), "an invalid one")
        running = send("gated", TRACE)
        queued = send("queued", TRACE[:-1] + "0", running["session_id"], on_busy="queue")
        until(lambda: len(sent("gated")) == 1, "it is asked")
        t.kill_workers()
        until(lambda: len(sent("gated")) == 2, "it is asked again", 30)
        gate.set()
        t.wait_idle(running["session_id"])
        until(lambda: t.log.turn(queued["turn_id"])["state"] == "done", "the queued one is done", 30)
        tap.eq(sent("gated"), [TRACE] * 2, "after a crash")
        tap.eq(sent("queued"), [TRACE[:-1] + "0"], "from the queue")


if __name__ == "__main__":
    with Upstream() as provider:
        tap.run(globals(), provider)
    tap.finish()
