"""What `make install` leaves: a program that runs from there, a header that plugins build against, a sound unit."""
import os
import shutil
import subprocess

from leat import ROOT, Case, leat


class Install(Case):
    def setUp(self):
        super().setUp()
        self.prefix = self.path("root/opt/leat")
        build = os.environ.get("LEAT_BUILD", "build")
        subprocess.run(["make", "--no-print-directory", "-s", "install", "BUILD=" + build,
                        "DESTDIR=" + self.path("root"), "PREFIX=/opt/leat"], cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)

    def test_the_installed_program_finds_its_plugins(self):
        out = subprocess.run([os.path.join(self.prefix, "bin/leat"), "plugins", "list"], check=True,
                             capture_output=True, text=True, cwd=self.directory).stdout
        for connector in ("file", "s3", "datagen"):
            self.assertIn(connector, out)

    def test_plugins_build_outside_the_tree(self):
        for example, kind in (("counter", "source"), ("lines", "sink")):
            work = self.path("outside-" + kind)
            shutil.copytree(os.path.join(self.prefix, "share/leat/plugins/examples", example), work)
            subprocess.run(["make", "-s", "CPPFLAGS=-I%s/include" % self.prefix], cwd=work, check=True)
            listing = leat("plugins", "list", "--plugin-path", work).stdout
            self.assertIn(kind, listing)

    def test_the_pages_are_there(self):
        for page in ("README.md", "docs/configuration.md", "docs/connectors/file-source.md"):
            self.assertTrue(os.path.exists(os.path.join(self.prefix, "share/doc/leat", page)), page)
        self.assertEqual(sorted(os.listdir(os.path.join(self.prefix, "share/leat/examples"))),
                         sorted(os.listdir(os.path.join(ROOT, "config/examples"))))

    def test_the_unit_is_sound(self):
        verify = shutil.which("systemd-analyze")
        unit = os.path.join(self.prefix, "lib/systemd/system/leat.service")
        with open(unit, encoding="utf-8") as f:
            text = f.read().replace("/opt/leat/bin/leat", os.path.join(self.prefix, "bin/leat"))
        text = text.replace("file:/opt/leat", "file:" + self.prefix)
        copy = self.write("leat.service", text)
        done = subprocess.run([verify, "verify", copy], capture_output=True, text=True)
        mentions = [line for line in (done.stdout + done.stderr).splitlines() if "leat" in line]
        self.assertEqual((done.returncode, mentions), (0, []))


if __name__ == "__main__":
    import unittest
    unittest.main()
