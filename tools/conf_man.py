#!/usr/bin/env python3
"""The manual page of a config file, from the tables of .lore/specs/config.md.

    tools/conf_man.py config.md chatd.conf > chatd.conf.5

So each key is described in one place. Rows are "| `[section] key` † | default | text |"; a row without a
section goes on with the last one, and several keys may share a row.
"""
import re
import sys

ROW = re.compile(r"^\|([^|]*)\|([^|]*)\|(.*)\|$")
KEY = re.compile(r"`(?:\[([^\]]+)\] )?([a-z_]+)`")
SEE_ALSO = ("chatctl 8", "chatd 8", "streamerd 8")


def part(text, name):
    """The lines between "## name" and the next heading."""
    found = re.search(r"^## %s\n(.*?)(?=^## |\Z)" % re.escape(name), text, re.M | re.S)
    if not found:
        raise SystemExit("config.md: no part %s" % name)
    return found.group(1).splitlines()


def rows(text, name):
    """(section, [keys], is fixed while it runs, default, description) of each row."""
    section = ""
    for line in part(text, name):
        found = ROW.match(line)
        keys = KEY.findall(found.group(1)) if found else []
        if not keys:
            continue
        section = keys[0][0] or section
        yield section, [k for _, k in keys], "†" in found.group(1), found.group(2), found.group(3)


def roff(text):
    """Prose as mdoc text: code and emphasis marks go, what roff would act on is escaped."""
    text = re.sub(r"`([^`]*)`", r"\\(lq\1\\(rq", text.replace("\\", "\\e"))
    text = text.replace("†", "").replace("…", "...").strip()
    text = "\\&" + text if text[:1] in (".", "'") else text
    text = re.sub(r"(?<=[.)]) (?=[A-Z\\\\])", "\n", text)  # a sentence, a line
    return text if text[-1] in ".!?" else text + "."


def page(text, name, date):
    out = [".Dd %s" % date, ".Dt %s 5" % name.upper(), ".Os", ".Sh NAME", ".Nm %s" % name,
           ".Nd configuration of %s" % name.split(".")[0], ".Sh DESCRIPTION",
           "An INI file: sections in brackets, a key and its value on a line, comments behind a semicolon.",
           "What is not known, stands twice or has a bad value is an error that names file, line and key.",
           "Times are written 30, 0.5, 250ms, 5m, 1h or 7d; sizes 4096, 64K, 8M or 2G.", ".Pp",
           "The file is read again on SIGHUP.", "Keys marked", ".Sq fixed", "need a restart."]
    last = None
    for section, keys, fixed, default, description in rows(text, name):
        if section != last:
            out += [".El"] if last else []
            out += [".Ss [%s]" % section, ".Bl -tag -width Ds"]
            last = section
        out.append(".It " + " , ".join("Ic " + k for k in keys))
        said = [roff(x) for x in (description,) if x.strip()]
        if default.strip():
            said.append("Default: %s" % roff(default))
        if fixed:
            said.append("Fixed.")
        out += said
    out += [".El", ".Sh FILES", ".Bl -tag -width Ds", ".It Pa /etc/chatd/%s" % name, ".El", ".Sh SEE ALSO"]
    out += [".Xr %s ," % x for x in SEE_ALSO[:-1]] + [".Xr %s" % SEE_ALSO[-1]]
    return "\n".join(out) + "\n"


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        text = f.read()
    date = re.search(r"^date: (\d+)-(\d+)-(\d+)$", text, re.M).groups()
    months = "January February March April May June July August September October November December".split()
    sys.stdout.write(page(text, sys.argv[2], "%s %d, %s" % (months[int(date[1]) - 1], int(date[2]), date[0])))


if __name__ == "__main__":
    main()
