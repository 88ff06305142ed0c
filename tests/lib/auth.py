"""A stack with tokens, two owners, and what a test asks as them."""

import hashlib
import json
import os
import signal

from lib import tap
from lib.tools import OPENAI, ToolStack
from lib.wait import until

D = OPENAI
TOKENS = {"ann": "ann-secret-token-0123456789", "bob": "bob-secret-token-0123456789"}
CAROL = "carol-secret-token-0123456789"
LISTED, OTHER_LISTED = "https://app.example.org", "http://dev.example.org:5173"
AUTH = """[auth]
mode = tokens
tokens_file = {dir}/tokens
allowed_origins = {origins}
"""


def digest(token):
    return hashlib.sha256(token.encode()).hexdigest()


def bearer(token):
    return {"Authorization": "Bearer " + token}


ANN, BOB = bearer(TOKENS["ann"]), bearer(TOKENS["bob"])


class AuthStack(ToolStack):
    """With tokens; also the Unix socket `sock` is listened at. `http` are more keys of [http]."""

    def __init__(self, up, tokens=TOKENS, http=None, workers=2, **more):
        self.http_keys = "".join(f"{k} = {v}\n" for k, v in (http or {}).items())
        super().__init__(up, workers=workers, start=False, **more)
        self.sock = os.path.join(self.dir, "http.sock")
        if tokens:
            self.write_tokens("".join(f"{o}:{digest(x)}\n" for o, x in tokens.items()))
            self.set_origins(f"{LISTED}, {OTHER_LISTED}")
        else:
            self.write_conf()
        self.start()

    def write_tokens(self, text):
        with open(os.path.join(self.dir, "tokens"), "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(f.name, 0o600)

    def set_origins(self, origins):
        self.streamerd_extra = AUTH.format(dir=self.dir, origins=origins)
        self.write_conf()

    def write_conf(self):
        super().write_conf()
        if not hasattr(self, "sock"):
            return
        with open(self.streamerd_conf, encoding="utf-8") as f:
            conf = f.read()
        with open(self.streamerd_conf, "w", encoding="utf-8") as f:
            f.write(conf.replace("\n[bus]", f", unix:{self.sock}\n{self.http_keys}[bus]", 1))

    def reload(self, word):
        """SIGHUP, and what streamerd says to it."""
        self.streamerd.mark()
        self.streamerd.process.send_signal(signal.SIGHUP)
        return until(lambda: [x for x in self.streamerd.log().splitlines() if word in x], word)[0]

    def status(self, headers, target="/v1/sessions"):
        return self.call("GET", target, headers=headers).status

    def snapshot_as(self, headers, sid):
        r = self.call("GET", f"/v1/sessions/{sid}/snapshot", headers=headers)
        tap.eq(r.status, 200, f"snapshot: {r}")
        return r.json()

    def waiting_turn(self, key):
        """A turn of ann's that waits for her permission: (session, turn, prompt)."""
        self.up.on(key, D.calls(("c1", "asks__write", json.dumps({"text": key}))), D.text("Done."))
        doc = self.post_as(ANN, key, provider="main").json()
        sid = doc["session_id"]

        def prompts():
            snap = self.snapshot_as(ANN, sid)
            return snap["state"] == "waiting" and snap["pending_prompts"]

        return sid, doc["turn_id"], until(prompts, "the prompt")[0]["id"]


def refusal(r):
    return r.status, r.error()["code"]
