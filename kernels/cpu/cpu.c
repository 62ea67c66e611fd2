/* kernels/cpu/cpu.c - which variant runs, and host memory. */
#include "kernels/cpu/cpu.h"
#include "lib/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Defined by kernels/cpu/simd/table.c, once per variant. */
extern const struct backend cpu_table_generic, cpu_table_avx2, cpu_table_avx512,
    cpu_table_avx512bf16;

static int runs_generic(void)
{
    return 1;
}

/* F16C, which it uses too, came before AVX2. */
static int runs_avx2(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 0;
#endif
}

static int runs_avx512(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           runs_avx2();
#else
    return 0;
#endif
}

static int runs_avx512bf16(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("avx512bf16") && runs_avx512();
#else
    return 0;
#endif
}

/* Widest first. */
static const struct variant {
    const char *name;
    const struct backend *table;
    int (*runs)(void);
} variants[] = {
    {"avx512bf16", &cpu_table_avx512bf16, runs_avx512bf16},
    {"avx512", &cpu_table_avx512, runs_avx512},
    {"avx2", &cpu_table_avx2, runs_avx2},
    {"generic", &cpu_table_generic, runs_generic},
};

static const struct variant *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(variants); i++)
        if (!strcmp(variants[i].name, name))
            return &variants[i];
    return NULL;
}

const struct backend *cpu_backend_variant(const char *name)
{
    const struct variant *v = find(name);
    return v && v->runs() ? v->table : NULL;
}

const struct backend *cpu_backend(void)
{
    const char *forced = getenv("PEFTLAB_CPU");
    if (forced && *forced)
        return cpu_backend_variant(forced);
    for (size_t i = 0; i < ARRAY_LEN(variants); i++)
        if (variants[i].runs())
            return variants[i].table;
    return NULL; /* not reached: generic runs everywhere */
}

const char *cpu_backend_reason(void)
{
    static char reason[176];
    const char *forced = getenv("PEFTLAB_CPU");
    reason[0] = 0;
    if (forced && *forced && !find(forced))
        snprintf(reason, sizeof(reason),
                 "PEFTLAB_CPU is '%.32s' - use generic, avx2, avx512 or avx512bf16",
                 forced);
    else if (forced && *forced && !find(forced)->runs())
        snprintf(reason, sizeof(reason),
                 "PEFTLAB_CPU asks for '%.32s', which this machine cannot run - leave it "
                 "unset or use generic",
                 forced);
    return reason;
}
