"""The servers that the fan-out benchmark compares, each in one process on one core.

    chat    streamerd; its worker is in the load (tests/bench/source_bus.c)
    nchan   nginx with nchan, one worker process
    bare    the bare epoll loop of this benchmark

Each is started in a folder of its own, on a port of its own, and ended with its `with`.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

from lib.daemons import free_port
from lib.wait import until

BUILD = os.environ.get("BUILD_DIR", "build")
STREAMERD = os.environ.get("STREAMERD", os.path.join(BUILD, "streamerd/streamerd"))
FANOUT = os.environ.get("FANOUT", os.path.join(BUILD, "tests/bench/fanout"))
BARE_HUB = os.environ.get("BARE_HUB", os.path.join(BUILD, "tests/bench/bare_hub"))
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
NCHAN_MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so"
MAX_CONNECTIONS = 19700  # of a usual hard RLIMIT_NOFILE of 20,000

STREAMERD_CONF = """\
[general]
log_level = warning
[http]
listen = 127.0.0.1:{port}
max_connections = {connections}
max_connections_per_address = {connections}
[bus]
dir = {dir}
"""

# One worker, no log, no time-out, a socket's backlog as large as the others', and room for all that
# a run publishes. Events begin with the next one, as they do elsewhere; what is asked for with
# Last-Event-ID comes from the buffer.
NCHAN_CONF = """\
load_module {module};
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile {files};
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  keepalive_requests 100000000;
  keepalive_timeout 3600s;
  nchan_shared_memory_size 1024M;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location ~ ^/pub/(\\w+)$ {{
      nchan_publisher;
      nchan_channel_id $1;
      nchan_message_buffer_length {buffer};
      nchan_message_timeout 120s;
    }}
    location ~ ^/sub/(\\w+)$ {{
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
    }}
  }}
}}
"""


def busy():
    """Seconds that all CPUs together have worked, or were taken by the machine's host."""
    with open("/proc/stat", encoding="ascii") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    return (sum(v) - v[3] - v[4]) / os.sysconf("SC_CLK_TCK")


def pin(core):
    """For a child between fork and exec: one core, and it dies with us."""
    def set_up():
        os.sched_setaffinity(0, {core})
    return set_up


class Server:
    """What is common: a folder, a port, a process."""

    name = label = ""
    load_kind = ""

    def __init__(self, sessions=1):
        self.sessions = sessions
        self.dir = tempfile.mkdtemp(prefix=f"bench-{self.name}-")
        self.port = free_port()
        self.process = None

    def __enter__(self):
        try:
            self.before()
            self.process = self.spawn(self.command(), SERVER_CORE)
            self.after()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self.stop_load()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def spawn(self, argv, core, **kw):
        with open(os.path.join(self.dir, "log"), "ab") as log:
            return subprocess.Popen(argv, stderr=log, preexec_fn=pin(core), **{"stdin": subprocess.DEVNULL,
                                                                               "stdout": log, **kw})

    def log(self):
        text = ""
        for name in ("log", "error.log"):
            path = os.path.join(self.dir, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    text += f.read()[-2000:]
        return text

    # what differs
    def before(self):
        pass

    def command(self):
        raise NotImplementedError

    def after(self):
        self.wait_ready()
        self.start_load()

    # --- the load ---
    load = None

    def load_arguments(self):
        return []

    def start_load(self):
        self.load = Load(self)

    def stop_load(self):
        if self.load:
            self.load.stop()
            self.load = None

    # --- the process ---
    def path(self):
        return "/"

    def wait_ready(self):
        def answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {self.log()}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.path()}", timeout=2):
                    return True
            except urllib.error.HTTPError as e:
                return e.code in (403, 404)
            except OSError:
                return False
        until(answers, f"{self.name} is ready", 20)

    def pids(self):
        """Parent and children, to the last: nginx's worker, streamerd's serving process."""
        found = [self.process.pid]
        for pid in found:  # grows
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                found += [int(x) for x in f.read().split()]
        return found

    def pss(self):
        """Bytes that its processes hold; what they share is counted once."""
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:")) * 1024
        return total


class Streamerd(Server):
    name, label, load_kind = "chat", "streamerd", "chat"

    def before(self):
        self.start_load()

    def command(self):
        conf = os.path.join(self.dir, "streamerd.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(STREAMERD_CONF.format(port=self.port, dir=self.dir, connections=MAX_CONNECTIONS))
        return [STREAMERD, "-c", conf]

    def after(self):
        self.wait_ready()
        self.load.ask("pids " + " ".join(map(str, self.pids())))

    def path(self):
        return "/readyz"

    def load_arguments(self):
        return ["-b", self.dir]


class Nchan(Server):
    name, label, load_kind = "nchan", "nginx + nchan", "nchan"
    buffer = 20000  # messages of a channel

    def command(self):
        conf = os.path.join(self.dir, "nginx.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(NCHAN_CONF.format(dir=self.dir, port=self.port, module=NCHAN_MODULE, files=MAX_CONNECTIONS + 200,
                                      connections=MAX_CONNECTIONS, buffer=self.buffer))
        return ["nginx", "-c", conf, "-p", self.dir, "-e", os.path.join(self.dir, "error.log")]


class Bare(Server):
    name, label, load_kind = "bare", "bare epoll loop", "bare"

    def command(self):
        return [BARE_HUB, str(self.port)]

    def wait_ready(self):
        """It answers no other requests than those of the load."""
        def listens():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {self.log()}")
            with open("/proc/net/tcp", encoding="ascii") as f:
                return f":{self.port:04X} 00000000:0000 0A" in f.read()
        until(listens, "the bare loop listens", 20)


SERVERS = {s.name: s for s in (Streamerd, Nchan, Bare)}


class Load:
    """The other end of tests/bench/fanout.c: a command, an answer."""

    def __init__(self, server):
        self.server = server
        self.process = server.spawn(
            [FANOUT, "-k", server.load_kind, "-p", str(server.port), "-s", str(server.sessions),
             *server.load_arguments()],
            LOAD_CORE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.answer()
        if server.process:
            self.ask("pids " + " ".join(map(str, server.pids())))

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load ended ({self.process.wait()}): {self.server.log()}")
        return json.loads(line)

    def ask(self, command):
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.answer()

    def stop(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.close()
                self.process.wait(5)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()

    # --- commands ---
    def open(self, n, stalled=False):
        a = self.ask(f"{'stall' if stalled else 'open'} {n}")
        if not a["ok"]:
            raise RuntimeError(f"{self.server.label}: only {a['live']} of {n} viewers came live: {self.server.log()}")
        return a

    def run(self, rate, seconds, drain=3.0):
        """`rate` events/s; with derived figures."""
        began = busy()
        a = self.ask(f"run {rate:.4f} {seconds} {int(drain * 1000)}")
        spent = busy() - began
        a["expected"] = a["made"] * a["live"] / self.server.sessions
        a["deliveries_s"] = a["per_second"]  # while events were being made
        a["held_s"] = a["delivered"] / a["seconds"]  # all, if all came
        a["through_s"] = a["delivered"] / (a["seconds"] + a["lag_us"] / 1e6)  # until the last one came
        a["cpu_us"] = 1e6 * a["cpu_s"] / a["delivered"] if a["delivered"] else 0
        a["server_core"] = a["cpu_window_s"] / a["seconds"]
        a["load_core"] = a["own_cpu_s"] / (a["seconds"] + a["lag_us"] / 1e6)
        # cores that neither server nor load had, of the time until the last event came
        a["others"] = max(0.0, (spent - a["cpu_s"] - a["own_cpu_s"]) / (a["seconds"] + a["lag_us"] / 1e6))
        a["bytes_each"] = a["bytes"] / a["delivered"] if a["delivered"] else 0
        a["events_a_read"] = a["delivered"] / a["reads"] if a["reads"] else 0
        a["clean"] = not (a["missing"] or a["holes"] or a["doubled"] or a["resets"] or a["ended"])
        return a
