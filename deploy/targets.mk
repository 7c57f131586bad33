# What people call: run, test, bench, fuzz, docs, format, lint, install.

EXAMPLE ?= quickstart
BENCH   ?= all
FUZZ    ?= all
SECONDS ?= 60
PG      ?= 17

.PHONY: help run test check power conformance compare postgres bench fuzz docs docs-check format lint install uninstall clean
help:
	@echo 'make              build $(BUILD)/leat and $(BUILD)/plugins/*.so'
	@echo 'make run          install what is missing, build, run config/examples/$$EXAMPLE.yaml (quickstart)'
	@echo 'make test         install what is missing, build every variant, run every test'
	@echo 'make unit         unit tests of this variant (SANITIZE=address|thread, CC=clang)'
	@echo 'make power        power loss on a simulated disk; SEED=1 SEEDS=10000 MIX=all TRACE=1 (tests/power)'
	@echo 'make conformance  every client of Kafka with our hub; Apache Kafka on our files, and we on its (Java, Maven, registries)'
	@echo 'make compare      beside Debezium on one PostgreSQL, event by event (needs Java and Maven; some minutes, 3 GiB)'
	@echo 'make postgres     the tests of the Postgres source on another PostgreSQL: PG=13, 14, 16 or 17 (needs Maven)'
	@echo 'make bench        benchmarks, all or BENCH=name; tables here, JSON in build/bench'
	@echo 'make fuzz         fuzz every parser for SECONDS=60, or FUZZ=name'
	@echo 'make docs         write the generated pages'
	@echo 'make format lint  clang-format; style and layering checks'
	@echo 'make install      DESTDIR= PREFIX=/usr/local'

run:
	@deploy/install-dependencies build $(notdir $(wildcard deploy/packages/$(EXAMPLE)))
	@$(MAKE) --no-print-directory -s -j$$(nproc) all
	@deploy/run-example '$(BUILD)' '$(EXAMPLE)'

test:
	@deploy/install-dependencies build test
	@deploy/install-dependencies conformance || echo 'Going on without; the stage conformance will say what it skips.'
	@tests/run

POWER_RUN := build-power/tests/power/power
power:
	@$(MAKE) --no-print-directory -s POWER=1 build-power/tests/power/power
	@$(POWER_RUN) --seed $(or $(SEED),1) --seeds $(or $(SEEDS),10000) $(if $(TRACE),--trace --jobs 1) $(if $(DAMAGE),--damage) $(if $(TWO),--two) $(if $(MIX),--mix $(MIX))
	@$(if $(SEED),:,$(POWER_RUN) --mix varied --seeds 6000)
	@$(if $(SEED),:,$(POWER_RUN) --mix recovered --seeds 1000)
	@$(if $(SEED),:,$(POWER_RUN) --mix direct --seeds 2000)
	@$(if $(SEED),:,$(POWER_RUN) --mix recut --seeds 3000)
	@$(if $(SEED),:,$(POWER_RUN) --damage --seeds 4000)
	@$(if $(SEED),:,$(POWER_RUN) --two --seeds 2000)
	@$(if $(SEED),:,$(POWER_RUN) --two --mix varied --seeds 2000)
	@$(if $(SEED),:,tests/power/repeats $(POWER_RUN) --two --mix varied)
	@$(if $(SEED),:,$(POWER_RUN) --plants --seeds 10000)

conformance:
	@deploy/install-dependencies build conformance
	@tests/conformance/run '$(BUILD)'

compare:
	@deploy/install-dependencies build test conformance
	@tests/compare/run '$(BUILD)'

postgres:
	@deploy/install-dependencies build test conformance
	@$(MAKE) --no-print-directory -s -j$$(nproc) all
	@LEAT_BUILD='$(BUILD)' PYTHONPATH=tests/lib tests/lib/with-postgres '$(PG)' \
	    python3 -W error -m unittest discover -s tests/integration/postgres -t . -p 'test_*.py' -v

bench:
	@deploy/install-dependencies build test
	@$(MAKE) --no-print-directory -s -j$$(nproc) all
	@tests/bench/run '$(BUILD)' '$(BENCH)'

fuzz:
	@deploy/install-dependencies build test
	@tests/fuzz/run '$(FUZZ)' '$(SECONDS)'

docs: all
	@$(BUILD)/leat docs --plugin-path $(BUILD)/plugins --write docs

docs-check: all
	@$(BUILD)/leat docs --plugin-path $(BUILD)/plugins --check docs

SOURCES = $(shell git ls-files '*.c' '*.h')
format:
	clang-format -i $(SOURCES)

lint:
	@clang-format --dry-run -Werror $(SOURCES)
	@tests/lib/check-style

EXAMPLE_PLUGINS := $(patsubst %/,%,$(wildcard plugins/examples/*/))

install: all
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/lib/leat/plugins' '$(DESTDIR)$(PREFIX)/include/leat' \
	    '$(DESTDIR)$(PREFIX)/share/leat/examples' $(patsubst %,'$(DESTDIR)$(PREFIX)/share/leat/%',$(EXAMPLE_PLUGINS)) \
	    '$(DESTDIR)$(PREFIX)/share/doc/leat/docs/connectors' '$(DESTDIR)$(PREFIX)/share/doc/leat/docs/clients' \
	    '$(DESTDIR)$(PREFIX)/lib/systemd/system' '$(DESTDIR)$(PREFIX)/share/bash-completion/completions'
	install -m 755 $(BUILD)/leat '$(DESTDIR)$(PREFIX)/bin/leat'
	install -m 644 $(PLUGINS) '$(DESTDIR)$(PREFIX)/lib/leat/plugins/'
	install -m 644 plugins/include/leat/plugin.h '$(DESTDIR)$(PREFIX)/include/leat/'
	install -m 644 config/examples/*.yaml '$(DESTDIR)$(PREFIX)/share/leat/examples/'
	install -m 644 docs/leat.schema.json '$(DESTDIR)$(PREFIX)/share/leat/'
	for d in $(EXAMPLE_PLUGINS); do \
	    install -m 644 $$d/Makefile $$d/*.c "$(DESTDIR)$(PREFIX)/share/leat/$$d/" || exit; done
	install -m 644 README.md LICENSE CHANGELOG.md '$(DESTDIR)$(PREFIX)/share/doc/leat/'
	install -m 644 docs/*.md '$(DESTDIR)$(PREFIX)/share/doc/leat/docs/'
	install -m 644 docs/clients/*.md '$(DESTDIR)$(PREFIX)/share/doc/leat/docs/clients/'
	install -m 644 docs/connectors/*.md '$(DESTDIR)$(PREFIX)/share/doc/leat/docs/connectors/'
	sed 's|@PREFIX@|$(PREFIX)|g' deploy/leat.service.in >'$(DESTDIR)$(PREFIX)/lib/systemd/system/leat.service'
	$(BUILD)/leat completion bash >'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/leat'

uninstall:
	rm -rf '$(DESTDIR)$(PREFIX)/bin/leat' '$(DESTDIR)$(PREFIX)/lib/leat' '$(DESTDIR)$(PREFIX)/include/leat' \
	    '$(DESTDIR)$(PREFIX)/share/leat' '$(DESTDIR)$(PREFIX)/share/doc/leat' \
	    '$(DESTDIR)$(PREFIX)/lib/systemd/system/leat.service' \
	    '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/leat'

clean:
	rm -rf build build-*
