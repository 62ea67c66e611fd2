/* kernels/backend.c - the registry of backends. */
#include "kernels/backend.h"
#include "kernels/cpu/cpu.h"
#include "kernels/ref/ref.h"
#include "lib/mem.h"
#include <string.h>

static const char *always(void)
{
    return "";
}

static const struct {
    const char *name;
    const struct backend *(*get)(void);
    const char *(*reason)(void); /* why get() gave NULL */
} backends[] = {
    {"cpu", cpu_backend, cpu_backend_reason},
    {"ref", ref_backend, always            },
};

const struct backend *backend_get(const char *name, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        if (strcmp(backends[i].name, name))
            continue;
        const struct backend *b = backends[i].get();
        if (!b)
            err_set(err, ERR_DEVICE, "backend '%s' is not usable here: %s", name,
                    backends[i].reason());
        return b;
    }
    err_set(err, ERR_DEVICE, "no backend '%s' - there are 'cpu' and 'ref'", name);
    return NULL;
}
