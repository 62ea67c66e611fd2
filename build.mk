# build.mk - what is done with the program: tests, lint, demo, measurements. Building it is the Makefile's part.

# Fuzz targets link the highest layer that they include. With gcc a small main replays the seed corpus (part of the
# tests); under FUZZ=1 (clang) libFuzzer's own main looks for more.
FUZZERS    := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_MAIN  := $(if $(FUZZ),-fsanitize=fuzzer,tests/fuzz/replay.c)
fuzz_layer  = $(lastword $(foreach l,$(LAYERS),$(shell grep -q '^.include "$(l)/' $(1) && echo $(l))))
define fuzz_rule
$$(B)/fuzz/$(1): tests/fuzz/$(1).c $$(wildcard tests/fuzz/replay.c) $$(NEEDS_$(call fuzz_layer,tests/fuzz/$(1).c))
	@mkdir -p $$(@D)
	@echo "  FUZZ  $$@"
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS) $$(LDFLAGS) -Wno-missing-prototypes -o $$@ $$< $$(FUZZ_MAIN) $$(filter %.a,$$^) $$(LDLIBS)
endef
$(foreach f,$(notdir $(FUZZERS)),$(eval $(call fuzz_rule,$(f))))
fuzz-targets: $(FUZZERS)

deps:
	@tools/deps.sh

model:
	@tools/fetch_model.sh

demo:
	@tools/demo.sh
demo-support:
	@tools/demo.sh support
demo-tasks:
	@tools/demo.sh tasks

# The libraries may only just have been installed, so that the rest runs in a make of its own.
test:
	@tools/deps.sh build test
	@B=$(B) SAN=$(SAN) TSAN=$(TSAN) tests/run.sh

check-san:
	@tools/deps.sh build test
	@SUITES="unit fuzz golden" SAN=1 tests/run.sh

# The program for 64-bit Arm by Debian's cross compiler, and its tests under qemu (docs/arm.md); no part of `make test`.
arm-root:
	@tools/deps.sh build test arm
	@tools/arm_root.sh build/arm/root
check-arm: arm-root
	@ARM=1 SUITES="unit golden" JOB_SECONDS=3600 tests/run.sh

lint:
	@tools/lint.sh

# Seconds per target; findings stay in build/fuzz/found.
FUZZ_SECONDS ?= 30
fuzz:
	@$(MAKE) --no-print-directory FUZZ=1 fuzz-targets
	@tests/fuzz/fuzz.sh build/fuzz $(FUZZ_SECONDS)

bench: $(B)/peftlab $(B)/bench_ops
	@tests/bench/bench.sh $(B)
# Two builds in turns: make bench-compare REF=commit
bench-compare: $(B)/peftlab
	@CC="$(CC)" tests/bench/compare.sh $(B)
.PHONY: bench-compare
# The example's question by the full grid, by `until` and by the rival.
bench-verdict: $(B)/peftlab
	@tests/bench/verdict.sh $(B)
.PHONY: bench-verdict

# Where there is a GPU, first of all: the ops against ref, then trials against the Python references.
test-cuda: cuda $(B)/peftlab $(B)/tests/kernels_ops $(B)/tests/kernels_rows
	@export PEFTLAB_BACKEND_DIR=$(abspath $(B)) && $(B)/peftlab doctor --backend cuda && $(B)/tests/kernels_ops && \
	    $(B)/tests/kernels_rows && PEFTLAB_BACKEND=cuda tests/golden/run.sh $(B)/peftlab

.PHONY: test-cuda deps model demo demo-support demo-tasks test check-san arm-root check-arm lint fuzz fuzz-targets bench

print-flags:
	@printf '%s\n' '$(CPPFLAGS) $(CFLAGS)'
.PHONY: print-flags

$(B)/bench_ops: tests/bench/bench_ops.c $(NEEDS_kernels)
	@echo "  BENCH $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(NEEDS_kernels) $(LDLIBS)
bench-ops: $(B)/bench_ops
	@$(B)/bench_ops
.PHONY: bench-ops

# A model folder of a known shape with generated weights: build/bench_base llama-2-7b FOLDER BF16
$(B)/bench_base: tests/bench/bench_base.c $(NEEDS_runner)
	@echo "  BENCH $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(NEEDS_runner) $(LDLIBS)

# Batches for many adapters beside batches for one: build/bench_serve MODEL ADAPTER [ADAPTERS [ROWS [TOKENS]]]
$(B)/bench_serve: tests/bench/bench_serve.c $(NEEDS_runner)
	@echo "  BENCH $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(NEEDS_runner) $(LDLIBS)

# Texts of many adapters beside texts of one: build/bench_write MODEL ADAPTER [NEW [PROMPT]]
$(B)/bench_write: tests/bench/bench_write.c $(NEEDS_runner)
	@echo "  BENCH $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(NEEDS_runner) $(LDLIBS)

# How often verdicts err on sweeps with a known truth (docs/statistics.md has the table).
$(B)/simulate: $(wildcard tests/simulate/*) $(NEEDS_report)
	@mkdir -p $(@D)
	@echo "  SIM   $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ tests/simulate/simulate.c $(NEEDS_report) $(LDLIBS)
SWEEPS ?= 2000
simulate: $(B)/simulate
	@$(B)/simulate $(SWEEPS)
.PHONY: simulate

# What `until` is worth on sweeps with a known truth (docs/sweep-file.md has the table).
$(B)/simulate-until: tests/simulate/until.c $(LIB_sweep) $(NEEDS_report)
	@mkdir -p $(@D)
	@echo "  SIM   $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIB_sweep) $(NEEDS_report) $(LDLIBS)
simulate-until: $(B)/simulate-until
	@$(B)/simulate-until $(SWEEPS)
.PHONY: simulate-until

# Speed of a store with 100,000 trials and 10 million values, and of 32 writers.
$(B)/bench_store: tests/bench/bench_store.c $(NEEDS_tracker)
	@echo "  BENCH $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(NEEDS_tracker) $(LDLIBS)
bench-store: $(B)/peftlab $(B)/bench_store
	@tests/bench/store.sh $(B)
.PHONY: bench-store

# The live page in a browser: 1,000 trials of 10,000 points while a sweep runs, for ten minutes.
$(B)/bench_ui: tests/bench/bench_ui.c $(NEEDS_tracker)
	@echo "  BENCH $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(NEEDS_tracker) $(LDLIBS)
bench-ui: $(B)/peftlab $(B)/bench_ui
	@tests/bench/ui.sh $(B)
.PHONY: bench-ui

# kill -9 over everybody who writes to a store.
$(B)/store_rounds: tests/crash/store_rounds.c $(NEEDS_tracker)
	@echo "  CRASH $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(NEEDS_tracker) $(LDLIBS)
ROUNDS ?= 200
crash-store: $(B)/peftlab $(B)/store_rounds
	@tests/crash/store_rounds.sh $(B) $(ROUNDS)
.PHONY: crash-store

# The Markdown files with blocks that are made of the program's tables and of headers; tests/cli/docs.bats compares them.
MADE_OF_TABLES := $(shell grep -l '^<!-- made by peftlab docs: ' README.md docs/*.md $(addsuffix /README.md,$(LAYERS)) 2>/dev/null)
$(B)/docs.stamp: $(B)/peftlab
	@echo "  DOCS  $(B)/man $(B)/completions"
	$(Q)rm -rf $(B)/man && mkdir -p $(B)/completions && $< docs man $(B)/man
	$(Q)$< docs bash >$(B)/completions/peftlab.bash && $< docs zsh >$(B)/completions/_peftlab
	@touch $@
docs: $(B)/docs.stamp
	@$(B)/peftlab docs fill $(MADE_OF_TABLES)
# The table of docs/memory.md: published peaks of memory beside plans.
peaks: $(B)/peftlab
	@tools/peaks.sh $< >$(B)/peaks.md
	@awk 'FNR == NR { t = t $$0 "\n"; next } /^<!-- end/ { out = 0 } !out { print } /^<!-- made by make peaks/ { out = 1; printf "\n%s\n", t }' \
	    $(B)/peaks.md docs/memory.md >$(B)/memory.md && mv $(B)/memory.md docs/memory.md
.PHONY: peaks
docs-check: $(B)/peftlab
	@$(B)/peftlab docs check $(MADE_OF_TABLES)
.PHONY: docs docs-check

# make install PREFIX=/usr DESTDIR=folder: the program, the CUDA backend where it was built, man pages, completions, pages and examples.
PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
DATADIR    ?= $(PREFIX)/share
ZSHDIR     ?= $(DATADIR)/zsh/site-functions
# Patterns, so not quoted as a whole.
INSTALLED   = $(BINDIR)/peftlab $(LIBDIR)/peftlab $(DATADIR)/doc/peftlab $(DATADIR)/bash-completion/completions/peftlab \
              $(ZSHDIR)/_peftlab $(DATADIR)/man/man1/peftlab.1 $(DATADIR)/man/man1/peftlab-*.1 \
              $(DATADIR)/man/man5/peftlab-*.5
install: $(B)/peftlab $(B)/docs.stamp
	@echo "  INST  $(DESTDIR)$(PREFIX)"
	$(Q)install -Dm755 $(B)/peftlab '$(DESTDIR)$(BINDIR)/peftlab'
	$(Q)for so in $(wildcard $(B)/peftlab_cuda.so); do install -Dm644 $$so '$(DESTDIR)$(LIBDIR)/peftlab/'$${so##*/}; done
	$(Q)for n in 1 5; do install -d '$(DESTDIR)$(DATADIR)'/man/man$$n && install -m644 $(B)/man/*.$$n '$(DESTDIR)$(DATADIR)'/man/man$$n; done
	$(Q)install -Dm644 $(B)/completions/peftlab.bash '$(DESTDIR)$(DATADIR)/bash-completion/completions/peftlab'
	$(Q)install -Dm644 $(B)/completions/_peftlab '$(DESTDIR)$(ZSHDIR)/_peftlab'
	$(Q)install -d '$(DESTDIR)$(DATADIR)/doc/peftlab/docs' && install -m644 README.md AGENTS.md CHANGELOG.md '$(DESTDIR)$(DATADIR)/doc/peftlab'
	$(Q)install -m644 docs/*.md docs/*.png '$(DESTDIR)$(DATADIR)/doc/peftlab/docs'
	$(Q)for f in $(wildcard $(addprefix examples/*/*.,md yaml jsonl sh)); do install -Dm644 $$f '$(DESTDIR)$(DATADIR)/doc/peftlab/'$$f; done
	$(Q)chmod 755 '$(DESTDIR)$(DATADIR)'/doc/peftlab/examples/*/*.sh
uninstall:
	@echo "  RM    $(DESTDIR)$(PREFIX)"
	$(Q)rm -rf $(foreach f,$(INSTALLED),'$(DESTDIR)'$(f))
# A Debian package of that (packaging/deb.sh).
deb: $(B)/peftlab $(B)/docs.stamp
	@packaging/deb.sh '$(B)' '$(VERSION)' '$(RELEASED)'
# A Python wheel that carries the program (packaging/wheel.py): what has a free licence and a static library is linked into it,
# curl, libmicrohttpd and OpenSSL with what they need go into the wheel beside it. The run path counts for their own needs too, and names the
# places of lib/peftlab installed and within a wheel that is being checked.
WHEEL_LIBS := $(addprefix -l:lib,$(addsuffix .a,sqlite3 jansson yaml pcre2-8 utf8proc)) -lcurl -lmicrohttpd -lcrypto -lm -ldl -pthread
WHEEL_PATH := -Wl,--disable-new-dtags,-rpath,'$$ORIGIN/../lib/peftlab',-rpath,'$$ORIGIN/../data/lib/peftlab'
$(B)/wheel/peftlab: $(B)/peftlab
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS) $(WHEEL_PATH) -o $@ $(B)/obj/cli/main.o $(NEEDS_cli) $(WHEEL_LIBS)
wheel: $(B)/wheel/peftlab $(B)/docs.stamp
	@packaging/wheel.py $< '$(B)' '$(VERSION)'
.PHONY: install uninstall deb wheel
