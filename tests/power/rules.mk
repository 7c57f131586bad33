# The simulated loss of power. Its own variant (POWER=1, build-power): sites.h comes before every source of the store, and
# the linker puts the simulated disk in the place of the system calls.

ifdef POWER
$(BUILD)/obj/core/storage/%.o: CFLAGS_ALL += -include tests/power/sites.h
$(BUILD)/obj/core/broker/%.o: CFLAGS_ALL += -include tests/power/sites.h
endif

$(BUILD)/tests/power/power: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/power/*.c)) $(call below,broker)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -o $@ $^ -Wl,@tests/power/wrap $(LDFLAGS_ALL) $(PKG_LIBS)
