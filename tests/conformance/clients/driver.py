"""What the Python drivers share: records come as lines of JSON, results go out as such."""
import json
import select
import sys

LIMIT = 300  # seconds that only a hang takes
RETENTION = ["86400000", "3600000"]
# values to write, the offset to commit with them, whether the transaction is committed
TRANSACTIONS = [(["aborted %d" % i for i in range(10)], None, False),
                (["kept %d" % i for i in range(10)], 5, True),
                (["aborted again %d" % i for i in range(10)], 9, False),
                (["kept too"], None, True)]


def records():
    return [json.loads(line) for line in sys.stdin.read().split("\n") if line]


def say(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def told_to_stop():
    """Whether standard input has ended."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def run(commands):
    commands[sys.argv[1]](*sys.argv[2:])
