"""Tool servers that somebody else wrote: the reference servers of npm, each used in real turns.

Skipped with a reason where node or the packages are not to be had (see lib/npm.py).
"""

import json
import os
import sys

from lib import npm, tap
from lib.tools import ANTHROPIC, DIALECTS, OPENAI, ToolStack, ToolUpstream, processes, section
from lib.wait import until


def sections(folder):
    docs = os.path.join(folder, "docs")
    os.makedirs(docs)
    with open(os.path.join(docs, "hello.txt"), "w", encoding="utf-8") as f:
        f.write("Guten Tag, Wörld\n")
    memory = os.path.join(folder, "memory.json")
    return (section("every", [npm.program("mcp-server-everything"), "stdio"], permission="ask", timeout="20s")
            + section("fs", [npm.program("mcp-server-filesystem"), docs], permission="ask", read_only="allow")
            + section("memory", [npm.program("mcp-server-memory")], permission="ask",
                      env=f"MEMORY_FILE_PATH={memory}"))


def approved(t, d, key, name, arguments, then="Done."):
    """A turn in which this call is asked for, approved and made; the invocation at its end."""
    key = f"{key} of {d.provider}"
    t.up.on(key, d.calls(("c1", name, json.dumps(arguments))), d.text(then))
    sid = t.say(key, provider=d.provider)["session_id"]
    prompt = t.prompts(sid)[0]
    tap.eq((prompt["kind"], prompt["input"]), ("tool_permission", arguments), "the prompt")
    t.wait_waiting(sid)
    tap.eq(t.answer(sid, prompt["id"], {"allow": True}).status, 200, "answer")
    return ended(t, d, key, sid, then)


def ended(t, d, key, sid, then):
    snap = t.wait_idle(sid, 40)
    tap.eq((snap["content"], snap["error"]), (then, None), key)
    tool = snap["tool_invocations"][0]
    tap.eq(d.results(t.up.of(key)[1].json)[0][1], tool["output"], "what the model is told")
    return tool


def unasked(t, d, key, name, arguments, then="Done."):
    key = f"{key} of {d.provider}"
    t.up.on(key, d.calls(("c1", name, json.dumps(arguments))), d.text(then))
    sid = t.say(key, provider=d.provider)["session_id"]
    tool = ended(t, d, key, sid, then)
    tap.eq(t.events(sid, "prompt_pending"), [], "prompts")
    return tool


def test_all_three_start_and_offer_their_tools(t):
    """TOL-1"""
    t.up.on("what is there", OPENAI.text("much"))
    snap = t.wait_idle(t.say("what is there")["session_id"], 60)
    tap.eq(t.events(snap["session"]["id"], "warning"), [], "warnings")
    names = [x["function"]["name"] for x in t.up.of("what is there")[0].json["tools"]]
    for name in ("every__echo", "fs__read_text_file", "fs__write_file", "memory__create_entities", "ask_user"):
        assert name in names, f"{name} is not among {names}"
    tap.note(f"{len(names)} tools")


def test_everything_is_used_with_approval(t):
    """TOL-1, TOL-2, SDC-11"""
    for d in DIALECTS:
        tool = approved(t, d, "echo", "every__echo", {"message": "hällo"})
        tap.eq((tool["status"], tool["output"]), ("done", "Echo: hällo"), d.provider)
        tool = approved(t, d, "sum", "every__get-sum", {"a": 2, "b": 40})
        assert tool["status"] == "done" and "42" in tool["output"], tool
        tool = approved(t, d, "picture", "every__get-tiny-image", {})
        assert tool["status"] == "done" and "[image image/png" in tool["output"], tool


def test_everything_reports_progress(t):
    """TOL-1, API-5"""
    d = ANTHROPIC
    arguments = {"duration": 1, "steps": 4}
    tool = approved(t, d, "long", "every__trigger-long-running-operation", arguments)
    assert tool["status"] == "done", tool
    sid = t.log.one("SELECT session_id FROM v_calls WHERE name = 'trigger-long-running-operation'")
    progress = [e["payload"]["progress"] for e in t.events(sid, "tool_progress")]
    assert len(progress) >= 2 and progress == sorted(progress) and progress[-1] <= 1, progress


def test_a_long_operation_is_cancelled_by_abort(t):
    """SDC-3, TOL-1"""
    d = OPENAI
    t.up.on("longer", d.calls(("c1", "every__trigger-long-running-operation", '{"duration": 30, "steps": 300}')), d.text("x"))
    sid = t.say("longer")["session_id"]
    t.answer(sid, t.prompts(sid)[0]["id"], {"allow": True})
    until(lambda: t.events(sid, "tool_progress"), "it runs")
    tap.eq(t.abort(sid).status, 202, "abort")
    snap = t.wait_idle(sid)
    tap.eq(snap["tool_invocations"][0]["status"], "incomplete", "status")
    tap.eq(approved(t, d, "after the long one", "every__echo", {"message": "x"})["output"], "Echo: x", "the server still works")


def test_filesystem_reads_without_a_question_and_writes_with_one(t):
    """TOL-2, TOL-1"""
    docs = os.path.join(t.folder, "docs")
    for d in DIALECTS:
        tool = unasked(t, d, "read", "fs__read_text_file", {"path": os.path.join(docs, "hello.txt")})
        tap.eq((tool["status"], tool["output"]), ("done", "Guten Tag, Wörld\n"), "read")
        path = os.path.join(docs, f"{d.provider}.txt")
        tool = approved(t, d, "write", "fs__write_file", {"path": path, "content": "written by " + d.provider})
        tap.eq(tool["status"], "done", f"{tool}")
        with open(path, encoding="utf-8") as f:
            tap.eq(f.read(), "written by " + d.provider, "the file")
        tool = unasked(t, d, "outside", "fs__read_text_file", {"path": "/etc/hostname"})
        tap.eq((tool["status"], tool["is_error"]), ("failed", True), "outside of what is allowed")
        assert "denied" in tool["output"] or "outside" in tool["output"], tool


def test_a_denied_write_writes_nothing(t):
    """TOL-2, SEC-6"""
    d, path = OPENAI, os.path.join(t.folder, "docs", "denied.txt")
    t.up.on("denied write", d.calls(("c1", "fs__write_file", json.dumps({"path": path, "content": "x"}))), d.text("ok"))
    sid = t.say("denied write")["session_id"]
    t.answer(sid, t.prompts(sid)[0]["id"], {"allow": False})
    tap.eq(t.wait_idle(sid)["tool_invocations"][0]["status"], "denied", "status")
    assert not os.path.exists(path)


def test_memory_keeps_what_it_is_told(t):
    """TOL-1, TOL-2"""
    for d in DIALECTS:
        entity = {"name": "Ada " + d.provider, "entityType": "person", "observations": ["counts"]}
        tool = approved(t, d, "remember", "memory__create_entities", {"entities": [entity]})
        tap.eq(tool["status"], "done", f"{tool}")
        tool = approved(t, d, "recall", "memory__read_graph", {})
        assert entity["name"] in tool["output"] and "counts" in tool["output"], tool
    with open(os.path.join(t.folder, "memory.json"), encoding="utf-8") as f:
        assert "Ada main" in f.read()


def test_arguments_that_do_not_fit_are_told_without_a_question(t):
    """FAF-5"""
    tool = unasked(t, OPENAI, "no message", "every__echo", {"massage": "x"})
    tap.eq((tool["status"], tool["is_error"]), ("failed", True), "status")
    assert "message" in tool["parse_error"], tool


def test_a_prompt_for_a_real_server_outlives_a_kill(t):
    """SDC-11, DUR-6"""
    d = OPENAI
    t.up.on("kill me", d.calls(("c1", "every__echo", '{"message":"still here"}')), d.text("yes"))
    sid = t.say("kill me")["session_id"]
    prompt = t.prompts(sid)[0]
    t.kill_workers()
    until(lambda: len(t.worker_pids()) == t.workers, "the worker is there again")
    t.wait_ready()
    tap.eq(t.answer(sid, prompt["id"], {"allow": True}).status, 200, "answer")
    tap.eq(t.wait_idle(sid, 40)["tool_invocations"][0]["output"], "Echo: still here", "the result")


def test_no_server_is_left_behind(t):
    """TOL-1"""
    t.check_end()
    until(lambda: not processes(npm.bin_folder() + "/mcp-server-"), "no server is left")


if __name__ == "__main__":
    try:
        npm.program("mcp-server-everything")
    except tap.Skip as why:
        print(f"1..0 # SKIP {why}")
        sys.exit(0)
    with ToolUpstream() as up:
        with ToolStack(up, sections, workers=1) as stack:
            tap.run(globals(), stack)
    tap.finish()
