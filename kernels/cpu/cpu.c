/* kernels/cpu/cpu.c - which variant runs. */
#include "kernels/cpu/cpu.h"
#include "lib/buf.h"
#include "lib/os/isa.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Defined by kernels/cpu/simd/table.c, once per variant. */
#define ISA(name, runs) extern const struct backend cpu_table_##name;
#include "lib/os/isa.def"
#undef ISA

static const struct backend *const tables[] = {
#define ISA(name, runs) &cpu_table_##name,
#include "lib/os/isa.def"
#undef ISA
};

const struct backend *cpu_backend_variant(const char *name)
{
    const enum isa isa = isa_find(name);
    return isa < ISA_COUNT && isa_runs(isa) ? tables[isa] : NULL;
}

const struct backend *cpu_backend(void)
{
    const char *forced = getenv("PEFTLAB_CPU");
    return forced && *forced ? cpu_backend_variant(forced) : tables[isa_widest()];
}

/* "a, b or c" */
static void name_all(struct buf *b)
{
    for (int isa = ISA_COUNT - 1; isa >= 0; isa--)
        buf_printf(b, "%s%s", isa_name((enum isa)isa),
                   isa > 1 ? ", "
                   : isa   ? " or "
                           : "");
}

const char *cpu_backend_reason(void)
{
    static char reason[176];
    const char *forced = getenv("PEFTLAB_CPU");
    reason[0] = 0;
    if (!forced || !*forced || cpu_backend_variant(forced))
        return reason;
    if (isa_find(forced) < ISA_COUNT) {
        snprintf(reason, sizeof(reason),
                 "PEFTLAB_CPU asks for '%.32s', which this machine cannot run - leave it "
                 "unset or use generic",
                 forced);
        return reason;
    }
    struct buf all = BUF_INIT;
    name_all(&all);
    snprintf(reason, sizeof(reason), "PEFTLAB_CPU is '%.32s' - use %s", forced, all.data);
    buf_release(&all);
    return reason;
}
