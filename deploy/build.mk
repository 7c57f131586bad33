# The rules behind the Makefile: one static library a layer, so that a layer's unit tests link nothing above it.

Q := $(if $(V),,@)
comma := ,
say = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(patsubst $(BUILD)/%,%,$@)';)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wformat=2 \
        -Wundef -Wvla -Wwrite-strings -Wcast-qual -Wimplicit-fallthrough
# gcc cannot see that a non-zero error code means an unset result; the sanitizers and clang's analysis can.
WARN += $(if $(findstring clang,$(CC)),,-Wno-maybe-uninitialized)
OPT  := $(if $(SANITIZE),-O1,-O2)
SAN  := $(if $(filter address,$(SANITIZE)),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all) \
        $(if $(filter thread,$(SANITIZE)),-fsanitize=thread) \
        $(if $(filter fuzzer,$(SANITIZE)),-fsanitize=fuzzer-no-link$(comma)address$(comma)undefined -fno-sanitize-recover=all)
GEN  := $(BUILD)/gen
# libpq's headers have a directory of their own.
PKG_CFLAGS := $(shell pkg-config --cflags-only-I libpq)
CFLAGS_ALL := -std=gnu11 -g $(OPT) -fno-omit-frame-pointer -fPIC -fvisibility=hidden -pthread $(WARN) $(SAN) \
        -D_GNU_SOURCE -DLEAT_VERSION='"$(VERSION)"' -DLEAT_PREFIX='"$(PREFIX)"' -Icore -I$(GEN) -Iplugins/include -Iplugins -I. $(PKG_CFLAGS) \
        $(CFLAGS)
LDFLAGS_ALL := -pthread -Wl,--as-needed $(SAN) $(LDFLAGS)
# What librdkafka, which is loaded at run time, shall take instead of glibc's.
C11THREADS  := $(if $(filter thread,$(SANITIZE)),$(BUILD)/obj/tests/sanitize/c11threads.o)
C11_EXPORT  := $(if $(C11THREADS),-rdynamic)
PKG_LIBS = $(shell pkg-config --libs $(PACKAGES)) -ldl -lm

# The structs and tables of Kafka's messages, made from core/protocol/messages by a program of the build's.
MSG_SRC  := $(wildcard core/protocol/messages/*.msg)
GEN_SRC  := $(wildcard core/protocol/gen/*.c)
MSG_MADE := $(GEN)/protocol/messages.c $(GEN)/protocol/messages.h

$(GEN)/msggen: $(GEN_SRC) $(wildcard core/protocol/gen/*.h)
	@mkdir -p $(@D)
	$(call say,HOSTCC)$(CC) -std=gnu11 -g -O1 $(WARN) -D_GNU_SOURCE -o $@ $(GEN_SRC)

$(MSG_MADE) &: $(GEN)/msggen $(MSG_SRC)
	@mkdir -p $(GEN)/protocol
	$(if $(V),,@printf '  %-7s %s\n' MSG gen/protocol/messages.c; )$(GEN)/msggen $(GEN)/protocol $(MSG_SRC)

LAYER_LIBS := $(foreach l,$(LAYERS),$(BUILD)/lib/$(l).a)
# libraries a layer's tests need: itself and all below, top first for the linker
below = $(foreach l,$(call upto,$(1),$(LAYERS)),$(BUILD)/lib/$(l).a)
upto  = $(if $(2),$(if $(filter $(1),$(firstword $(2))),$(1),$(call upto,$(1),$(wordlist 2,99,$(2))) $(firstword $(2))))

layer_objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out core/cli/main.c,$(wildcard core/$(1)/*.c))) $(if $(filter protocol,$(1)),$(BUILD)/obj/gen/messages.o)
KIT_OBJS   := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard plugins/kit/*.c plugins/kit/*/*.c))
CONNECTORS := $(notdir $(patsubst %/,%,$(wildcard connectors/*/)))
PLUGINS    := $(foreach c,$(CONNECTORS),$(BUILD)/plugins/$(c).so)
UNIT       := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*/test_*.c))
TESTLIB    := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/lib/*.c)) $(C11THREADS)

.PHONY: all
all: $(BUILD)/leat $(PLUGINS)

# Whatever includes messages.h is compiled after it was made.
$(BUILD)/obj/%.o: %.c | $(GEN)/protocol/messages.h
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/obj/gen/messages.o: $(GEN)/protocol/messages.c $(GEN)/protocol/messages.h
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

define layer_rule
$(BUILD)/lib/$(1).a: $(call layer_objs,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR)ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rule,$(l))))

$(BUILD)/lib/kit.a: $(KIT_OBJS)
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$(BUILD)/leat: $(BUILD)/obj/core/cli/main.o $(C11THREADS) $(call below,cli)
	$(call say,LINK)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(C11_EXPORT) $(PKG_LIBS)

# A plugin takes no symbol of the host (-z defs proves it), and keeps its libraries' symbols to itself.
define plugin_rule
$(BUILD)/plugins/$(1).so: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard connectors/$(1)/*.c)) $(BUILD)/lib/kit.a $(BUILD)/lib/base.a
	@mkdir -p $$(@D)
	$$(call say,PLUGIN)$(CC) -shared $(if $(SANITIZE),,-Wl$(comma)-z$(comma)defs) -Wl,--exclude-libs,ALL -o $$@ $$^ $(LDFLAGS_ALL) $$(PKG_LIBS)
endef
$(foreach c,$(CONNECTORS),$(eval $(call plugin_rule,$(c))))

# ---- tests --------------------------------------------------------------------------------------------------------

# tests/unit/<layer>/test_x.c links that layer and those below; tests/unit/kit the plugin kit; tests/unit/<connector>
# the connector's own objects. client/test_kafka starts librdkafka's cluster for tests.
unit_layer = $(word 1,$(subst /, ,$(1)))
define unit_rule
$(BUILD)/tests/unit/$(1): $(BUILD)/obj/tests/unit/$(1).o $(TESTLIB) $(if $(filter $(call unit_layer,$(1)),$(LAYERS)),$(call below,$(call unit_layer,$(1))),$(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard connectors/$(call unit_layer,$(1))/*.c)) $(BUILD)/lib/kit.a $(call below,connect))
	@mkdir -p $$(@D)
	$$(call say,LINK)$(CC) -o $$@ $$^ $(LDFLAGS_ALL) -lcmocka $(if $(filter client/test_kafka,$(1)),-lrdkafka) $$(PKG_LIBS)
endef
$(foreach t,$(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*/test_*.c)),$(eval $(call unit_rule,$(t))))

# With the thread sanitizer, those whose code starts threads or is used by several.
THREADLESS := $(if $(filter thread,$(SANITIZE)),record protocol config)
UNIT_RUN := $(filter-out $(foreach l,$(THREADLESS),$(BUILD)/tests/unit/$(l)/%),$(UNIT))

.PHONY: unit
unit: $(UNIT_RUN)
	$(Q)tests/lib/run-unit $(UNIT_RUN)

# What writes a store for Kafka to read (tests/conformance).
$(BUILD)/tests/conformance/%: $(BUILD)/obj/tests/conformance/%.o $(call below,broker)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(PKG_LIBS)

# The C client: librdkafka as Debian has it.
$(BUILD)/tests/conformance/rdkafka: $(BUILD)/obj/tests/conformance/rdkafka.o
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -o $@ $^ $(LDFLAGS_ALL) -lrdkafka $(PKG_LIBS)

BENCHLIB := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/bench/lib/*.c))

$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(BENCHLIB) $(BUILD)/lib/kit.a $(call below,client)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(PKG_LIBS)

$(BUILD)/bench/bench_kafka_e2e: PKG_LIBS += -lrdkafka

# Fuzz targets: clang, SANITIZE=fuzzer (tests/fuzz/run). Connectors come as an archive, so that only what a target uses is
# linked and their exported symbols do not clash.
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
CONNECTOR_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard connectors/*/*.c))

$(BUILD)/lib/connectors.a: $(CONNECTOR_OBJS)
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/lib/connectors.a $(BUILD)/lib/kit.a $(call below,http)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -o $@ $^ $(LDFLAGS_ALL) -fsanitize=fuzzer $(PKG_LIBS)

.PHONY: fuzzers
fuzzers: $(FUZZERS)

-include $(shell test -d $(BUILD)/obj && find $(BUILD)/obj -name '*.d')

# ---- test plugins: plugins/test/x.c becomes test-plugins/x.so -----------------------------------------------------

TEST_PLUGINS := $(patsubst plugins/test/%.c,$(BUILD)/test-plugins/%.so,$(wildcard plugins/test/*.c))

$(BUILD)/test-plugins/%.so: plugins/test/%.c plugins/include/leat/plugin.h
	@mkdir -p $(@D)
	$(call say,PLUGIN)$(CC) $(CFLAGS_ALL) -shared -o $@ $< $(LDFLAGS_ALL)

# All that tests of the whole make of this variant, so that several of them can be run side by side.
.PHONY: test-programs
test-programs: all $(TEST_PLUGINS) $(foreach p,make_store messages frames $(shell pkg-config --exists rdkafka && echo rdkafka),$(BUILD)/tests/conformance/$(p))

$(filter $(BUILD)/tests/unit/connect/%,$(UNIT)): | $(TEST_PLUGINS)
