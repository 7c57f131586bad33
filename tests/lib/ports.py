"""Free ports for servers that have to be told theirs."""
import random
import socket

RANGE = "/proc/sys/net/ipv4/ip_local_port_range"
LOWEST = 12000
_given = set()  # two servers of a test are told theirs before either has bound it


def _is_ours(port):
    """Other processes that look for ports leave this one alone as long as we live. A name without a file, which children do not inherit."""
    with socket.socket(socket.AF_UNIX) as held:
        try:
            held.bind("\0leat-port-%d" % port)
        except OSError:
            return False
        held.detach()
        return True


def free_port():
    """A port of 127.0.0.1 on which nobody listens. The kernel gives ports above to every connection and to whoever asks for
    any: between our look and the server's bind, or while it restarts, only another that looks as we do could take this one, and leaves it to us."""
    with open(RANGE, encoding="ascii") as f:
        end = int(f.read().split()[0])
    while True:
        port = random.randrange(LOWEST, end) if end > 2 * LOWEST else 0
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            port = s.getsockname()[1]
        if port not in _given and _is_ours(port):
            _given.add(port)
            return port
