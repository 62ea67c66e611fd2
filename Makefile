# peftlab - see README.md. The targets that people use:
#   make            build/peftlab
#   make demo       installs what is missing, builds, fetches the base model, runs examples/reviews, writes report.html
#   make test       installs what is missing, builds, passes every test
#   make bench      side-by-side measurements (never part of the tests)
#   make lint       layers, format, warnings
#   make check-san  the tests under ASan and UBSan           make fuzz       libFuzzer on every parser (clang)
#   make deps       the packages alone                       make model      the base model alone
# Knobs: B=folder for outputs, SAN=1 (ASan + UBSan), TSAN=1, FUZZ=1, V=1 (show commands), NO_INSTALL=1 (never run apt-get).

B      ?= build
ifeq ($(origin CC),default)
CC      := gcc
endif
V      ?=
Q      := $(if $(V),,@)

PKGS    := sqlite3 libcurl jansson yaml-0.1 libpcre2-8 libutf8proc libcrypto
WARN    := $(if $(WERROR),-Werror )-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wwrite-strings
VERSION  := 0.1.0
# Asked once, and only when something is compiled: `make deps` may have to install pkg-config first.
PKG_LIBS  = $(eval PKG_LIBS := $(or $(shell pkg-config --libs $(PKGS) 2>/dev/null),$(error libraries or \
            pkg-config are missing: run 'make deps' (it names them and installs them))))$(PKG_LIBS)
PKG_FLAGS = $(eval PKG_FLAGS := $(if $(PKG_LIBS),$(shell pkg-config --cflags $(PKGS))))$(PKG_FLAGS)

CPPFLAGS += -I. -D_GNU_SOURCE -DPEFTLAB_VERSION=\"$(VERSION)\"
OPT     ?= -O2
CFLAGS  += -std=gnu11 -g $(OPT) $(WARN) -fno-math-errno -ffp-contract=off -pthread $(PKG_FLAGS)
LDLIBS  += $(PKG_LIBS) -lm -ldl -pthread

ifdef SAN
B       := build/san
OPT     := -O1
CFLAGS  += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS += -fsanitize=address,undefined
endif
ifdef FUZZ
B       := build/fuzz
CC      := clang
OPT     := -O1
CFLAGS  += -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=address,undefined
endif
ifdef TSAN
B       := build/tsan
OPT     := -O1
CFLAGS  += -fsanitize=thread
LDFLAGS += -fsanitize=thread
endif

# Each layer is one archive; who may link what follows the design (lib <- kernels <- runner -> tracker, ...).
LAYERS  := lib kernels tracker runner sweep report cli
SRC_lib     := $(wildcard lib/*.c)
SRC_kernels := $(wildcard kernels/*.c kernels/ref/*.c kernels/cpu/*.c)
SRC_tracker := $(wildcard tracker/*.c)
SRC_runner  := $(wildcard runner/*.c runner/*/*.c)
SRC_sweep   := $(wildcard sweep/*.c)
SRC_report  := $(wildcard report/*.c)
SRC_cli     := $(filter-out cli/main.c,$(wildcard cli/*.c))
OBJ_of       = $(patsubst %.c,$(B)/obj/%.o,$(SRC_$(1)))

# kernels/cpu/simd/*.c are compiled once per instruction set; the widest usable one is chosen at run time.
SIMD        := $(wildcard kernels/cpu/simd/*.c)
VARIANTS    := generic avx2 avx512
ISA_generic := -DCPU_VARIANT=generic -DCPU_WIDTH=4
ISA_avx2    := -DCPU_VARIANT=avx2 -DCPU_WIDTH=8 -mavx2 -mfma
ISA_avx512  := -DCPU_VARIANT=avx512 -DCPU_WIDTH=16 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512
OBJ_simd    := $(foreach v,$(VARIANTS),$(patsubst %.c,$(B)/obj/%.$(v).o,$(SIMD)))

all: $(B)/peftlab

LIB_lib     := $(B)/liblib.a
LIB_kernels := $(B)/libkernels.a
LIB_tracker := $(B)/libtracker.a
LIB_runner  := $(B)/librunner.a
LIB_sweep   := $(B)/libsweep.a
LIB_report  := $(B)/libreport.a
LIB_cli     := $(B)/libcli.a

define archive_rule
$$(LIB_$(1)): $$(call OBJ_of,$(1)) $(if $(filter kernels,$(1)),$$(OBJ_simd))
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call archive_rule,$(l))))

$(B)/peftlab: $(B)/obj/cli/main.o $(LIB_cli) $(LIB_report) $(LIB_sweep) $(LIB_runner) $(LIB_tracker) $(LIB_kernels) $(LIB_lib)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define variant_rule
$$(B)/obj/kernels/cpu/simd/%.$(1).o: kernels/cpu/simd/%.c
	@mkdir -p $$(@D)
	@echo "  CC    $$< ($(1))"
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS) $(if $(SAN)$(TSAN),,-O3) -ffp-contract=fast $$(ISA_$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach v,$(VARIANTS),$(eval $(call variant_rule,$(v))))

# Files that EMBED puts into objects.
EMBEDDED := $(wildcard schema.sql report/*.css report/data/* report/*.js)
$(call OBJ_of,tracker) $(call OBJ_of,report): $(EMBEDDED)

# Unit tests: tests/unit/LAYER_name.c links LAYER and what LAYER may use.
UNIT        := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/*.c))
NEEDS_lib     := $(LIB_lib)
NEEDS_kernels := $(LIB_kernels) $(LIB_lib)
NEEDS_tracker := $(LIB_tracker) $(LIB_lib)
NEEDS_runner  := $(LIB_runner) $(LIB_tracker) $(LIB_kernels) $(LIB_lib)
NEEDS_sweep   := $(LIB_sweep) $(LIB_tracker) $(LIB_lib)
NEEDS_report  := $(LIB_report) $(LIB_tracker) $(LIB_lib)
NEEDS_cli     := $(LIB_cli) $(LIB_report) $(LIB_sweep) $(LIB_runner) $(LIB_tracker) $(LIB_kernels) $(LIB_lib)
define unit_rule
$$(B)/tests/$(1)_%: tests/unit/$(1)_%.c $$(NEEDS_$(1))
	@mkdir -p $$(@D)
	@echo "  TEST  $$@"
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS) -MMD -MP $$(LDFLAGS) -o $$@ $$< $$(NEEDS_$(1)) -lcmocka $$(LDLIBS)
endef
$(foreach l,$(LAYERS),$(eval $(call unit_rule,$(l))))

unit-tests: $(UNIT)

-include $(shell find $(B)/obj $(B)/tests -name '*.d' 2>/dev/null)

-include build.mk

clean:
	rm -rf build
.PHONY: all clean unit-tests
.DELETE_ON_ERROR:
