"""Amounts of money where the server's currency has not two digits behind the point: it stores whole numbers, and only its
lc_monetary says of what."""
import base64
import os
import shutil
import subprocess
import tempfile
import unittest

from postgres import Postgres

from .pg import SERVER, PgCase

SOURCE = """comment_char %%
escape_char /
LC_MONETARY
int_curr_symbol "XXX "
currency_symbol "%s"
mon_decimal_point "."
mon_thousands_sep ","
mon_grouping 3
positive_sign ""
negative_sign "-"
int_frac_digits %d
frac_digits %d
p_cs_precedes 1
p_sep_by_space 0
n_cs_precedes 1
n_sep_by_space 0
p_sign_posn 1
n_sign_posn 1
END LC_MONETARY
"""
AMOUNTS = "CREATE TABLE t(id int PRIMARY KEY, m money); INSERT INTO t VALUES (1, '1234'), (2, '-5')"


def make_locale(directory, name, digits):
    """With nothing but money in it, of which localedef complains; the program leaves the other categories alone."""
    source = os.path.join(directory, name + ".source")
    with open(source, "w", encoding="ascii") as f:
        f.write(SOURCE % (name[0].upper(), digits, digits))
    done = subprocess.run(["localedef", "-c", "-i", source, "-f", "ANSI_X3.4-1968", os.path.join(directory, name)],
                          capture_output=True, text=True, check=False)
    if not os.path.exists(os.path.join(directory, name, "LC_MONETARY")):
        raise RuntimeError("localedef made no locale (package locales): " + done.stderr)


class Money(PgCase):
    @classmethod
    def setUpClass(cls):
        cls.locales = tempfile.mkdtemp(prefix="leat-locales-")
        cls.addClassCleanup(shutil.rmtree, cls.locales)
        os.chmod(cls.locales, 0o755)
        make_locale(cls.locales, "yen", 0)
        make_locale(cls.locales, "dinar", 3)
        cls.server = Postgres(dict(SERVER, lc_monetary="yen"), environment={"LOCPATH": cls.locales})

    def amounts(self, **more):
        """Those of the snapshot, then the same of the stream."""
        hub = self.run_hub(self.options(snapshot_mode="initial", **more))
        self.sql("INSERT INTO t SELECT id + 10, m FROM t ORDER BY id")
        return [v["after"]["m"] for _, v in self.wait_events(hub, "t.public.t", 4)]

    def test_without_digits(self):
        self.make(AMOUNTS)
        self.assertEqual(["1234", "-5"] * 2, self.amounts(decimal_handling_mode="string"))

    def test_without_digits_as_decimal_of_two(self):
        self.make(AMOUNTS)
        self.assertEqual([123400, -500] * 2, [int.from_bytes(base64.b64decode(m), "big", signed=True) for m in self.amounts()])

    def test_a_database_of_its_own_currency(self):
        self.make()
        self.server.psql("ALTER DATABASE %s SET lc_monetary = 'dinar'" % self.database)
        self.sql(AMOUNTS + "; UPDATE t SET m = '0.015' WHERE id = 2")
        self.assertEqual([1234.0, 0.015] * 2, self.amounts(decimal_handling_mode="double"))


if __name__ == "__main__":
    unittest.main()
