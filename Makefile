# mqaudit: plain GNU make. `make help` lists the targets.

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all

CC         ?= gcc
ifeq ($(origin CC),default)
CC         := gcc
endif
PKG_CONFIG ?= pkg-config
PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
DATADIR    ?= $(PREFIX)/share
MANDIR     ?= $(DATADIR)/man
BASHCOMPDIR ?= $(DATADIR)/bash-completion/completions
ZSHCOMPDIR ?= $(DATADIR)/zsh/site-functions
FISHCOMPDIR ?= $(DATADIR)/fish/vendor_completions.d

# The only list of libraries; scripts/deps knows the Debian packages that bring them.
PKGS       := rdkafka librabbitmq libcurl openssl libpq jansson libxxhash inih
comma      := ,
B          ?= build/$(if $(SAN),san-$(subst $(comma),-,$(SAN)),rel)

NEEDS_PKGS := $(filter-out clean help deps format tags dist demo test test-full check bench sanitize lint,$(or $(MAKECMDGOALS),all))
ifneq ($(NEEDS_PKGS),)
MISSING    := $(strip $(foreach p,$(PKGS),$(shell $(PKG_CONFIG) --exists $(p) || echo $(p))))
ifneq ($(MISSING),)
$(error missing libraries: $(MISSING); 'make deps' installs them)
endif
endif

# jemalloc makes the checker half as fast again (librdkafka allocates on one thread and frees on another).
# Not under sanitizers, which bring an allocator of their own; JEMALLOC=0 builds without.
ifndef SAN
ifneq ($(JEMALLOC),0)
JEMALLOC_LIBS := $(shell $(PKG_CONFIG) --exists jemalloc && $(PKG_CONFIG) --libs jemalloc)
endif
endif

VERSION    := $(shell git describe --tags --always --dirty 2>/dev/null || cat .version 2>/dev/null || echo unknown)

ALL_CPPFLAGS := -I. -I$(B)/gen -D_GNU_SOURCE $(shell $(PKG_CONFIG) --cflags $(PKGS)) $(CPPFLAGS)
WARNINGS   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings \
              -Wformat=2 -Wundef -Wconversion -Wno-sign-conversion -Wno-format-truncation
ifdef SAN
HARDEN     := -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=all
OPT        ?= -O1
else
HARDEN     := -fstack-protector-strong -fPIE
HARDEN_LD  := -pie -Wl,-z,relro,-z,now
OPT        ?= -O2
ALL_CPPFLAGS += $(if $(filter -O0,$(CFLAGS)),,-D_FORTIFY_SOURCE=2)
endif
ALL_CFLAGS := -std=c17 -g $(OPT) $(WARNINGS) $(if $(WERROR),-Werror) $(HARDEN) -pthread $(CFLAGS)
ALL_LDFLAGS := $(HARDEN_LD) $(if $(SAN),-fsanitize=$(SAN)) -pthread $(LDFLAGS)
LIBS       := $(JEMALLOC_LIBS) $(shell $(PKG_CONFIG) --libs $(PKGS)) -lm -ldl

# librdkafka uses C11 threads, which ThreadSanitizer does not know: see there.
SAN_OBJS   := $(if $(filter thread,$(SAN)),$(B)/tests/san/c11threads.o)

SRCS       := main.c $(sort $(wildcard core/*.c core/*/*.c probe/*.c checker/*.c checker/*/*.c reporters/*.c \
              reporters/*/*.c scenarios/*.c scenarios/*/*.c))
HDRS       := $(sort $(wildcard core/*.h core/*/*.h probe/*.h checker/*.h checker/*/*.h reporters/*.h \
              reporters/*/*.h scenarios/*.h scenarios/*/*.h tests/*.h tests/*/*.h))
OBJS       := $(SRCS:%.c=$(B)/%.o)
LIB_OBJS   := $(filter-out $(B)/main.o,$(OBJS))
UNIT_SRCS  := $(sort $(wildcard tests/unit/*_test.c tests/prop/*_test.c tests/inject/*_test.c tests/sim/*_test.c))
UNIT_BINS  := $(UNIT_SRCS:%.c=$(B)/%)
LEDGER_BINS := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/ledger/*.c)))
CONFORMANCE_OBJS := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard tests/conformance/*.c)))
CONFORMANCE := $(B)/tests/conformance/conformance
BENCH_BINS := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/bench/*.c)))
SQL        := $(sort $(wildcard core/ledger/sql/*.sql))
LAB_TEXTS  := $(sort $(wildcard scenarios/lab/*/*.xml scenarios/lab/*/*.properties \
              scenarios/lab/rabbitmq/*))

ifeq ($(V),1)
Q :=
SAY := @true
else
Q := @
SAY := @printf '  %-6s %s\n'
endif

.PHONY: all check test test-full deps demo bench sanitize fuzz lint format tags help install uninstall dist clean \
        unit ledger-test FORCE
.PRECIOUS: $(B)/%.o

all: $(B)/mqaudit ## build the program: build/mqaudit
ifndef SAN
	@ln -sfn rel/mqaudit build/mqaudit
endif

$(B)/.flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBS)' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(B)/.version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(B)/gen/sql_data.h: $(SQL) core/ledger/embed.awk
	$(SAY) GEN $@
	@mkdir -p $(@D)
	$(Q)awk -f core/ledger/embed.awk $(SQL) >$@.new && mv $@.new $@

$(B)/gen/lab_data.h: $(LAB_TEXTS) scenarios/lab/embed.awk
	$(SAY) GEN $@
	@mkdir -p $(@D)
	$(Q)awk -f scenarios/lab/embed.awk $(LAB_TEXTS) >$@.new && mv $@.new $@

$(B)/core/version.o: ALL_CPPFLAGS += -DMQAUDIT_VERSION='"$(VERSION)"'
$(B)/core/version.o: $(B)/.version

$(B)/%.o: %.c $(B)/.flags | $(B)/gen/sql_data.h $(B)/gen/lab_data.h
	$(SAY) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/libmqaudit.a: $(LIB_OBJS)
	$(SAY) AR $@
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/mqaudit: $(B)/main.o $(SAN_OBJS) $(B)/libmqaudit.a
	$(SAY) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# A test that replaces functions says so in one line: /* wrap: malloc realloc */ (see ld's --wrap).
wrap_flags = $(patsubst %,-Wl$(comma)--wrap=%,$(shell sed -n 's|^/\* wrap: \(.*\) \*/$$|\1|p' $(1)))

$(B)/tests/%: $(B)/tests/%.o $(SAN_OBJS) $(B)/libmqaudit.a
	$(SAY) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $(call wrap_flags,tests/$*.c) -o $@ $^ $(LIBS) -lcmocka

$(CONFORMANCE): $(CONFORMANCE_OBJS) $(SAN_OBJS) $(B)/libmqaudit.a
	$(SAY) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lcmocka

# A test program that hangs has failed.
UNIT_TIMEOUT ?= 120
unit: $(UNIT_BINS) ## unit, property and injection tests: no service needed
	$(Q)prove --exec 'timeout -k 5 $(UNIT_TIMEOUT) env CMOCKA_MESSAGE_OUTPUT=tap' $(UNIT_BINS)

# What an option table promises is checked on the program itself: see tests/cli.
CLI_TESTS  := $(sort $(wildcard tests/cli/*.sh))
check: lint unit $(if $(CLI_TESTS),all) ## unit and cli tests and lint: no service needed, under a minute
	$(if $(CLI_TESTS),$(Q)MQAUDIT=$(abspath $(B))/mqaudit prove -j 3 --exec bash $(filter-out tests/cli/lib.sh,$(CLI_TESTS)))

lint: ## rules of the house: layers, headers, banned words, function length, format, shellcheck
	$(Q)CC='$(CC)' CFLAGS='$(shell $(PKG_CONFIG) --cflags $(PKGS)) -I$(B)/gen' tests/lint/run.sh

format: ## put every C file into the house's format
	clang-format -i $(SRCS) $(HDRS) $(wildcard tests/*/*.c)

# gcc has no libFuzzer. `make fuzz FUZZ=url TIME=60`; without FUZZ all targets share the time.
fuzz: ## fuzz the parsers: FUZZ=name (all without), TIME=seconds
	$(Q)tests/fuzz/run.sh '$(FUZZ)' '$(or $(TIME),60)'
ledger-test: $(B)/mqaudit $(LEDGER_BINS) ## the embedded ledger, on the real server
	$(Q)prove --exec 'env B=$(B) bash' tests/ledger/*_test.sh

# Everything that is missing is installed; every broker test must run: nothing is skipped on CI.
test: ## install what is missing, then the whole suite, on real brokers
	$(Q)$(MAKE) --no-print-directory deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(MAKE) --no-print-directory check
	$(Q)$(MAKE) --no-print-directory -j2 ledger-test broker-test

# What a release is tried with. MINUTES: of the storm and of the soak.
test-full: ## repeats, storms, soaks: the suite, then 20 kills, each broker test three times, faults at random
	$(Q)$(MAKE) --no-print-directory test
	$(Q)MQAUDIT=$(abspath $(B))/mqaudit KILLS=20 prove --timer --exec bash tests/broker/kill_test.sh \
		tests/broker/scenario_test.sh
	$(Q)MQAUDIT=$(abspath $(B))/mqaudit SUITE=full REPEAT=3 LIMIT=7200 RESULTS=$(abspath $(B))/suite \
		prove --timer -v --exec bash tests/broker/suite_test.sh
	$(Q)MQAUDIT=$(abspath $(B))/mqaudit SUITE=full REPEAT=3 LIMIT=7200 RESULTS=$(abspath $(B))/suite-rabbitmq \
		prove --timer -v --exec bash tests/broker/suite_rabbitmq_test.sh
	$(Q)for i in 1 2; do $(MAKE) --no-print-directory broker-test || exit 1; done
	$(Q)MQAUDIT=$(abspath $(B))/mqaudit prove --timer -v --exec bash tests/full/*_test.sh

# Each has a lab of its own, and mostly waits: some go side by side.
JOBS ?= $(shell [ "$$(nproc)" -ge 2 ] && echo 3 || echo 2)
broker-test: $(B)/mqaudit $(CONFORMANCE) ## the audit end to end, on a real Kafka cluster
	$(Q)MQAUDIT=$(abspath $(B))/mqaudit CONFORMANCE=$(abspath $(CONFORMANCE)) prove -j $(JOBS) --timer --exec bash $(sort $(wildcard tests/broker/*_test.sh))

deps: ## install what is missing (Debian packages)
	$(Q).ci/deps

demo: ## a real cluster loses acknowledged messages under acks=1, and none under acks=all
	$(Q)$(MAKE) --no-print-directory deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)scenarios/demo.sh

# Programs, scenarios, man page and completion; `make uninstall` removes exactly these.
SCENARIOS  := $(sort scenarios/lib.sh $(wildcard scenarios/suites/*.list scenarios/kafka/*.sh scenarios/rabbitmq/*.sh))
SHAREDIR   := $(DATADIR)/mqaudit

install: all ## install under PREFIX (DESTDIR is put in front)
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(BASHCOMPDIR) $(DESTDIR)$(ZSHCOMPDIR) \
		$(DESTDIR)$(FISHCOMPDIR)
	install -m 755 $(B)/mqaudit $(DESTDIR)$(BINDIR)/mqaudit
	install -d $(sort $(dir $(addprefix $(DESTDIR)$(SHAREDIR)/,$(SCENARIOS))))
	for f in $(SCENARIOS); do install -m 644 $$f $(DESTDIR)$(SHAREDIR)/$$f || exit 1; done
	$(B)/mqaudit help --man >$(B)/mqaudit.1
	install -m 644 $(B)/mqaudit.1 $(DESTDIR)$(MANDIR)/man1/mqaudit.1
	$(B)/mqaudit help --completion bash >$(B)/completion.bash
	install -m 644 $(B)/completion.bash $(DESTDIR)$(BASHCOMPDIR)/mqaudit
	$(B)/mqaudit help --completion zsh >$(B)/completion.zsh
	install -m 644 $(B)/completion.zsh $(DESTDIR)$(ZSHCOMPDIR)/_mqaudit
	$(B)/mqaudit help --completion fish >$(B)/completion.fish
	install -m 644 $(B)/completion.fish $(DESTDIR)$(FISHCOMPDIR)/mqaudit.fish

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(BINDIR)/mqaudit $(DESTDIR)$(MANDIR)/man1/mqaudit.1 $(DESTDIR)$(BASHCOMPDIR)/mqaudit \
		$(DESTDIR)$(ZSHCOMPDIR)/_mqaudit $(DESTDIR)$(FISHCOMPDIR)/mqaudit.fish \
		$(addprefix $(DESTDIR)$(SHAREDIR)/,$(SCENARIOS))
	-rmdir $(sort $(dir $(addprefix $(DESTDIR)$(SHAREDIR)/,$(filter-out %/lib.sh,$(SCENARIOS))))) \
		$(DESTDIR)$(SHAREDIR)/scenarios $(DESTDIR)$(SHAREDIR)

# Each flavour in a tree of its own. On a broker as well: tests/san/run_on_broker.sh.
sanitize: ## unit, property and simulation tests under Address-, UndefinedBehavior- and ThreadSanitizer
	$(Q)$(MAKE) --no-print-directory SAN=address,undefined unit
	$(Q)TSAN_OPTIONS=suppressions=$(CURDIR)/tests/san/thread.supp $(MAKE) --no-print-directory SAN=thread unit

# Not a test: figures for people. REPEATS, CASES, PARTS, COUNT, LIMIT, JSON: see tests/bench/bench.py.
bench: $(B)/mqaudit $(BENCH_BINS) ## probe and checker against bare loops and perf tools, as ratios: CASES=kafka|rabbitmq
	$(Q)B='$(B)' tests/bench/bench.sh

clean: ## remove everything that was built
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

-include $(OBJS:.o=.d) $(UNIT_BINS:=.d) $(LEDGER_BINS:=.d) $(BENCH_BINS:=.d) $(CONFORMANCE_OBJS:.o=.d)
