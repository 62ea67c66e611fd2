/* runner/arch/arch.c - the registry of model families. */
#include "runner/arch/arch.h"
#include "lib/buf.h"
#include <string.h>

#define ARCH(name) extern const struct arch arch_##name;
#include "runner/arch/arch.def"
#undef ARCH

static const struct arch *const rows[] = {
#define ARCH(name) &arch_##name,
#include "runner/arch/arch.def"
#undef ARCH
};

const struct arch *arch_find(const char *model_type, struct err *err)
{
    struct buf known = BUF_INIT;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!strcmp(rows[i]->model_type, model_type))
            return buf_release(&known), rows[i];
        buf_printf(&known, "%s%s", i ? ", " : "", rows[i]->model_type);
    }
    err_set(err, ERR_CONFIG, "model_type '%s' is not supported (known: %s)", model_type,
            buf_str(&known));
    buf_release(&known);
    return NULL;
}
