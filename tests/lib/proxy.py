"""A TCP proxy for tests that cuts and stalls what goes through it.

    with Proxy(("127.0.0.1", port)) as p: ... connect to 127.0.0.1:p.port ...
"""
import socket
import threading


class Proxy:
    """Forwards connections to `target`, each direction in a thread of its own. Methods may be called from any thread."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.sockets = set()
        self.flowing = threading.Event()
        self.flowing.set()
        self.refusing = False
        self.accepted = 0
        self.ending = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def cut(self):
        """Ends all connections as a reset does; new ones are accepted."""
        with self.lock:
            for s in self.sockets:
                self._reset(s)

    def stall(self):
        """From now on no byte passes, either way, and nothing is ended."""
        self.flowing.clear()

    def resume(self):
        self.flowing.set()

    def refuse(self, on=True):
        """New connections are ended at once."""
        self.refusing = on

    def close(self):
        self.ending = True
        self.resume()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    @staticmethod
    def _reset(s):
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it ended by itself

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        self.flowing.wait()
        try:
            if self.refusing or self.ending:
                raise OSError("refused")
            server = socket.create_connection(self.target, 5)
        except OSError:
            client.close()
            return
        self.accepted += 1
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.settimeout(None)
        with self.lock:
            self.sockets |= {client, server}
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        with self.lock:
            self.sockets -= {client, server}
            client.close()
            server.close()

    def _pump(self, source, sink):
        try:
            while True:
                data = source.recv(1 << 16)
                self.flowing.wait()
                if not data:
                    break
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            self._reset(s)
