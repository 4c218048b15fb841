# SPDX-License-Identifier: MIT
"""A server at a distance: every byte takes half a round trip, none waits more.

It counts as a client sees it: round trips, connections, and bytes each way.
"""

import collections
import queue
import socket
import threading
import time


class Proxy:
    """Listens on a port of its own for a server on this machine."""

    def __init__(self, port, round_trip_ms):
        self.server, self.one_way = port, round_trip_ms / 2e3
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.most_open = self.open = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def count(self, **more):
        with self.lock:
            self.counts.update(more)

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,),
                             daemon=True).start()

    def serve(self, client):
        with self.lock:
            self.open += 1
            self.most_open = max(self.most_open, self.open)
        # TCP's own handshake is a round trip, and was none here.
        self.count(connections=1, trips=1)
        time.sleep(2 * self.one_way)
        server = socket.create_connection(("127.0.0.1", self.server))
        for end in client, server:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        last = {"answered": True}
        back = threading.Thread(target=self.carry, daemon=True,
                                args=(server, client, "received", last))
        back.start()
        self.carry(client, server, "sent", last)
        back.join()
        client.close()
        server.close()
        with self.lock:
            self.open -= 1

    def carry(self, source, target, way, last):
        """Until the source ends. What is sent after an answer is one more
        round trip, what is sent before it belongs to the same."""
        under_way = queue.SimpleQueue()
        writer = threading.Thread(target=self.deliver, daemon=True,
                                  args=(under_way, target, way, last))
        writer.start()
        while True:
            try:
                data = source.recv(1 << 18)
            except OSError:
                data = b""
            due = time.perf_counter() + self.one_way
            # A goodbye is not answered.
            if way == "sent" and data[:1] not in (b"", b"X") \
                    and last["answered"]:
                last["answered"] = False
                self.count(trips=1)
            self.count(**{way: len(data)})
            under_way.put((due, data))
            if not data:
                break
        writer.join()

    def deliver(self, under_way, target, way, last):
        while True:
            due, data = under_way.get()
            time.sleep(max(0, due - time.perf_counter()))
            if way == "received":
                last["answered"] = True
            try:
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)
            except OSError:
                return  # it has gone; nobody is left to tell


def wall_and_trips(proxy, exporter, rounds):
    """Wall time of each scrape in ms, and what one takes of the proxy."""
    exporter.settle()
    before = proxy.counts.copy()
    times = [exporter.timed() for _ in range(rounds)]
    used = {name: (proxy.counts[name] - before[name]) / rounds
            for name in ("trips", "connections", "sent", "received")}
    return times, {**used, "most_open": proxy.most_open}
