// A network between client and server that fails as told: connections cut, stalled, or cut before an answer gets through.
import net from "node:net";

export class Proxy {
  pairs = new Set();
  isStalled = false;
  swallow = null; // text of a request whose answer is lost: it arrives, and the connection is cut instead of the answer
  swallowed = 0;

  static async to(base) {
    const proxy = new Proxy();
    const { port, hostname } = new URL(base);
    proxy.host = `${hostname}:${port}`;
    proxy.server = net.createServer((client) => proxy.join(client, net.connect(Number(port), hostname)));
    await new Promise((done) => proxy.server.listen(0, "127.0.0.1", done));
    proxy.url = "http://127.0.0.1:" + proxy.server.address().port;
    return proxy;
  }

  join(client, server) {
    const pair = { client, server, isLosing: false, isStalled: this.isStalled };
    this.pairs.add(pair);
    const end = () => {
      this.pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
    client.on("data", (data) => {
      if (this.swallow && data.includes(this.swallow)) pair.isLosing = true;
      if (!pair.isStalled) server.write(data);
    });
    server.on("data", (data) => {
      if (pair.isLosing) {
        this.swallow = null;
        this.swallowed++;
        end();
      } else if (!pair.isStalled) client.write(data);
    });
  }

  cut() {
    for (const { client, server } of [...this.pairs]) {
      client.resetAndDestroy();
      server.destroy();
    }
  }

  // What is open hears nothing any more and is not told; what comes later gets through.
  stall() {
    for (const pair of this.pairs) pair.isStalled = true;
  }

  close() {
    this.cut();
    this.server.close();
  }
}
