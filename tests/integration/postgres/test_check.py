"""`leat validate --connect` finds everything that is wrong on the server in one go, and the statements that it names mend it."""
import json
import unittest

from leat import leat, wait_for
from postgres import Postgres
from .pg import PgCase

TABLE = "CREATE TABLE t(id int PRIMARY KEY, v text)"


class Check(PgCase):
    def role(self, attributes=""):
        """A role of this test that may log in and nothing else."""
        name = "r_" + self.name[:40]
        self.server.psql("CREATE ROLE \"%s\" LOGIN %s PASSWORD 'secret'" % (name, attributes))
        return name

    def check(self, server=None, **options):
        """Its exit code and the problems, each a line."""
        server, merged = server or self.server, self.options(snapshot_mode="initial")
        merged.update(server.options(self.database))
        merged.update({k.replace("_", "."): v for k, v in options.items()})
        done = leat("validate", "--connect", self.write("check.yaml", "pipelines:\n" + self.config(merged)), check=False)
        return done.returncode, done.stdout + done.stderr

    def finds(self, *words, **options):
        code, text = self.check(**options)
        self.assertNotEqual(0, code, text)
        for word in words:
            self.assertIn(word, text)
        return text

    def fine(self, **options):
        code, text = self.check(**options)
        self.assertEqual(0, code, text)
        self.assertNotIn("warning", text)

    def warns(self, *words, **options):
        """A run would go on, and so does this."""
        code, text = self.check(**options)
        self.assertEqual(0, code, text)
        for word in words + ("; 1 warning\n", "check.yaml:5: warning: source p (postgres): "):
            self.assertIn(word, text)
        return text

    def mended(self, statement, **options):
        """It is named, it can be run as it is, and then nothing is wrong any more."""
        self.finds(statement, **options)
        self.sql(statement)
        self.fine(**options)

    # ---- the server ----

    def test_nothing_is_wrong(self):
        self.make(TABLE)
        self.fine()

    def test_the_server_is_not_there(self):
        self.make(TABLE)
        self.finds("127.0.0.1", "refused", database_hostname="127.0.0.1", database_port="1")

    def test_a_wrong_password(self):
        self.make(TABLE)
        self.finds("password authentication failed", database_hostname="127.0.0.1", database_password="wrong")

    def test_it_logs_too_little_and_has_no_sender(self):
        with Postgres({"wal_level": "replica", "max_wal_senders": "0"}) as server:
            self.database = server.database(TABLE)
            text = self.finds("ALTER SYSTEM SET wal_level = 'logical'", "ALTER SYSTEM SET max_wal_senders = 4", server=server)
            self.assertIn("wal_level is replica", text)
            server.restart({"wal_level": "logical", "max_wal_senders": "4"})
            self.fine(server=server)

    def test_no_free_slot(self):
        with Postgres({"max_replication_slots": "1"}) as server:
            self.database = server.database(TABLE)
            server.psql("SELECT pg_create_logical_replication_slot('other', 'pgoutput')", self.database)
            self.finds("no free replication slot", "ALTER SYSTEM SET max_replication_slots = 5", server=server)
            self.fine(server=server, slot_name="other")  # its own is there

    def test_an_encoding_that_says_nothing(self):
        self.database = self.server.database(TABLE, options="ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        self.finds("SQL_ASCII", "ENCODING 'UTF8'")

    # ---- rights ----

    def test_a_role_without_rights(self):
        self.make(TABLE + '; CREATE SCHEMA "In Side"; CREATE TABLE "In Side"."T u"(id int PRIMARY KEY)')
        role = self.role()
        statements = ["ALTER ROLE %s REPLICATION" % role, "GRANT CREATE ON DATABASE %s TO %s" % (self.database, role),
                      "GRANT SELECT ON public.t TO %s" % role, 'GRANT USAGE ON SCHEMA "In Side" TO %s' % role,
                      'GRANT SELECT ON "In Side"."T u" TO %s' % role]
        options = {"database_user": role, "publication_autocreate_mode": "filtered"}
        self.finds("only its owner can put public.t into a publication", *statements, **options)
        for statement in statements:
            self.sql(statement)
        self.sql('ALTER TABLE public.t OWNER TO "%s"; ALTER TABLE "In Side"."T u" OWNER TO "%s"' % (role, role))
        self.fine(**options)

    def test_a_publication_of_all_tables_needs_a_superuser(self):
        self.make(TABLE)
        role = self.role("REPLICATION")
        self.sql("GRANT SELECT ON t TO %s" % role)
        self.mended("CREATE PUBLICATION %s FOR ALL TABLES" % self.name, database_user=role)

    def test_rows_that_a_policy_hides(self):
        self.make(TABLE + "; ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE PUBLICATION %s FOR TABLE t" % self.name)
        role = self.role("REPLICATION")
        self.sql("GRANT SELECT ON t TO %s" % role)
        self.warns("the row-level security of public.t hides rows", "ALTER ROLE %s BYPASSRLS" % role, database_user=role)
        self.sql("ALTER ROLE %s BYPASSRLS" % role)
        self.fine(database_user=role)

    # ---- slots and publications ----

    def test_slots_that_cannot_be_used(self):
        self.make(TABLE)
        self.sql("SELECT pg_create_physical_replication_slot('%s')" % self.name)
        self.mended("SELECT pg_drop_replication_slot('%s')" % self.name)
        self.server.psql("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')" % self.name)
        self.finds("is of the database postgres, not of " + self.database)

    def test_a_slot_that_is_read(self):
        self.make(TABLE)
        hub = self.run_hub()
        self.finds("is being read by another connection")
        hub.stop()

    def test_a_slot_that_was_lost(self):
        with Postgres({"max_slot_wal_keep_size": "1MB", "max_wal_size": "32MB", "min_wal_size": "32MB"}) as server:
            self.database = server.database(TABLE)
            server.psql("SELECT pg_create_logical_replication_slot('lost', 'pgoutput')", self.database)

            def lost():
                server.psql("SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000)) FROM generate_series(1, 20);"
                            "SELECT pg_switch_wal(); CHECKPOINT", self.database)
                return server.psql("SELECT wal_status FROM pg_replication_slots") == "lost\n"
            wait_for("the slot to be lost", lost)
            self.finds("was invalidated (it held more than max_slot_wal_keep_size)", "SELECT pg_drop_replication_slot('lost')",
                       server=server, slot_name="lost")

    def test_no_publication_and_none_may_be_made(self):
        self.make(TABLE)
        self.finds("CREATE PUBLICATION %s FOR TABLE" % self.name, publication_autocreate_mode="disabled")

    def test_a_publication_without_a_table(self):
        self.make(TABLE + "; CREATE TABLE u(id int PRIMARY KEY); CREATE PUBLICATION %s FOR TABLE u" % self.name)
        self.mended("ALTER PUBLICATION %s ADD TABLE public.t" % self.name)

    def test_a_publication_by_the_root(self):
        """What is there counts, not the option."""
        self.make("CREATE TABLE r(id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE r1 PARTITION OF r FOR VALUES "
                  "FROM (0) TO (10); CREATE PUBLICATION %s FOR TABLE r WITH (publish_via_partition_root)" % self.name)
        self.fine()
        self.sql("ALTER PUBLICATION %s SET (publish_via_partition_root = false)" % self.name)
        self.fine(publish_via_partition_root=True)

    def test_a_publication_that_leaves_out_changes(self):
        self.make(TABLE + "; CREATE PUBLICATION %s FOR ALL TABLES WITH (publish = 'insert')" % self.name)
        self.mended("ALTER PUBLICATION %s SET (publish = 'insert, update, delete, truncate')" % self.name)

    def test_a_publication_with_a_row_filter(self):
        """The stream has those rows, snapshots have all, unless they are told."""
        self.server.needs(15, "row filters and column lists")
        self.make(TABLE + "; CREATE SCHEMA s; CREATE TABLE s.u(id int PRIMARY KEY); CREATE TABLE plain(id int PRIMARY KEY); "
                  "INSERT INTO t VALUES (1, 'a'), (20, 'b'); "
                  "CREATE PUBLICATION %s FOR TABLE t WHERE (id > 10), s.u WHERE (id > 5), plain" % self.name)
        options = {"table_exclude_list": r"s\.u"}
        mend = ["snapshot.select.statement.overrides: public.t ",
                "snapshot.select.statement.overrides.public.t: SELECT * FROM public.t WHERE (id > 10)"]
        self.warns("the publication %s has a row filter for public.t: " % self.name, *mend, **options)
        merged = self.options(snapshot_mode="initial", table_exclude_list=r"s\.u")
        hub = self.run_hub(merged)
        self.sql("INSERT INTO t VALUES (3, 'c'), (30, 'd')")
        self.assertEqual([1, 20, 30], [v["after"]["id"] for _, v in self.wait_events(hub, "t.public.t", 3)])
        self.assertIn("has a row filter for public.t", hub.log_text())
        hub.stop()
        options.update({"slot_name": "another", "snapshot_select_statement_overrides": "public.t"})
        self.finds('there is no option "snapshot.select.statement.overrides.public.t"', **options)
        self.fine(**dict(options, snapshot_select_statement_overrides_public_t=mend[1].split(": ")[1]))
        self.sql("ALTER PUBLICATION %s SET TABLE t WHERE (id > 10), TABLES IN SCHEMA public, s" % self.name)
        self.fine(slot_name="another")

    def test_a_publication_with_a_column_list(self):
        self.server.needs(15, "row filters and column lists")
        self.make("CREATE TABLE t(id int PRIMARY KEY, v text, \"Secret\" text, other int, twice int GENERATED ALWAYS AS (id * 2) STORED); "
                  "INSERT INTO t VALUES (1, 'a', 's', 5); CREATE TABLE plain(id int PRIMARY KEY); "
                  "CREATE PUBLICATION %s FOR TABLE t(id, v), plain" % self.name)
        self.warns("the publication %s has a column list for public.t: " % self.name,
                   "set column.exclude.list: public.t.Secret,public.t.other\n")
        self.warns("set column.exclude.list: public.t.other\n", column_exclude_list="public.t.Secret")
        self.fine(column_exclude_list="public.t.Secret,public.t.other")
        self.warns("take out of column.include.list: public.t.other\n", column_include_list="public.t.id,public.t.other,public.plain.id")
        self.fine(column_include_list="public.t.id,public.plain.id")
        hub = self.run_hub(self.options(snapshot_mode="initial"))
        self.sql("INSERT INTO t VALUES (2, 'b', 's', 6)")
        events = self.wait_events(hub, "t.public.t", 2)
        self.assertEqual([{"id": 1, "v": "a", "Secret": "s", "other": 5}, {"id": 2, "v": "b"}], [v["after"] for _, v in events])
        self.assertIn("has a column list for public.t", hub.log_text())

    def test_a_publication_of_a_part_by_the_root(self):
        """What the publication says of the root holds for its partitions, whatever it says of them."""
        self.server.needs(15, "row filters and column lists")
        self.make("CREATE TABLE r(id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE r1 PARTITION OF r FOR VALUES "
                  "FROM (0) TO (10); CREATE PUBLICATION %s FOR TABLE r, r1(id) WHERE (id > 5) WITH (publish_via_partition_root)" % self.name)
        self.fine()
        self.sql("ALTER PUBLICATION %s SET TABLE r(id), r1" % self.name)
        self.warns("has a column list for public.r: ", "set column.exclude.list: public.r.v\n")
        self.sql("ALTER PUBLICATION %s SET TABLE r WHERE (id > 5), r1(id)" % self.name)
        self.warns("has a row filter for public.r: ", "SELECT * FROM public.r WHERE (id > 5)")

    # ---- tables ----

    def test_a_table_without_key(self):
        self.make("CREATE TABLE nokey(a int); CREATE TABLE whole(a int); ALTER TABLE whole REPLICA IDENTITY FULL")
        text = self.warns("public.nokey has no primary key, and its REPLICA IDENTITY is the default: while it is published, "
                          "UPDATE and DELETE fail", "REPLICA IDENTITY FULL")
        self.assertEqual(1, text.count("(postgres):"), text)  # the other one is none
        done = leat("validate", "--connect", self.path("check.yaml"), "--output", "json")
        told = json.loads(done.stdout)
        self.assertEqual(([], 1), (told["problems"], len(told["warnings"])))
        self.assertIn("public.nokey has no primary key", told["warnings"][0]["message"])
        self.sql("ALTER TABLE nokey REPLICA IDENTITY FULL")
        self.fine()

    def test_a_table_whose_identity_is_nothing(self):
        self.make(TABLE + "; ALTER TABLE t REPLICA IDENTITY NOTHING")
        statement = "ALTER TABLE public.t REPLICA IDENTITY DEFAULT"
        self.warns(statement)
        self.sql(statement)
        self.fine()

    def test_types_that_are_not_rendered(self):
        self.make("CREATE TYPE pair AS (a int, b int); CREATE TABLE odd(id int PRIMARY KEY, p pair, twice int GENERATED ALWAYS AS (id * 2) STORED)")
        text = self.finds("the column p of public.odd has the type PAIR, which is not rendered", "include.unknown.datatypes")
        self.assertNotIn("twice", text)
        self.fine(include_unknown_datatypes=True)
        self.fine(column_exclude_list="public.odd.p")

    def test_lists_that_match_nothing(self):
        self.make("CREATE TABLE orders(id int PRIMARY KEY); CREATE TABLE customers(id int PRIMARY KEY)")
        text = self.finds("no table of the database %s is captured (table.include.list: public.order)" % self.database,
                          table_include_list="public.order")
        self.assertIn("there are public.orders, public.customers", text)

    # ---- the signal table ----

    def test_the_signal_table(self):
        self.make(TABLE + "; CREATE PUBLICATION %s FOR TABLE t" % self.name)
        options = {"signal_data_collection": "public.signals"}
        create = "CREATE TABLE public.signals (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))"
        self.finds(create, **options)
        self.sql("CREATE TABLE signals(id int PRIMARY KEY)")
        self.finds("has not the three columns", "DROP TABLE public.signals; " + create, **options)
        self.sql("DROP TABLE public.signals; " + create)
        self.mended("ALTER PUBLICATION %s ADD TABLE public.signals" % self.name, **options)
        self.finds("is not schema.table", signal_data_collection="signals")

    def test_the_signal_table_may_not_be_written(self):
        self.make(TABLE + "; CREATE TABLE signals (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048)); "
                  "CREATE PUBLICATION %s FOR ALL TABLES" % self.name)
        role = self.role("REPLICATION")
        self.sql("GRANT SELECT ON t, signals TO %s; GRANT INSERT ON signals TO %s" % (role, role))
        options = {"database_user": role, "signal_data_collection": "public.signals"}
        self.fine(**options)
        options["incremental_snapshot_watermarking_strategy"] = "insert_delete"
        self.mended("GRANT INSERT, DELETE ON public.signals TO %s" % role, **options)

    # ---- together ----

    def test_all_are_found_at_once(self):
        with Postgres({"wal_level": "replica", "max_wal_senders": "0"}) as server:
            self.database = server.database("CREATE TABLE nokey(a int)")
            text = self.finds("wal_level", "max_wal_senders", "public.nokey has no primary key", "there is no signal table",
                              server=server, signal_data_collection="public.s", publication_autocreate_mode="disabled")
            self.assertIn("there is no publication", text)

    def test_a_run_goes_on_with_warnings(self):
        self.make(TABLE + "; CREATE TABLE nokey(a int)")
        hub = self.run_hub()
        self.sql("INSERT INTO t VALUES (1, 'x')")
        self.wait_events(hub, "t.public.t", 1)
        self.assertIn("public.nokey has no primary key", hub.log_text())


del PgCase

if __name__ == "__main__":
    unittest.main()
