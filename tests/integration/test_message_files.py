"""The build's generator of message codecs: a mistake in a message file ends it with file, line and column."""
import os
import subprocess
import tempfile
import unittest

GENERATOR = os.path.join(os.environ.get("LEAT_BUILD", "build"), "gen/msggen")
HEAD = "api 1 Thing 0-3 flexible 2+\nrequest\n"
TAIL = "response\n  Code  int16  0+\n"


class MessageFiles(unittest.TestCase):
    def run_on(self, *texts):
        with tempfile.TemporaryDirectory() as directory:
            paths = []
            for n, text in enumerate(texts):
                paths.append(os.path.join(directory, "%d.msg" % n))
                with open(paths[-1], "w") as f:
                    f.write(text)
            done = subprocess.run([GENERATOR, directory] + paths, capture_output=True, text=True)
            made = os.path.join(directory, "messages.h")
            header = open(made).read() if os.path.exists(made) else ""
            return done.returncode, done.stderr.replace(directory + "/", ""), header

    def refused(self, text, message):
        code, errors, _ = self.run_on(text)
        self.assertEqual((1, "0.msg:" + message + "\n"), (code, errors))

    def test_a_good_one(self):
        code, errors, header = self.run_on(HEAD + "  Names  []string  0+  null 1+\n  Inner  []ThingPart  1-2\n    Id  uuid  1+\n" + TAIL)
        self.assertEqual((0, ""), (code, errors))
        self.assertIn("MSG_ARRAY(struct msg_thing_request_part) inner;", header)
        self.assertIn("MSG_ARRAY(struct msg_string) names;", header)

    def test_mistakes(self):
        line = "  Name  string  0+  "
        for text, message in [
                ("", "0:1: ends early"),
                (HEAD, "2:1: ends early"),
                ("thing\n", "1:1: the first line says: api KEY NAME VERSIONS flexible N+, or: data NAME VERSIONS flexible N+"),
                ("api x Thing 0-3 flexible 2+\n", "1:5: the key: a number from 0 to 1000 is wanted, not x"),
                ("api 1 Thing 3-0 flexible 2+\n", "1:13: versions are 3, 3-5 or 3+, not 3-0"),
                ("api 1 Thing 0+ flexible 2+\n", "1:1: the versions have an end, and flexible N+ or none is the last word"),
                (HEAD + line + "nul\n" + TAIL, "3:21: what is nul? After the versions come null, tag and =, in this order"),
                (HEAD + line + "= 12x\n" + TAIL, "3:23: the default: a number from -9223372036854775807 to 9223372036854775807 is "
                                                 "wanted, not 12x"),
                (HEAD + line + "= null\n" + TAIL, "3:3: Name is null by default but may not be null"),
                (HEAD + line + "tag 1\n" + TAIL, "3:3: Name has a tag in versions that are not flexible"),
                (HEAD + "  N  string  2+  tag 1\n  O  string  2+  tag 1\n" + TAIL, "4:3: O: tags go up"),
                (HEAD + "  N  int8  0+  null\n" + TAIL, "3:3: N cannot be null: its type is int8"),
                (HEAD + "  N  int8  4+\n" + TAIL, "3:3: N comes after the last version, 3"),
                (HEAD + "  N  int8  0+\n  N  int8  0+\n" + TAIL, "4:3: N is there twice"),
                (HEAD + "  N  Part  0+\n" + TAIL, "5:1: the struct Part has no fields"),
                (HEAD + "  N  Part  0+\n      A  int8  0+\n" + TAIL, "4:7: a field is one step further in than what holds it, and "
                                                                 "comes after request, response or body"),
                (HEAD + "  N  int8  0+\n    A  int8  0+\n" + TAIL, "4:5: only a struct has fields of its own"),
                (HEAD + "   N  int8  0+\n" + TAIL, "3:4: two spaces a step, not 3"),
                (HEAD + "  n  int8  0+\n" + TAIL, "3:3: a name begins with a capital and has less than 64 characters, unlike n"),
                (HEAD + "  N  int8\n" + TAIL, "3:1: missing: the versions"),
                ("api 1 Thing 0-3 flexible 2+\nresponse\n", "2:1: what is response? An api has request and then response, data "
                                                           "has a body")]:
            with self.subTest(text=text):
                self.refused(text, message)

    def test_a_key_twice(self):
        good = HEAD + "  N  int8  0+\n" + TAIL
        code, errors, _ = self.run_on(good, good.replace("Thing", "Other"))
        self.assertEqual(1, code)
        self.assertIn("key 1 is that of", errors)


if __name__ == "__main__":
    unittest.main()
