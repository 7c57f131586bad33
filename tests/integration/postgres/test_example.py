"""make run EXAMPLE=postgres, without the installing: changes arrive, Ctrl-C ends everything."""
import os
import re
import signal
import subprocess
import unittest

from leat import BUILD, LIMIT, ROOT, Case, wait_for


class Example(Case):
    def test_changes_arrive_and_nothing_is_left(self):
        log = self.path("shown")
        with open(log, "w", encoding="utf-8") as out:
            process = subprocess.Popen([os.path.join(ROOT, "deploy/run-postgres"), BUILD], cwd=self.directory, stdout=out,
                                       stderr=subprocess.STDOUT, start_new_session=True,
                                       preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # also below a shell that ignores it
        self.addCleanup(lambda: process.poll() is None and process.kill())

        def shown():
            self.assertIsNone(process.poll())
            with open(log, encoding="utf-8") as f:
                return f.read()
        for pattern in (r'(?m)^  read   customers \{"id": 1, "name": "Ada"', r"(?m)^  insert orders ",
                        r'(?m)^  update orders .*"new".* -> .*"paid"', r"(?m)^  delete orders "):
            wait_for(pattern, lambda: re.search(pattern, shown()))
        server = re.search(r"runs in +(\S+)", shown()).group(1)
        self.assertTrue(os.path.isdir(server))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        self.assertEqual(0, process.wait(LIMIT))
        wait_for("the server's directory to go", lambda: not os.path.exists(server))


if __name__ == "__main__":
    unittest.main()
