"""Records event streams from the real daemons into tests/golden/events, for state.mjs:

    PYTHONPATH=tests CHATD=… STREAMERD=… python3 tests/node/record.py

A line is {"name", "data"} of an event, in the order of its seq, from the first one on. Between them
stand snapshots as they were when the last event before them was the newest. Recorded anew when
an event gains members; the tests name no value of them.
"""

import json
import os

from lib import db
from lib.daemons import Stack
from lib.upstream import Upstream, text
from lib.wait import until

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "events")


class Recording:
    def __init__(self, stack, name):
        self.stack, self.name, self.snapshots, self.session = stack, name, {}, None

    def say(self, content, **more):
        doc = self.stack.say(content, self.session, **more)
        self.session = doc["session_id"]
        return doc

    def look(self):
        s = self.stack.snapshot(self.session)
        self.snapshots[s["seq"]] = s
        return s

    def until(self, state):
        def there():
            return self.look()["state"] == state

        until(there, f"{self.name} is {state}", poll=0.1)

    def answer(self, answer):
        p = self.look()["pending_prompts"][0]
        r = self.stack.call("POST", f"/v1/sessions/{self.session}/prompts/{p['id']}", answer)
        assert r.status == 200, r

    def save(self):
        self.look()
        with open(os.path.join(FOLDER, self.name + ".jsonl"), "w", encoding="utf-8") as f:
            for row in self.stack.log.events(self.session):
                print(json.dumps({"name": row["type"], "data": json.loads(db.frame_data(row))}, ensure_ascii=False), file=f)
                if row["seq"] in self.snapshots:
                    print(json.dumps({"name": "snapshot", "data": self.snapshots[row["seq"]]}, ensure_ascii=False), file=f)


def show(t):
    r = Recording(t, "show")
    r.say("test")
    r.until("waiting")
    r.answer({"allow": True, "remember": "session"})
    r.until("waiting")
    r.answer({"answers": {"next": "That was enough"}})
    r.until("idle")
    r.say("demo: chunks=40 size=9")
    r.until("idle")
    r.save()


def stopped(t):
    r = Recording(t, "stopped")
    r.say("test")
    r.until("waiting")
    r.answer({"allow": False})
    r.until("waiting")
    t.abort(r.session)
    r.until("idle")
    r.say("demo: chunks=4000 size=9")
    until(lambda: r.look()["content"], "text")
    t.abort(r.session)
    r.until("idle")
    r.say("demo: error")
    r.until("idle")
    r.save()


def queue(t):
    r = Recording(t, "queue")
    r.say("test")
    r.until("waiting")
    r.say("demo: chunks=5 size=3", on_busy="queue")
    gone = r.say("withdrawn", on_busy="queue")
    r.look()
    t.abort(r.session, {"turn_id": gone["turn_id"]})
    r.look()
    r.say("demo: chunks=6 size=3", on_busy="interrupt")
    r.until("idle")
    r.save()


def resumed(t):
    r = Recording(t, "resumed")
    r.say("test")
    r.until("waiting")
    r.answer({"allow": True})
    r.until("waiting")
    t.kill_workers()
    t.wait_ready()
    r.until("waiting")
    r.answer({"answers": {"next": "That was enough"}})
    r.until("idle")
    r.say("demo: chunks=150 size=5")
    until(lambda: len(r.look()["content"]) > 100, "text")
    t.kill_workers()
    t.wait_ready()
    r.until("idle")
    r.save()


def provider(t, up):
    r = Recording(t, "provider")
    up.on("late", lambda x: x.head(503, {"Retry-After": "0"}, length=0), text("Grüße ", "🙂 an\n", "alle"))
    r.say("late", provider="main")
    r.until("idle")
    up.on("broken", lambda x: (x.head(), x.piece(b'data: {"choices":[{"delta":{"content":"half"}}]}\n\n'), x.cut()))
    r.say("broken", provider="main")
    r.until("idle")
    r.save()


def main():
    os.makedirs(FOLDER, exist_ok=True)
    with Upstream() as up, Stack(up, {"demo": {"type": "demo", "rate": 100}}, defaults={"provider": "demo"}) as t:
        show(t)
        stopped(t)
        queue(t)
        resumed(t)
        provider(t, up)


if __name__ == "__main__":
    main()
