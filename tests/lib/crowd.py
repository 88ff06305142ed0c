"""Thousands of viewers of one session, in one thread: sockets and the bytes that came.

    crowd = Crowd(port, session_id, 400)    # connects and asks, all at once
    crowd.wait(lambda v: b"event: response_end" in v.bytes, "all have the end")
    crowd.viewers[0].events()               # [(id, bytes of the whole frame), ...]

Who loses its connection is marked `lost`; revive() brings it back with its cursor, its bytes go on.
"""

import resource
import select
import socket
import time

from lib.wait import Late, scaled

FRAME_END = b"\n\n"


def need_files(n):
    """Raises the limit of this process if it may; True if n descriptors fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < n <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n, hard))
        soft = n
    return soft >= n


class Viewer:
    def __init__(self, number):
        self.number, self.sock = number, None
        self.bytes = bytearray()  # behind the head, of all its connections
        self._head = bytearray()
        self._unsent = b""
        self.status, self.lost, self.visits = None, False, 0

    def events(self):
        """Frames with an id; comments, notices and what came half before a connection was lost left out."""
        found = []
        for frame in bytes(self.bytes).split(FRAME_END):
            if frame.startswith(b"id: "):
                found.append((frame[4:frame.index(b"\n")].decode(), frame))
        return found

    def cursor(self):
        end = self.bytes.rfind(FRAME_END)
        at = self.bytes.rfind(b"\nid: ", 0, max(end, 0))
        if at < 0:
            return "" if not self.bytes.startswith(b"id: ") else self.bytes[4:self.bytes.index(b"\n")].decode()
        return self.bytes[at + 5:self.bytes.index(b"\n", at + 1)].decode()

    def take(self, data):
        if self.status is not None:
            self.bytes += data
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end >= 0:
            self.status = int(self._head.split(b" ", 2)[1])
            self.bytes += self._head[end + 4:]


class Crowd:
    def __init__(self, port, session_id, n, cursor=None, query=""):
        self.port, self.session_id, self.query = port, session_id, query
        self.poll, self.by_fd = select.epoll(), {}
        self.refusals = []  # answers that were no streams
        self.viewers = [Viewer(i) for i in range(n)]
        for v in self.viewers:
            self.join(v, cursor)

    def join(self, v, cursor=None):
        """Connects and sends the request; does not wait for the answer."""
        more = f"Last-Event-ID: {cursor}\r\n" if cursor else ""
        request = (f"GET /v1/sessions/{self.session_id}/events{self.query} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n")
        v.sock = socket.create_connection(("127.0.0.1", self.port), timeout=scaled(30))
        v.sock.sendall(request.encode())
        v.sock.setblocking(False)
        v.status, v.lost = None, False
        v._head.clear()
        v.visits += 1
        self.by_fd[v.sock.fileno()] = v
        self.poll.register(v.sock, select.EPOLLIN)

    def drop(self, v, lost=False):
        if v.sock:
            self.poll.unregister(v.sock)
            del self.by_fd[v.sock.fileno()]
            v.sock.close()
        v.sock, v.lost = None, lost
        del v.bytes[v.bytes.rfind(FRAME_END) + 2:]  # half a frame is sent again

    def drop_all(self):
        for v in self.viewers:
            self.drop(v)

    def return_all(self, cursor=None):
        """All come back with their cursors (or this one)."""
        for v in self.viewers:
            self.join(v, cursor or v.cursor())

    def revive(self):
        for v in self.viewers:
            if v.lost:
                try:
                    self.join(v, v.cursor())
                except ConnectionError:
                    pass  # the next time

    def pump(self, seconds=0.05):
        for fd, _ in self.poll.poll(seconds, 1024):
            v = self.by_fd[fd]
            try:
                data = v.sock.recv(1 << 18)
            except ConnectionError:
                data = b""
            if data:
                v.take(data)
            if data and v.status not in (None, 200):
                self.refusals.append((v.status, bytes(v.bytes[-200:])))
            if not data or v.status not in (None, 200):
                self.drop(v, lost=True)

    def wait(self, is_done, what, timeout=30, each=None):
        """Reads until is_done(viewer) holds for every viewer. each() is called now and then."""
        end = time.monotonic() + scaled(timeout)
        left = list(self.viewers)
        while left:
            self.pump()
            if each:
                each()
            left = [v for v in left if not is_done(v)]
            if left and time.monotonic() > end:
                v = left[0]
                raise Late(f"{what}: {len(left)} of {len(self.viewers)} are not there; number {v.number} has "
                           f"status {v.status}, lost {v.lost}, {len(v.bytes)} bytes, cursor {v.cursor()}")

    def close(self):
        self.drop_all()
        self.poll.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()
