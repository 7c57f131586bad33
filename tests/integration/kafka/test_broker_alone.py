"""`leat run` without a file: a broker for Kafka's clients and nothing else."""
import re
import subprocess

from leat import LEAT, LIMIT, Case, leat, wait_for


class BrokerAlone(Case):
    def broker(self, *args):
        """A hub without configuration, and its log."""
        path = self.path("hub.log")
        with open(path, "ab") as log:
            process = subprocess.Popen([LEAT, "run", *args], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory)
        self.addCleanup(lambda: (process.kill(), process.wait()))

        def started():
            self.assertIsNone(process.poll(), self.read(path))
            return "started in" in self.read(path)

        wait_for("the start", started)
        return process, self.read(path)

    @staticmethod
    def read(path):
        with open(path, encoding="utf-8") as f:
            return f.read()

    def kcat(self, address, *args, stdin=None):
        done = subprocess.run(["kcat", "-m", "300", "-b", address, *args], input=stdin, capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def test_clients_write_and_read_on_every_listener(self):
        process, log = self.broker("--listeners", "PLAINTEXT://127.0.0.1:0,PLAINTEXT://127.0.0.1:0", "-d", "kept")
        first, second = re.findall(r"clients connect to (127.0.0.1:\d+)", log)
        self.kcat(first, "-P", "-t", "t", stdin="one\n")
        self.assertEqual("one\n", self.kcat(second, "-C", "-q", "-e", "-t", "t"))
        self.assertEqual("no changes\n", leat("reload", "-d", self.path("kept")).stdout)
        process.terminate()
        self.assertEqual(0, process.wait(LIMIT))
        self.assertEqual("one\n", leat("consume", "t", "--exit-at-end", "-d", self.path("kept")).stdout)

    def refused(self, *args):
        done = leat("run", *args, check=False, cwd=self.directory)
        return done.returncode, done.stderr

    def test_what_is_wrong_with_a_listener_is_told(self):
        code, text = self.refused("--listeners", "nowhere")
        self.assertEqual((3, True), (code, '"listeners": "nowhere" is not an address and port' in text), text)
        code, text = self.refused("--listeners", 'PLAINTEXT://127.0.0.1:0"]}')
        self.assertEqual((3, True), (code, '0"]}" is not' in text), text)

    def test_a_file_has_its_own_listeners(self):
        path = self.write("leat.yaml", "pipelines: []\n")
        code, text = self.refused("--listeners", "PLAINTEXT://127.0.0.1:0", path)
        self.assertEqual((2, True), (code, "hub: listeners" in text), text)
