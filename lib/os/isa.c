/* lib/os/isa.c - see isa.h. */
#include "lib/os/isa.h"
#include <string.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#if defined(__x86_64__)
/* F16C, which kernels use too, came before AVX2. */
static bool x86_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool x86_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           x86_has_avx2();
}
#endif

static const char *const names[] = {
#define ISA(name, runs) #name,
#include "lib/os/isa.def"
#undef ISA
};

const char *isa_name(enum isa isa)
{
    return names[isa];
}

enum isa isa_find(const char *name)
{
    enum isa isa = 0;
    while (isa < ISA_COUNT && strcmp(names[isa], name))
        isa++;
    return isa;
}

bool isa_runs(enum isa isa)
{
    switch (isa) {
#define ISA(name, runs)                                                                  \
    case ISA_##name:                                                                     \
        return runs;
#include "lib/os/isa.def"
#undef ISA
    default:
        return false;
    }
}

enum isa isa_widest(void)
{
    enum isa isa = 0;
    while (!isa_runs(isa))
        isa++;
    return isa;
}
