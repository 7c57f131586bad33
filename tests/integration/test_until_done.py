"""`leat run --until-done`: an end with exit code 0 says that everything was delivered. With the plugins of plugins/test."""
import unittest

from leat import LIMIT, Case, build_test_plugins, wait_for

NEW_TOPIC = """
hub:
  plugin.path: [@PLUGINS@]
pipelines:
  - name: gen
    topic: unused
    source: {type: generator, total: 10, stuck: @DIR@/go, to.topic: made.later}
  - name: all
    topics.regex: 'made\\..*'
    sinks:
      - {name: out, type: capture, path: @DIR@/out}
"""

FINAL = """
hub:
  plugin.path: [@PLUGINS@]
pipelines:
  - name: p
    topic: t
    source: {type: generator, total: 10}
    sinks:
      - {name: out, type: capture, path: @DIR@/out, fail.final: @HOW@}
"""


class UntilDone(Case):
    @classmethod
    def setUpClass(cls):
        cls.plugins = build_test_plugins("generator", "capture")

    def run_until_done(self, config, wait=True):
        hub = self.hub(config.replace("@PLUGINS@", self.plugins), ["--until-done"], start=False)
        return hub.start(wait)

    def end(self, hub):
        """Its exit code."""
        code = hub.process.wait(LIMIT)
        hub.process = None
        return code

    def test_topics_that_a_source_made_meanwhile_are_read(self):
        hub = self.run_until_done(NEW_TOPIC)
        wait_for("the sink to find nothing", lambda: hub.task("all-out")["state"] == "RUNNING")
        self.write("go", "")
        self.assertEqual(0, self.end(hub), hub.log_text())
        with open(self.path("out"), encoding="utf-8") as f:
            self.assertEqual(10, len(f.readlines()))

    def test_a_final_flush_that_fails_is_no_success(self):
        for n, how in enumerate(("fail", "retry"), 1):
            hub = self.run_until_done(FINAL.replace("@HOW@", how), wait=False)
            self.assertNotEqual(0, self.end(hub), hub.log_text())
            self.assertEqual(n, hub.log_text().count("p-out-0 failed: the final flush fails as asked"), hub.log_text())
        hub = self.run_until_done(FINAL.replace("@HOW@", "none"), wait=False)
        self.assertEqual(0, self.end(hub), hub.log_text())


if __name__ == "__main__":
    unittest.main()
