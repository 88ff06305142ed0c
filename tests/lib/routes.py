"""The routes of streamerd, read from its own table, so that a test over all of them can't forget one."""

import os
import re

SOURCE = os.path.join(os.path.dirname(__file__), "..", "..", "streamerd", "app.c")
ROW = re.compile(r'\{HTTP_(\w+), "([^"]+)", (\w+), ROUTE_(\w+)\}')


class Route:
    """method, pattern ("/v1/sessions/:"), handler, auth ("token", "open", "ticket")."""

    def __init__(self, method, pattern, handler, auth):
        self.method, self.pattern, self.handler, self.auth = method, pattern, handler, auth.lower()

    def target(self, *params):
        """The pattern with its ":" segments filled in; the last one given serves for all others."""
        parts, left = self.pattern.split(":"), list(params) or ["x"]
        text = parts[0]
        for part in parts[1:]:
            text += (left.pop(0) if len(left) > 1 else left[0]) + part
        return text

    def __repr__(self):
        return f"{self.method} {self.pattern}"


def routes():
    with open(SOURCE, encoding="utf-8") as f:
        text = f.read()
    table = re.search(r"struct route routes\[\] = \{(.*?)\n\};", text, re.DOTALL).group(1)
    found = [Route(*row) for row in ROW.findall(table)]
    assert len(found) == table.count("HTTP_") > 10, f"{len(found)} routes were understood in {table}"
    return found
