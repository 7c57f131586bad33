"""TLS and passwords: against a real server, with certificates made here. What is wrong is named; nothing is retried that no
waiting can mend."""
import os
import shutil
import unittest

from certificates import Authority, openssl
from leat import leat, wait_for
from postgres import Postgres
from .pg import PgCase, SERVER

TABLE = "CREATE TABLE t(id int PRIMARY KEY, v text)"

# The server's address is the same for all; who comes in, and how, depends on the role.
HBA = """local all all trust
local replication all trust
hostssl all cert_only 127.0.0.1/32 cert
hostssl all cert_only ::1/128 cert
hostssl all tls_only all scram-sha-256
hostnossl all plain_only all scram-sha-256
host all hashed all md5
host all nobody_is_let_in all reject
host all postgres all scram-sha-256
"""


class Tls(PgCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Postgres(SERVER)
        cls.tls = os.path.join(cls.server.directory, "tls")
        cls.ours = Authority(cls.tls, "ours")
        cls.other = Authority(cls.tls, "other")
        cls.certificates = {"right": cls.ours.sign("right", "x", ["localhost"]),
                            "wrong_host": cls.ours.sign("wrong_host", "x", ["db.example.org"]),
                            "expired": cls.ours.sign("expired", "x", ["localhost"], days=-1)}
        cls.client = cls.ours.sign("client", "cert_only")
        cls.stranger = cls.other.sign("stranger", "cert_only")
        cls.server.psql("SET password_encryption = 'md5'; CREATE ROLE hashed SUPERUSER LOGIN PASSWORD 'secret'; "
                        "SET password_encryption = 'scram-sha-256'; CREATE ROLE cert_only SUPERUSER LOGIN; "
                        "CREATE ROLE tls_only SUPERUSER LOGIN PASSWORD 'secret'; CREATE ROLE nobody_is_let_in LOGIN; "
                        "CREATE ROLE plain_only SUPERUSER LOGIN PASSWORD 'secret'")
        with open(os.path.join(cls.server.data, "pg_hba.conf"), "w", encoding="utf-8") as f:
            f.write(HBA)
        cls.set_server(True)

    @classmethod
    def set_server(cls, on, name="right"):
        """TLS on or off, and with which certificate; the server reads it again."""
        for part, source in zip(("server.crt", "server.key"), cls.certificates[name]):
            target = os.path.join(cls.server.data, part)
            shutil.copyfile(source, target)
            os.chmod(target, 0o600)
            if cls.server.account:
                os.chown(target, cls.server.account.pw_uid, cls.server.account.pw_gid)
        shutil.copyfile(cls.ours.certificate, os.path.join(cls.server.data, "root.crt"))
        os.chmod(os.path.join(cls.server.data, "root.crt"), 0o644)
        for setting, value in (("ssl", "on" if on else "off"), ("ssl_ca_file", "root.crt")):
            cls.server.psql("ALTER SYSTEM SET %s = '%s'" % (setting, value))
        reloads = cls.reloads()
        cls.server.psql("SELECT pg_reload_conf()")
        wait_for("the server to read its settings", lambda: cls.reloads() > reloads)

    @classmethod
    def reloads(cls):
        """New connections are served by what was read when this changed: the postmaster has the time of it."""
        return cls.server.psql("SELECT pg_conf_load_time()")

    def setUp(self):
        super().setUp()
        self.set_server(True)
        self.make(TABLE)
        self.rows = 0

    def connect(self, user="tls_only", **options):
        values = dict(database_hostname="localhost", database_user=user)
        values.update(options)
        return self.options(**values)

    def check(self, user="tls_only", **options):
        text = "pipelines:\n" + self.config(self.connect(user, **options))
        done = leat("validate", "--connect", self.write("check.yaml", text), check=False)
        return done.returncode, done.stdout + done.stderr

    def fine(self, user="tls_only", **options):
        code, text = self.check(user, **options)
        self.assertEqual(0, code, text)

    def refused(self, *words, user="tls_only", **options):
        """By the check, and by a run, which fails for good."""
        code, text = self.check(user, **options)
        self.assertNotEqual(0, code, text)
        hub = self.run_hub(self.connect(user, **options), wait=False)
        error = self.wait_failed(hub)
        self.assertEqual(0, hub.stop())
        for word in words:
            self.assertIn(word, text)
            self.assertIn(word, error)

    def streams(self, encrypted, user="tls_only", **options):
        """All connections of a run are encrypted, or none is; changes come."""
        hub = self.run_hub(self.connect(user, **options))
        kinds = self.server.psql("SELECT DISTINCT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = '%s' "
                                 "AND a.application_name = 'leat'" % user)
        self.assertEqual("t\n" if encrypted else "f\n", kinds)
        self.sql("INSERT INTO t VALUES (%d, repeat('x', 100000)), (%d, 'y')" % (self.rows + 1, self.rows + 2))
        self.rows += 2
        self.wait_events(hub, "t.public.t", self.rows)
        self.assertEqual(0, hub.stop())

    # ---- the modes ----

    def test_modes_that_check_nothing(self):
        self.streams(True)  # prefer
        for mode in ("require", "prefer", "allow"):
            self.fine(database_sslmode=mode)
        self.streams(True, database_sslmode="require")

    def test_without_encryption(self):
        self.streams(False, "plain_only", database_sslmode="disable")
        self.streams(False, "plain_only", database_sslmode="allow")
        self.fine("plain_only", database_sslmode="prefer")
        self.refused("no encryption" if self.server.version >= 14 else "SSL off", database_sslmode="disable")

    def test_the_authority_is_checked(self):
        self.streams(True, database_sslmode="verify-ca", database_sslrootcert=self.ours.certificate)
        self.refused("certificate verify failed", database_sslmode="verify-ca", database_sslrootcert=self.other.certificate)
        # As libpq has it for the sake of old settings: with an authority at hand `require` checks it, too.
        self.refused("certificate verify failed", database_sslmode="require", database_sslrootcert=self.other.certificate)

    def test_the_host_is_checked(self):
        self.streams(True, database_sslmode="verify-full", database_sslrootcert=self.ours.certificate)
        self.set_server(True, "wrong_host")
        self.fine(database_sslmode="verify-ca", database_sslrootcert=self.ours.certificate)
        self.refused("does not match host name", "localhost", database_sslmode="verify-full",
                     database_sslrootcert=self.ours.certificate)

    def test_an_expired_certificate(self):
        self.set_server(True, "expired")
        self.fine(database_sslmode="require")
        self.refused("certificate verify failed", "has expired", database_sslmode="verify-ca", database_sslrootcert=self.ours.certificate)
        self.refused("certificate verify failed", "has expired", database_sslmode="verify-full", database_sslrootcert=self.ours.certificate)

    def test_an_authority_that_is_not_there(self):
        self.refused("root certificate file", "does not exist", database_sslmode="verify-full",
                     database_sslrootcert=self.path("none.crt"))

    def test_a_server_without_tls(self):
        self.set_server(False)
        self.refused("server does not support SSL", user="plain_only", database_sslmode="require")
        self.streams(False, "plain_only", database_sslmode="prefer")

    def test_spellings_as_debezium_takes_them(self):
        for mode in ("REQUIRE", "Prefer", "VERIFY-CA"):
            self.fine(database_sslmode=mode, database_sslrootcert=self.ours.certificate)
        code, text = self.check(database_sslmode="verify_full")
        self.assertNotEqual(0, code)
        self.assertIn("verify-full", text)

    # ---- certificates of clients ----

    def by_certificate(self, pair, **more):
        certificate, key = pair
        return dict({"database_sslmode": "verify-full", "database_sslrootcert": self.ours.certificate,
                     "database_sslcert": certificate, "database_sslkey": key}, **more)

    def test_a_client_certificate(self):
        self.streams(True, "cert_only", **self.by_certificate(self.client))

    def test_a_client_certificate_of_another_authority(self):
        self.refused("unknown ca", user="cert_only", **self.by_certificate(self.stranger))

    def test_a_client_without_certificate(self):
        self.refused("requires a valid client certificate", user="cert_only", database_sslmode="require")

    def test_a_client_certificate_of_another_role(self):
        pair = self.ours.sign("someone", "someone_else")
        self.refused("certificate authentication failed for user", user="cert_only", **self.by_certificate(pair))

    def test_a_key_with_a_password(self):
        key = self.path("locked.key")
        openssl("pkey", "-in", self.client[1], "-aes256", "-passout", "pass:of the key", "-out", key)
        os.chmod(key, 0o600)
        pair = (self.client[0], key)
        self.streams(True, "cert_only", **self.by_certificate(pair, database_sslpassword="of the key"))
        self.refused("could not load private key file", user="cert_only", **self.by_certificate(pair, database_sslpassword="wrong"))

    def test_a_key_as_the_jdbc_driver_has_it(self):
        key = self.path("client.pk8")
        openssl("pkcs8", "-topk8", "-nocrypt", "-in", self.client[1], "-outform", "DER", "-out", key)
        os.chmod(key, 0o600)
        self.streams(True, "cert_only", **self.by_certificate((self.client[0], key)))

    def test_a_key_that_others_can_read(self):
        key = self.path("open.key")
        shutil.copyfile(self.client[1], key)
        os.chmod(key, 0o644)
        self.refused("private key file", key, "group or world access", user="cert_only", **self.by_certificate((self.client[0], key)))

    def test_a_key_that_is_not_there(self):
        self.refused("private key file", "none.key", user="cert_only",
                     **self.by_certificate((self.client[0], self.path("none.key"))))

    def test_a_certificate_that_is_not_there(self):
        self.refused("certificate file", "none.crt", user="cert_only",
                     **self.by_certificate((self.path("none.crt"), self.client[1])))

    # ---- passwords ----

    def test_passwords(self):
        self.streams(True, "hashed")
        self.streams(False, "hashed", database_sslmode="disable")
        self.fine("tls_only")

    def test_a_wrong_password(self):
        for user in ("tls_only", "hashed"):
            self.refused("password authentication failed for user", user, "28P01", user=user, database_password="wrong")

    def test_no_password(self):
        options = self.connect()
        del options["database.password"]
        hub = self.run_hub(options, wait=False)
        self.assertIn("no password supplied", self.wait_failed(hub))

    def test_a_role_that_is_not_let_in(self):
        self.refused("pg_hba.conf rejects connection", "nobody_is_let_in", "28000", user="nobody_is_let_in")
        self.refused("no pg_hba.conf entry", "stranger", user="stranger")


if __name__ == "__main__":
    unittest.main()
