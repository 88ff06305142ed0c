"""A wire between the browser and streamerd that can be cut: what is on its way is lost, and neither side is told.
Once it is mended, who still uses a connection of before learns that it is dead, as from a router that forgot it."""

import socket
import threading


class Wire:
    def __init__(self, port):
        self.target = port
        self.is_cut = False
        self.generation = 0  # connections of an earlier one are dead for good
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        self.is_cut = True
        self.generation += 1

    def mend(self):
        self.is_cut = False

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client):
        born = self.generation if not self.is_cut else -1
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=self._pump, args=(one, other, born), daemon=True).start()

    def _pump(self, one, other, born):
        try:
            while data := one.recv(65536):
                if born == self.generation:
                    other.sendall(data)
                elif not self.is_cut:
                    break
        except OSError:
            pass
        if born == self.generation or not self.is_cut:
            for s in (one, other):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
