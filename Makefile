# peftlab - see README.md. The targets that people use:
#   make            build/peftlab
#   make demo       installs what is missing, builds, fetches the base model, runs examples/reviews, writes report.html
#   make demo-support   the same with examples/support: a chat model on support dialogues, then a chat with the winner
#   make demo-tasks     the same with examples/many-tasks: four classifiers on one base or on two, measured, reported, served
#   make test       installs what is missing, builds, passes every test
#   make bench      side-by-side measurements (never part of the tests)   make bench-compare REF=commit   two builds in turns
#   make simulate   how often verdicts err on sweeps with a known truth
#   make lint       layers, format, warnings
#   make check-san  the tests under ASan and UBSan           make fuzz       libFuzzer on every parser (clang)
#   make docs       renews the pages that are made of tables, man pages and completions in build/
#   make peaks      published peaks of memory beside plans (docs/memory.md)
#   make install    PREFIX=/usr/local DESTDIR=     make uninstall
#   make deb        a Debian package of it     make wheel      a Python wheel that carries the program (docs/install.md)
#   make deps       the packages alone                       make model      the base model alone
#   make check-arm  the program for 64-bit Arm by a cross compiler, and its tests under qemu (docs/arm.md)
# Knobs: B=folder for outputs, SAN=1 (ASan + UBSan), TSAN=1, FUZZ=1, ARM=1 (for 64-bit Arm), V=1 (show commands), NO_INSTALL=1 (never run apt-get).

B      ?= build
ifeq ($(origin CC),default)
CC      := gcc
endif
PKG_CONFIG ?= pkg-config
V      ?=
Q      := $(if $(V),,@)

PKGS    := sqlite3 libcurl libmicrohttpd jansson yaml-0.1 libpcre2-8 libutf8proc libcrypto
WARN    := $(if $(WERROR),-Werror )-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wwrite-strings
VERSION  := 0.1.0
RELEASED := 2026-11-28
# Asked once, and only when something is compiled: `make deps` may have to install pkg-config first.
PKG_LIBS  = $(eval PKG_LIBS := $(or $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null),$(error libraries or \
            pkg-config are missing: run 'make deps' (it names them and installs them))))$(PKG_LIBS)
PKG_FLAGS = $(eval PKG_FLAGS := $(if $(PKG_LIBS),$(shell $(PKG_CONFIG) --cflags $(PKGS))))$(PKG_FLAGS)

CPPFLAGS += -I. -D_GNU_SOURCE -DPEFTLAB_VERSION=\"$(VERSION)\" -DPEFTLAB_RELEASED=\"$(RELEASED)\"
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

# 64-bit Arm on another machine: Debian's cross compiler, and its libraries in a folder (tools/arm_root.sh).
ifdef ARM
B        := build/arm
ARM_ROOT := $(abspath $(B)/root)
CC       := $(CCACHE) aarch64-linux-gnu-gcc --sysroot=$(ARM_ROOT)
AR       := aarch64-linux-gnu-ar
CXX      := false
PKG_CONFIG := PKG_CONFIG_SYSROOT_DIR=$(ARM_ROOT) PKG_CONFIG_LIBDIR=$(ARM_ROOT)/usr/lib/aarch64-linux-gnu/pkgconfig pkg-config
endif

# Each layer is one archive; who may link what follows the design (lib <- kernels <- runner -> tracker, ...).
LAYERS  := lib kernels tracker runner sweep report cli
sources_in   = $(sort $(wildcard $(addsuffix /*.c,$(1) $(1)/* $(1)/*/*)))
SRC_lib     := $(call sources_in,lib)
SRC_kernels := $(wildcard kernels/*.c kernels/ref/*.c kernels/cpu/*.c)
SRC_tracker := $(call sources_in,tracker)
SRC_runner  := $(call sources_in,runner)
SRC_sweep   := $(call sources_in,sweep)
SRC_report  := $(call sources_in,report)
SRC_cli     := $(filter-out cli/main.c,$(call sources_in,cli))
OBJ_of       = $(patsubst %.c,$(B)/obj/%.o,$(SRC_$(1)))

# kernels/cpu/simd/*.c are compiled once per instruction set; the widest usable one is chosen at run time.
SIMD        := $(wildcard kernels/cpu/simd/*.c kernels/cpu/simd/*/*.c)
# generic has the same bits everywhere: no product is fused with a sum, on processors that could either.
MACHINE     := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
VARIANTS_x86_64  := avx2 avx512 avx512bf16
VARIANTS_aarch64 := neon neonbf16
VARIANTS    := generic $(VARIANTS_$(MACHINE))
ISA_generic := -DCPU_VARIANT=generic -DCPU_WIDTH=4 -ffp-contract=off
ISA_avx2    := -DCPU_VARIANT=avx2 -DCPU_WIDTH=8 -mavx2 -mfma -mf16c
ISA_avx512  := -DCPU_VARIANT=avx512 -DCPU_WIDTH=16 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512
ISA_avx512bf16 := -DCPU_VARIANT=avx512bf16 -DCPU_WIDTH=16 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512 -mavx512bf16
# Arm's GCC orders instructions before it gives out registers: so many loads come first that sums of a tile go to the stack.
NEON        := -DCPU_WIDTH=4 -DCPU_NEON -fno-schedule-insns
ISA_neon    := -DCPU_VARIANT=neon $(NEON)
ISA_neonbf16 := -DCPU_VARIANT=neonbf16 $(NEON) -march=armv8.2-a+bf16
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
	$$(Q)rm -f $$@ && $$(AR) rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call archive_rule,$(l))))

$(B)/peftlab: $(B)/obj/cli/main.o $(LIB_cli) $(LIB_report) $(LIB_sweep) $(LIB_runner) $(LIB_tracker) $(LIB_kernels) $(LIB_lib)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# What `peftlab version` says of the source; the file changes only when that does, so that nothing else is compiled again.
SOURCE  := $(shell git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null) $(shell git log -1 --format=%cs 2>/dev/null)
ifneq ($(SOURCE),$(file <$(B)/source))
$(shell mkdir -p $(B))$(file >$(B)/source,$(SOURCE))
endif
$(B)/obj/cli/cmd_version.o: $(B)/source
$(B)/obj/cli/cmd_version.o: CPPFLAGS += -DSOURCE_COMMIT='"$(word 1,$(SOURCE))"' -DSOURCE_DATE='"$(word 2,$(SOURCE))"'

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define variant_rule
$$(B)/obj/kernels/cpu/simd/%.$(1).o: kernels/cpu/simd/%.c
	@mkdir -p $$(@D)
	@echo "  CC    $$< ($(1))"
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS) $(if $(SAN)$(TSAN)$(FUZZ),,-O3) -ffp-contract=fast $$(ISA_$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach v,$(VARIANTS),$(eval $(call variant_rule,$(v))))

# The CUDA backend, twice from the same sources: for GPUs by nvcc, and for the host by g++ (kernels/cuda/README.md). Shared
# objects that the program looks for when it starts; it builds and runs without either.
#   make cuda    make cuda-emul    CUDA_ARCHS="75 80 90"    NVCC=, CXX=
NVCC        ?= $(firstword $(wildcard $(addsuffix /nvcc,$(subst :, ,$(PATH)) /usr/local/cuda/bin)))
CUDA_ARCHS  ?= 75 80 90
CU          := $(wildcard kernels/cuda/*.cu)
EMUL        := $(CU) $(wildcard kernels/cuda/emul/*.cpp kernels/cuda/emul/*.S)
OBJ_cuda    := $(patsubst %.cu,$(B)/obj/%.nvcc.o,$(CU))
OBJ_emul    := $(patsubst %,$(B)/obj/%.emul.o,$(basename $(EMUL)))
CUDA_FLAGS  := -std=c++17 -O3 -Werror all-warnings -Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra,-Werror \
               $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a),code=sm_$(a)) \
               -gencode arch=compute_$(lastword $(CUDA_ARCHS)),code=compute_$(lastword $(CUDA_ARCHS))
EMUL_FLAGS  := -std=gnu++17 -g -O2 -Wall -Wextra -Werror -ffp-contract=off -fPIC -fvisibility=hidden -Ikernels/cuda/emul \
               $(if $(SAN),-fsanitize=undefined -fno-sanitize-recover=undefined)
# What these two can be made of here: g++ on x86-64 (the fibers' switch), nvcc.
EMUL_SO     := $(if $(TSAN)$(FUZZ),,$(if $(findstring x86_64-linux,$(shell $(CXX) -dumpmachine 2>/dev/null)),$(B)/peftlab_cuda_emul.so))
CUDA_SO     := $(if $(SAN)$(TSAN)$(FUZZ)$(ARM),,$(if $(wildcard $(NVCC)),$(B)/peftlab_cuda.so))

$(B)/obj/%.nvcc.o: %.cu
	@mkdir -p $(@D)
	@echo "  NVCC  $<"
	$(Q)$(NVCC) $(CUDA_FLAGS) -I. -D_GNU_SOURCE -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

define emul_rule
$$(B)/obj/%.emul.o: %.$(1)
	@mkdir -p $$(@D)
	@echo "  CXX   $$< (emulation)"
	$$(Q)$$(CXX) -I. -D_GNU_SOURCE $$(EMUL_FLAGS) -MMD -MP -x $(2) -c -o $$@ $$<
endef
$(eval $(call emul_rule,cu,c++))
$(eval $(call emul_rule,cpp,c++))
$(eval $(call emul_rule,S,assembler))

$(B)/peftlab_cuda.so: $(OBJ_cuda)
	@echo "  LD    $@"
	$(Q)$(NVCC) -shared -cudart static -Xlinker -z,defs -o $@ $^ -lcublas
$(B)/peftlab_cuda_emul.so: $(OBJ_emul)
	@echo "  LD    $@"
	$(Q)$(CXX) $(EMUL_FLAGS) -shared -Wl,-z,defs -o $@ $^

cuda: $(B)/peftlab_cuda.so
cuda-emul: $(B)/peftlab_cuda_emul.so
backend-objects:
	@echo $(EMUL_SO) $(CUDA_SO)

# Kernels that are wrong on purpose, for the emulation to find.
$(B)/tests/cuda_emul: $(B)/obj/tests/cuda/faults.emul.o $(filter $(B)/obj/kernels/cuda/emul/%,$(OBJ_emul))
	@mkdir -p $(@D)
	@echo "  TEST  $@"
	$(Q)$(CXX) $(EMUL_FLAGS) -o $@ $^

# Files that EMBED puts into objects.
EMBEDDED := $(wildcard schema.sql views.sql tracker/store/*.sql report/page/*.css report/page/script/*.js report/data/* runner/hub/configs/*)
$(call OBJ_of,tracker) $(call OBJ_of,report) $(B)/obj/runner/hub/known.o: $(EMBEDDED)
$(B)/obj/cli/ui/page_files.o: $(wildcard cli/ui/page/*)

# Unit tests: tests/unit/LAYER/[ROOM/]name.c is build/tests/LAYER_name and links LAYER and what LAYER may use.
UNIT_OF      = $(wildcard tests/unit/$(1)/*.c tests/unit/$(1)/*/*.c)
UNIT        := $(foreach l,$(LAYERS),$(patsubst %.c,$(B)/tests/$(l)_%,$(notdir $(call UNIT_OF,$(l)))))
NEEDS_lib     := $(LIB_lib)
NEEDS_kernels := $(LIB_kernels) $(LIB_lib)
NEEDS_tracker := $(LIB_tracker) $(LIB_lib)
NEEDS_runner  := $(LIB_runner) $(LIB_tracker) $(LIB_kernels) $(LIB_lib)
NEEDS_sweep   := $(LIB_sweep) $(LIB_tracker) $(LIB_lib)
NEEDS_report  := $(LIB_report) $(LIB_tracker) $(LIB_lib)
NEEDS_cli     := $(LIB_cli) $(LIB_report) $(LIB_sweep) $(LIB_runner) $(LIB_tracker) $(LIB_kernels) $(LIB_lib)
define unit_rule
$$(B)/tests/$(1)_$(basename $(notdir $(2))): $(2) $$(NEEDS_$(1))
	@mkdir -p $$(@D)
	@echo "  TEST  $$@"
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS) -MMD -MP $$(LDFLAGS) -o $$@ $$< $$(NEEDS_$(1)) -lcmocka $$(LDLIBS)
endef
$(foreach l,$(LAYERS),$(foreach f,$(call UNIT_OF,$(l)),$(eval $(call unit_rule,$(l),$(f)))))

unit-tests: $(UNIT)

-include $(shell find $(B)/obj $(B)/tests -name '*.d' 2>/dev/null)

-include build.mk

clean:
	rm -rf build
.PHONY: all clean unit-tests cuda cuda-emul backend-objects
.DELETE_ON_ERROR:
