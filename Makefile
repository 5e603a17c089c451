# SPDX-License-Identifier: MIT
#
# make help says what can be made; README.md describes the variables that may be set.
# Nothing that `make deps` may have to install first is looked up before a recipe needs it.

PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/rasip
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
SYSCONFDIR ?= /etc
DESTDIR ?=
BUILD ?= build
CC ?= cc
PKG_CONFIG ?= pkg-config
PYTHON ?= /usr/bin/python3
CFLAGS ?= -O2 -g
LDFLAGS ?=
SANITIZE ?=
WERROR ?=
FUZZ_SECONDS ?= 20
TORTURE_SECONDS ?= 600
V ?=

# Where pppd looks for plugins named without a slash: 2.5 says so itself, 2.4 does not.
PPPD_PLUGINDIR ?= $(or $(shell $(PKG_CONFIG) --variable=plugindir pppd 2>/dev/null),\
	$(lastword $(sort $(shell ls -d /usr/lib/pppd/[0-9]* 2>/dev/null))),/usr/lib/pppd/2.4.9)
# The directory that holds pppd/pppd.h.
PPPD_INCLUDE ?= $(or $(shell $(PKG_CONFIG) --variable=includedir pppd 2>/dev/null),/usr/include)

Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-7s %s\n' $(1) $(2))

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wcast-qual -Wmissing-prototypes \
	-Wstrict-prototypes -Wvla -Wformat=2 -Wswitch-enum -Wundef -Wwrite-strings -Wpointer-arith \
	-Wold-style-definition -Wredundant-decls $(if $(WERROR),-Werror)
# Fortified functions need an optimiser, and hide mistakes from sanitizers.
HARDENING := $(if $(SANITIZE),,$(if $(findstring FORTIFY,$(CPPFLAGS) $(CFLAGS)),,$(if \
	$(filter -O1 -O2 -O3 -Os -Og,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)) -fstack-protector-strong)
# Quoted names only: <error.h> and <memory.h> stay the system's.
INCLUDES := $(addprefix -iquote ,plugin pool pool/base)
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -fPIC -fvisibility=hidden -MMD -MP \
	$(INCLUDES) $(WARNINGS) $(HARDENING) $(CPPFLAGS) $(CFLAGS) \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
ALL_LDFLAGS := -Wl,-z,relro,-z,now $(LDFLAGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE))

POOL_LIBS := -llmdb -lconfig
JSON_LIBS := -ljansson
# For madcapd's book in PostgreSQL; without libpq madcapd is built without it.
LIBPQ_CFLAGS = $(shell $(PKG_CONFIG) --exists libpq 2>/dev/null && \
	echo -DHAVE_LIBPQ $$($(PKG_CONFIG) --cflags libpq | sed 's/-I/-isystem /g'))
LIBPQ_LIBS = $(shell $(PKG_CONFIG) --libs libpq 2>/dev/null)
CHECK_LIBS = $(shell $(PKG_CONFIG) --libs check 2>/dev/null || echo -lcheck)

# The client's side of the protocol: pools that lease from servers need it as well.
CLIENT_SOURCES := $(addprefix pool/madcap/,address.c client.c client_message.c client_result.c \
	endpoint.c message.c message_print.c message_table.c udp.c)
POOL_SOURCES := $(wildcard pool/*.c pool/base/*.c) $(CLIENT_SOURCES)
PLUGIN_SOURCES := $(wildcard plugin/*.c)
# Those that know pppd.
PPPD_SOURCES := plugin/plugin.c $(wildcard plugin/pppd_*.c)
TOOL_SOURCES := $(wildcard pool/tools/*.c)
# The rest of the protocol, without the sources that have a main().
MADCAP_TOOL_SOURCES := $(wildcard pool/madcap/madcap_tool.c pool/madcap/tool_*.c)
MADCAP_MAINS := $(wildcard pool/madcap/madcapd.c) $(MADCAP_TOOL_SOURCES)
MADCAP_SOURCES := $(filter-out $(MADCAP_MAINS) $(CLIENT_SOURCES),$(wildcard pool/madcap/*.c))
HARNESS_SOURCES := $(wildcard tests/harness/*.c)
UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
MODULE_SOURCES := $(wildcard tests/modules/*.c)
REAL_SOURCES := $(wildcard tests/real/*.c)
BENCH_SOURCES := $(wildcard tests/bench/*.c)
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
MAN_PAGES := $(wildcard man/*.[1-9])
EXAMPLES := $(filter-out %.tmpfiles %.bash-completion %.pc.in %.sysusers conf/systemd/%,$(shell find conf -type f))
UNITS := $(wildcard conf/systemd/*)
HEADERS := $(wildcard plugin/*.h pool/*.h pool/*/*.h tests/*/*.h)
C_SOURCES := $(wildcard plugin/*.c pool/*.c pool/*/*.c tests/*/*.c)

object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
POOL_OBJECTS := $(call object,$(POOL_SOURCES))
MADCAP_OBJECTS := $(call object,$(MADCAP_SOURCES))
PLUGIN_OBJECTS := $(call object,$(PLUGIN_SOURCES))
# The others, for unit tests and benchmarks.
SESSION_OBJECTS := $(call object,$(filter-out $(PPPD_SOURCES),$(PLUGIN_SOURCES)))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SOURCES))
MODULES := $(patsubst tests/modules/%.c,$(BUILD)/modules/%.so,$(MODULE_SOURCES))
REAL_PLUGINS := $(patsubst tests/real/%.c,$(BUILD)/real/%.so,$(REAL_SOURCES))
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(BENCH_SOURCES))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_SOURCES))
REPLAYS := $(patsubst tests/fuzz/%.c,$(BUILD)/replay/%,$(FUZZ_SOURCES))

.PHONY: all
all: $(BUILD)/rasip.so $(BUILD)/rasip $(BUILD)/madcapd $(BUILD)/madcap $(BUILD)/libmadcap.so \
	$(BUILD)/ras-harness $(BUILD)/torture/step $(BUILD)/torture/fault.so $(MODULES) ## everything (the default)

# Rebuilds everything when the compiler or its flags change. In `make -j deps check` nothing is
# compiled before deps is done.
FLAGS_STAMP := $(BUILD)/flags
FLAGS_NOW := $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(PPPD_INCLUDE)
$(FLAGS_STAMP): FORCE | $(filter deps,$(MAKECMDGOALS))
	@mkdir -p $(@D)
	@printf '%s\n' '$(FLAGS_NOW) $(LIBPQ_CFLAGS)' | cmp -s - $@ || \
		printf '%s\n' '$(FLAGS_NOW) $(LIBPQ_CFLAGS)' >$@
.PHONY: FORCE
FORCE:

$(BUILD)/obj/%.o: %.c $(FLAGS_STAMP)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(EXTRA_CFLAGS) -c -o $@ $<

# pppd's headers are not written for our warnings; as system headers they do not get them.
$(call object,$(PPPD_SOURCES) $(HARNESS_SOURCES) $(MODULE_SOURCES) $(REAL_SOURCES)): \
	EXTRA_CFLAGS = -isystem $(PPPD_INCLUDE)

$(call object,$(wildcard pool/madcap/*postgres*.c)): EXTRA_CFLAGS = $(LIBPQ_CFLAGS)

$(BUILD)/libpool.a: $(POOL_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/libmadcap_core.a: $(MADCAP_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Symbols bind inside: pppd exports names such as error, info and timeout.
$(BUILD)/rasip.so: $(PLUGIN_OBJECTS) $(BUILD)/libpool.a plugin/rasip.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-Bsymbolic -Wl,--exclude-libs,ALL -Wl,--version-script=plugin/rasip.map \
		-o $@ $(filter-out %.map,$^) $(ALL_LDFLAGS) $(POOL_LIBS)

$(BUILD)/rasip: $(call object,$(TOOL_SOURCES)) $(BUILD)/libpool.a
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(POOL_LIBS) $(JSON_LIBS)

$(BUILD)/madcapd: $(call object,pool/madcap/madcapd.c) $(BUILD)/libmadcap_core.a $(BUILD)/libpool.a
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(POOL_LIBS) $(JSON_LIBS) $(LIBPQ_LIBS)

# The harness stands for pppd: it exports what a plugin takes from pppd, and nothing of the pool.
$(BUILD)/ras-harness: $(call object,$(HARNESS_SOURCES))
	$(call say,LD,$@)
	$(Q)$(CC) -rdynamic -o $@ $^ $(ALL_LDFLAGS) $(JSON_LIBS) -ldl

$(BUILD)/modules/%.so: $(BUILD)/obj/tests/modules/%.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -o $@ $^ $(ALL_LDFLAGS)

$(BUILD)/real/%.so: $(BUILD)/obj/tests/real/%.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -o $@ $^ $(ALL_LDFLAGS)

$(BUILD)/madcap: $(call object,$(MADCAP_TOOL_SOURCES)) $(BUILD)/libmadcap_core.a $(BUILD)/libpool.a
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(POOL_LIBS) $(JSON_LIBS)

LIBMADCAP_VERSION := 0.1.0
# The library: its own objects, and what they need of the others.
LIBMADCAP_OBJECTS := $(call object,$(addprefix pool/madcap/,exchange.c lease.c lease_object.c libmadcap.c \
	local_allocation.c scopes.c))
$(BUILD)/libmadcap.so.0: $(LIBMADCAP_OBJECTS) $(BUILD)/libmadcap_core.a $(BUILD)/libpool.a \
		pool/madcap/libmadcap.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,libmadcap.so.0 -Wl,-Bsymbolic -Wl,--exclude-libs,ALL \
		-Wl,--version-script=pool/madcap/libmadcap.map -Wl,--no-undefined -Wl,--as-needed \
		-o $@ $(filter-out %.map,$^) $(ALL_LDFLAGS) $(JSON_LIBS)
$(BUILD)/libmadcap.so: $(BUILD)/libmadcap.so.0
	$(Q)ln -sf libmadcap.so.0 $@

$(BUILD)/tests/test_madcap_%: $(BUILD)/obj/tests/unit/test_madcap_%.o \
		$(BUILD)/libmadcap_core.a $(BUILD)/libpool.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(CHECK_LIBS) $(POOL_LIBS) $(JSON_LIBS) $(LIBPQ_LIBS)

$(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(SESSION_OBJECTS) $(BUILD)/libpool.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(CHECK_LIBS) $(POOL_LIBS) $(JSON_LIBS)

# Those whose calls of the system fail on purpose: what fails stands before the C library. A
# sanitizer calls it before it is ready for instrumented code.
$(call object,tests/torture/fault.c): EXTRA_CFLAGS = -fno-sanitize=all
$(BUILD)/tests/test_faults $(BUILD)/tests/test_madcap_faults: $(call object,tests/torture/fault.c)
# The test counts how often addresses are looked for.
$(BUILD)/tests/test_madcap_book: ALL_LDFLAGS += -Wl,--wrap=space_find_first

$(BUILD)/torture/%: $(BUILD)/obj/tests/torture/%.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS)

# For programs that know nothing of it, by LD_PRELOAD.
$(BUILD)/torture/%.so: $(BUILD)/obj/tests/torture/%.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -o $@ $^ $(LDFLAGS)

$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(SESSION_OBJECTS) $(BUILD)/libpool.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(POOL_LIBS) -lm

# It starts the server that stands beside it.
$(BUILD)/bench/bench_madcapd: | $(BUILD)/madcapd

# Fuzz targets and the pool they link are built apart, by clang with its own instrumentation.
FUZZ_CC ?= clang
FUZZ_CFLAGS := -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -MMD -MP $(INCLUDES) \
	-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
$(BUILD)/obj/fuzz/%.o: %.c $(FLAGS_STAMP)
	$(call say,FUZZCC,$<)
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

fuzz_object = $(patsubst %.c,$(BUILD)/obj/fuzz/%.o,$(1))
FUZZ_POOL := $(call fuzz_object,$(POOL_SOURCES))
FUZZ_MADCAP := $(call fuzz_object,$(filter-out pool/madcap/madcapd_%,$(MADCAP_SOURCES)))
# Targets that are after what stands in a store, not after LMDB, have one without LMDB.
FUZZ_IN_MEMORY := $(filter-out %/pool/base/store.o,$(FUZZ_POOL)) $(call fuzz_object,tests/fuzz/store_in_memory.c)
$(BUILD)/fuzz/fuzz_%: $(BUILD)/obj/fuzz/tests/fuzz/fuzz_%.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LDFLAGS) $(POOL_LIBS) $(JSON_LIBS)
$(addprefix $(BUILD)/fuzz/fuzz_,config parse secrets): $(FUZZ_POOL)
$(BUILD)/fuzz/fuzz_secrets: $(call fuzz_object,plugin/secrets.c)
$(BUILD)/fuzz/fuzz_store: $(FUZZ_IN_MEMORY)
$(filter-out %_book %_admin,$(filter $(BUILD)/fuzz/fuzz_madcap_%,$(FUZZERS))): $(FUZZ_MADCAP) $(FUZZ_POOL)
$(addprefix $(BUILD)/fuzz/fuzz_madcap_,book admin): $(FUZZ_MADCAP) $(FUZZ_IN_MEMORY)
$(BUILD)/fuzz/fuzz_madcap_admin: $(call fuzz_object,$(wildcard pool/madcap/madcapd_*.c pool/madcap/admin_socket.c))

# The same targets without a fuzzer, for the inputs in tests/fuzz/corpus. What stands before a
# library takes the place of what is in it.
$(BUILD)/replay/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(POOL_LIBS) $(JSON_LIBS) $(LIBPQ_LIBS)
$(BUILD)/replay/fuzz_secrets: $(BUILD)/obj/plugin/secrets.o
$(addprefix $(BUILD)/replay/fuzz_,store madcap_book madcap_admin): $(BUILD)/obj/tests/fuzz/store_in_memory.o
$(filter $(BUILD)/replay/fuzz_madcap_%,$(REPLAYS)): $(BUILD)/libmadcap_core.a
$(REPLAYS): $(BUILD)/libpool.a

.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# ---- what is needed from the distribution --------------------------------------------------------

DEPS := gcc g++ libc6-dev make pkg-config binutils ppp ppp-dev liblmdb-dev libconfig-dev libjansson-dev \
	check libpq-dev postgresql python3 user-mode-linux pppoe xl2tpd iproute2 kmod socat \
	clang libclang-rt-dev clang-format clang-tidy cppcheck shellcheck mandoc universal-ctags \
	valgrind gcovr gcc-i686-linux-gnu libc6-dev-i386-cross
# For check-all and fuzz-afl.
DEPS_ALL := afl++ debootstrap gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user
APT := env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
	-o Dpkg::Options::=--force-confold install

# The package lists are fetched only where those at hand do not do.
.PHONY: deps deps-all
deps-all: DEPS += $(DEPS_ALL)
deps-all: deps ## and what check-all and fuzz-afl need
deps: ## install what building, running and testing need (Debian, Ubuntu)
	@command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || { \
		echo 'make deps: no apt-get here; install what these Debian packages hold: $(DEPS)' >&2; \
		exit 1; }; \
	missing=$$(for package in $(DEPS); do \
		dpkg-query -W -f '$${db:Status-Status}\n' $$package 2>/dev/null | \
			grep -qx installed || echo $$package; done); \
	[ -n "$$missing" ] || exit 0; \
	as_root=; \
	if [ "$$(id -u)" != 0 ]; then as_root=sudo; command -v sudo >/dev/null || { \
		echo "make deps: needs root, and there is no sudo, to install:" $$missing >&2; exit 1; }; fi; \
	echo "  APT    " $$missing; \
	$$as_root $(APT) $$missing </dev/null || \
		{ $$as_root apt-get -q update </dev/null && $$as_root $(APT) $$missing </dev/null; }

# Not installed: it comes with a server that begins to serve.
.PHONY: promtool
promtool: build/promtool/usr/bin/promtool ## Prometheus' check of metrics, for the tests (Debian's package, unpacked)
build/promtool/usr/bin/promtool:
	@mkdir -p build/promtool; cd build/promtool && \
		{ apt-get -q download prometheus >/dev/null 2>&1 || \
			{ apt-get -q update && apt-get -q download prometheus; } </dev/null; } && \
		dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb

# ---- seeing it work ------------------------------------------------------------------------------

RUN_TESTS = RASIP_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/run
TEST_BUILDS := $(UNIT_TESTS) $(REAL_PLUGINS) $(REPLAYS)

.PHONY: demo
demo: all $(REAL_PLUGINS) ## a real pppd gives real peers their addresses, here and now
	@RASIP_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/real/demo.py

.PHONY: check-build
check-build: all $(TEST_BUILDS) $(BENCHES) ## what tests and benchmarks need, without running it

.PHONY: check check-unit check-harness check-madcap check-real check-tool
check: all $(TEST_BUILDS) ## every test; SUITES="unit tool" for some, TESTS=PATTERN for single ones
	@$(RUN_TESTS) $(addprefix --suite ,$(SUITES)) $(addprefix --filter ,$(TESTS))
check-unit: all $(UNIT_TESTS) ## functions of pool/ and plugin/
check-harness: all ## the plugin, played by ras-harness
check-tool: all $(REPLAYS) ## rasip(8), installing, and what fuzzing found
check-madcap: all $(BUILD)/tests/test_madcap_book ## madcap(1) and madcapd(8)
check-real: all $(REAL_PLUGINS) ## real pppds in user-mode Linux
check-unit check-harness check-tool check-madcap check-real:
	@$(RUN_TESTS) --suite $(@:check-%=%) $(addprefix --filter ,$(TESTS))

.PHONY: torture-book
torture-book: all ## minutes of random faults for a shared lease book; TORTURE_SECONDS, TORTURE_SEED
	@export TORTURE_SECONDS=$${TORTURE_SECONDS:-240}; \
		$(RUN_TESTS) -v --slow $$((TORTURE_SECONDS / 200 + 1)) --suite madcap --suite harness \
		--filter '*/test_shared_torture.*'

.PHONY: check-all
check-all: check ## and what takes longer: 32 bit, big-endian, valgrind, ...; PLATFORMS="i386 scan" for some
	@BUILD=$(BUILD) PYTHON=$(PYTHON) tests/platforms $(PLATFORMS)

.PHONY: bench
bench: $(BENCHES) $(BUILD)/rasip ## the benchmarks; BENCH_QUICK=1 for a short run
	@for bench in $(BENCHES); do $$bench || exit 1; done
	@RASIP_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/bench_shared_book.py

# A corpus for each in tests/fuzz/corpus, and a dictionary beside the target: its own, or that of
# several (madcap.dict). What is found meanwhile stays in build/fuzz/corpus; a crash leaves its input
# in build/fuzz.
.PHONY: fuzz fuzz-afl fuzz-afl-build
FUZZ_RUNS := $(FUZZERS:$(BUILD)/fuzz/fuzz_%=fuzz-run-%)
fuzz: $(FUZZ_RUNS) ## every fuzz target, for FUZZ_SECONDS each; -j2 for two at a time
.PHONY: $(FUZZ_RUNS)
$(FUZZ_RUNS): fuzz-run-%: $(BUILD)/fuzz/fuzz_%
	@name=$*; found=$(BUILD)/fuzz/corpus/$$name; mkdir -p $$found; \
		given=tests/fuzz/corpus/$$name; [ -d $$given ] || given=; \
		words=$$(ls tests/fuzz/$$name.dict tests/fuzz/$${name%%_*}.dict 2>/dev/null | head -n 1); \
		printf '  %-7s %s, %d s\n' FUZZ $$name $(FUZZ_SECONDS); \
		$< -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
			$${words:+-dict=$$words} -artifact_prefix=$(BUILD)/fuzz/ $$found $$given

.PHONY: torture
torture: all $(TEST_BUILDS) ## kills, faults and random histories without end, for TORTURE_SECONDS
	@RASIP_BUILD=$(abspath $(BUILD)) TORTURE_SECONDS=$(TORTURE_SECONDS) $(PYTHON) tests/torture/run.py

# The same targets with AFL++'s instrumentation and driver (Debian: afl++).
AFL_ENV := AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_QUIET=1
fuzz-afl-build:
	@AFL_QUIET=1 $(MAKE) --no-print-directory BUILD=$(BUILD)/afl FUZZ_CC=afl-clang-fast \
		$(FUZZERS:$(BUILD)/%=$(BUILD)/afl/%)
fuzz-afl: fuzz-afl-build ## likewise with AFL++; FUZZ_TARGETS="store parse" for some
	@for name in $(or $(FUZZ_TARGETS),$(FUZZERS:$(BUILD)/fuzz/fuzz_%=%)); do \
		given=tests/fuzz/corpus/$$name; out=$(BUILD)/afl/found/$$name; mkdir -p $$out; \
		words=$$(ls tests/fuzz/$$name.dict tests/fuzz/$${name%%_*}.dict 2>/dev/null | head -n 1); \
		printf '  %-7s %s\n' AFL $$name; \
		$(AFL_ENV) afl-fuzz -V $(FUZZ_SECONDS) -t 10000 -i $$given -o $$out $${words:+-x $$words} \
			-- $(BUILD)/afl/fuzz/fuzz_$$name >$$out/log 2>&1 || { tail -n 20 $$out/log; exit 1; }; \
		grep -E '^(execs_done|corpus_count|saved_crashes)' $$out/default/fuzzer_stats; \
		grep -q '^saved_crashes *: 0$$' $$out/default/fuzzer_stats || exit 1; done

# What processes did that were killed, or that had become another user, leaves no trace.
.PHONY: coverage
coverage: ## which lines and branches the tests reach; a page in build/coverage/html
	@rm -rf $(BUILD)/coverage
	-$(Q)GCOV_ERROR_FILE=/dev/null $(MAKE) --no-print-directory BUILD=$(BUILD)/coverage CFLAGS='-O0 -g --coverage' \
		LDFLAGS=--coverage check SUITES='unit harness tool madcap'
	@mkdir -p $(BUILD)/coverage/html
	$(Q)gcovr --root . --filter plugin/ --filter pool/ --sort-percentage --print-summary \
		--txt $(BUILD)/coverage/lines.txt --json $(BUILD)/coverage/all.json \
		--html-details $(BUILD)/coverage/html/index.html $(BUILD)/coverage

# ---- reading it ----------------------------------------------------------------------------------

.PHONY: format format-check lint
format: ## lay out all C sources
	$(Q)clang-format -i $(C_SOURCES) $(HEADERS)
format-check: ## are they?
	$(Q)clang-format --dry-run --Werror $(C_SOURCES) $(HEADERS)
lint: ## what compilers, clang-tidy, cppcheck and others have to say; LINTS="tidy headers" for some
	@LINT_CFLAGS='$(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LIBPQ_CFLAGS)' LINT_SOURCES='$(C_SOURCES)' \
		LINT_HEADERS='$(HEADERS)' PPPD_INCLUDE='$(PPPD_INCLUDE)' PYTHON='$(PYTHON)' \
		tests/lint $(LINTS)

# ---- installing ----------------------------------------------------------------------------------

man_dir = $(DESTDIR)$(MANDIR)/man$(patsubst .%,%,$(suffix $(1)))
CONFDIR = $(DESTDIR)$(SYSCONFDIR)/rasip

# What an operator may have written, /etc/rasip/rasip.conf, is neither installed nor removed.
.PHONY: install
install: $(BUILD)/rasip.so $(BUILD)/rasip install-madcap ## into DESTDIR, below PREFIX
	install -D -m 644 $(BUILD)/rasip.so $(DESTDIR)$(PPPD_PLUGINDIR)/rasip.so
	install -D -m 755 $(BUILD)/rasip $(DESTDIR)$(SBINDIR)/rasip
	install -D -m 644 plugin/admin_module.h $(DESTDIR)$(INCLUDEDIR)/rasip/admin_module.h
	$(foreach page,$(MAN_PAGES),install -D -m 644 $(page) $(call man_dir,$(page))/$(notdir $(page)) &&) :
	$(foreach file,README.md SECURITY.md LICENSE,install -D -m 644 $(file) $(DESTDIR)$(DOCDIR)/$(file) &&) :
	$(foreach file,$(EXAMPLES),install -D -m 644 $(file) $(DESTDIR)$(DOCDIR)/$(file:conf/%=examples/%) &&) :
	install -D -m 644 conf/rasip.conf $(CONFDIR)/rasip.conf.example
	install -D -m 644 conf/rasip.tmpfiles $(DESTDIR)$(TMPFILESDIR)/rasip.conf
	install -D -m 644 conf/rasip.bash-completion $(DESTDIR)$(COMPLETIONDIR)/rasip
	install -d $(DESTDIR)$(UNITDIR)
	$(foreach unit,$(UNITS),sed 's|/usr/sbin/|$(SBINDIR)/|' $(unit) | \
		install -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/$(notdir $(unit)) &&) :

.PHONY: install-madcap
install-madcap: $(BUILD)/madcapd $(BUILD)/madcap $(BUILD)/libmadcap.so
	install -D -m 755 $(BUILD)/madcapd $(DESTDIR)$(SBINDIR)/madcapd
	install -D -m 644 conf/madcapd.conf $(CONFDIR)/madcapd.conf.example
	install -D -m 644 conf/madcapd.sysusers $(DESTDIR)$(SYSUSERSDIR)/madcapd.conf
	install -D -m 755 $(BUILD)/madcap $(DESTDIR)$(BINDIR)/madcap
	install -D -m 644 conf/madcap.bash-completion $(DESTDIR)$(COMPLETIONDIR)/madcap
	ln -sf madcap $(DESTDIR)$(COMPLETIONDIR)/madcapd
	install -D -m 644 $(BUILD)/libmadcap.so.0 $(DESTDIR)$(LIBDIR)/libmadcap.so.0
	ln -sf libmadcap.so.0 $(DESTDIR)$(LIBDIR)/libmadcap.so
	install -D -m 644 pool/madcap/madcap.h $(DESTDIR)$(INCLUDEDIR)/madcap.h
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
		-e 's|@VERSION@|$(LIBMADCAP_VERSION)|' conf/libmadcap.pc.in | \
		install -m 644 /dev/stdin $(DESTDIR)$(LIBDIR)/pkgconfig/libmadcap.pc

.PHONY: uninstall
uninstall: ## what install put there
	rm -f $(DESTDIR)$(SBINDIR)/madcapd $(CONFDIR)/madcapd.conf.example
	rm -f $(DESTDIR)$(SYSUSERSDIR)/madcapd.conf
	rm -f $(DESTDIR)$(BINDIR)/madcap $(DESTDIR)$(INCLUDEDIR)/madcap.h
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libmadcap.so libmadcap.so.0 pkgconfig/libmadcap.pc)
	rm -f $(DESTDIR)$(PPPD_PLUGINDIR)/rasip.so $(DESTDIR)$(SBINDIR)/rasip
	rm -f $(DESTDIR)$(INCLUDEDIR)/rasip/admin_module.h $(CONFDIR)/rasip.conf.example
	rm -f $(foreach page,$(MAN_PAGES),$(call man_dir,$(page))/$(notdir $(page)))
	rm -f $(addprefix $(DESTDIR)$(DOCDIR)/,README.md SECURITY.md LICENSE $(EXAMPLES:conf/%=examples/%))
	rm -f $(DESTDIR)$(TMPFILESDIR)/rasip.conf
	rm -f $(addprefix $(DESTDIR)$(COMPLETIONDIR)/,rasip madcap madcapd)
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(UNITS)))
	for directory in $(DESTDIR)$(DOCDIR) $(CONFDIR) $(DESTDIR)$(INCLUDEDIR)/rasip; do \
		[ ! -d $$directory ] || find $$directory -depth -type d -empty -delete; done

.PHONY: pictures
pictures: all $(BENCHES) ## draw the README's pictures anew
	@RASIP_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/pictures/make_pictures.py

# Built from a copy, since packaging leaves its work in the source tree.
DEB_SOURCES := $(wildcard LICENSE Makefile *.md conf debian man plugin pool tests)
.PHONY: deb check-deb
deb: ## Debian packages, in build/deb; needs debhelper, lintian and what `make deps` installs
	rm -rf $(BUILD)/deb && mkdir -p $(BUILD)/deb/rasip && cp -a $(DEB_SOURCES) $(BUILD)/deb/rasip/
	cd $(BUILD)/deb/rasip && env -u MAKEFLAGS -u MAKELEVEL -u BUILD -u CFLAGS -u LDFLAGS \
		DEB_BUILD_OPTIONS="nocheck $(DEB_BUILD_OPTIONS)" dpkg-buildpackage -us -uc -b
	lintian --fail-on error $(BUILD)/deb/*.changes
check-deb: deb ## installs them in a fresh Debian, has a session, and removes them; needs root and a mirror
	RASIP_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/package/check_deb.py

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BUILD)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \2/p' Makefile | \
		awk '{ printf "  %s %-14s", $$1, $$2; $$1 = $$2 = ""; print }'
