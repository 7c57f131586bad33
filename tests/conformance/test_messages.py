"""Random messages of every version of every api: Kafka writes them, we read them as it does and write the same bytes."""
import json
import os
import shutil
import subprocess
import unittest

from kafka import JARS

BUILD = os.environ.get("LEAT_BUILD", "build")
PROGRAM = os.path.join(BUILD, "tests/conformance/messages")
SEED = os.environ.get("SEED", "1")


class Messages(unittest.TestCase):
    @unittest.skipUnless(shutil.which("javac"), "there is no javac (package default-jdk-headless)")
    def test_random_messages(self):
        apis = subprocess.run([PROGRAM, "apis"], check=True, capture_output=True, text=True).stdout.split()
        made = subprocess.run(["java", "-cp", JARS + "/*", "tests/conformance/Messages.java", SEED, "30"] + apis, check=True,
                              capture_output=True, encoding="utf-8").stdout
        theirs = [line.split("\t") for line in made.split("\n") if line]
        self.assertGreater(len(theirs), 60 * len(apis))
        ours = subprocess.run([PROGRAM], input="".join("\t".join(t[:4]) + "\n" for t in theirs), check=True, capture_output=True,
                              encoding="utf-8").stdout.split("\n")
        self.assertEqual(len(theirs) + 1, len(ours))
        for (key, version, side, data, text), line in zip(theirs, ours):
            name = "%s of key %s version %s, seed %s: %s" % (side, key, version, SEED, data)
            again, ours_text = line.split("\t")
            self.assertEqual(data, again, name)
            self.assertEqual(json.loads(text), json.loads(ours_text), name)


if __name__ == "__main__":
    unittest.main()
