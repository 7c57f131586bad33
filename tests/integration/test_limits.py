"""docs/limits.md names constants of the code: they must be there, in the file that it says."""
import os
import re
import unittest

from leat import ROOT


class Limits(unittest.TestCase):
    def read(self, path):
        with open(path, encoding="utf-8") as f:
            return f.read()

    def test_constants_exist(self):
        lines = self.read(os.path.join(ROOT, "docs", "limits.md")).splitlines()
        rows = [line for line in lines if line.startswith("| ") and "`" in line]
        checked = 0
        for row in rows:
            place = re.findall(r"`([^`]+)` \|$", row.strip())
            self.assertEqual(len(place), 1, row)
            place = os.path.join(ROOT, place[0])
            folder = place if os.path.isdir(place) else os.path.dirname(place)
            text = "".join(self.read(os.path.join(folder, name)) for name in os.listdir(folder)
                           if name.endswith((".c", ".h")))
            self.assertTrue(os.path.exists(place), place)
            for name in re.findall(r"`([A-Z][A-Z_]{4,})`", row):
                if name == "BATCH_MAX_BYTES":
                    continue  # named beside another file's
                self.assertRegex(text, r"#define %s\b" % name, row)
                checked += 1
        self.assertGreater(checked, 20)


if __name__ == "__main__":
    unittest.main()
