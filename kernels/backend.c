/* kernels/backend.c - the registry of backends. */
#include "kernels/backend.h"
#include "kernels/backend_load.h"
#include "kernels/cpu/cpu.h"
#include "kernels/ref/ref.h"
#include "lib/mem.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char *always(void)
{
    return "";
}

/* Built in, or a shared object's file. */
static const struct {
    const char *name;
    const struct backend *(*get)(void);
    const char *(*reason)(void); /* why get() gave NULL */
    const char *file;
} backends[] = {
    {"cpu", cpu_backend, cpu_backend_reason, NULL},
    {"ref", ref_backend, always, NULL},
    {"cuda", NULL, NULL, "peftlab_cuda.so"},
    {"cuda-emul", NULL, NULL, "peftlab_cuda_emul.so"},
};

/* What loading an object gave; asked once. */
static struct loaded {
    int tried;
    const struct backend *backend;
    char reason[512];
} loaded[ARRAY_LEN(backends)];

static const struct backend *load_once(size_t i)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct loaded *l = &loaded[i];
    pthread_mutex_lock(&lock);
    if (!l->tried)
        l->backend = backend_load(backends[i].file, l->reason, sizeof l->reason);
    l->tried = 1;
    pthread_mutex_unlock(&lock);
    return l->backend;
}

const struct backend *backend_get(const char *name, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        if (strcmp(backends[i].name, name))
            continue;
        const struct backend *b = backends[i].file ? load_once(i) : backends[i].get();
        if (!b)
            err_set(err, ERR_DEVICE, "backend '%s' is not usable here: %s", name,
                    backends[i].file ? loaded[i].reason : backends[i].reason());
        return b;
    }
    err_set(err, ERR_DEVICE,
            "no backend '%s' - there are 'cpu', 'ref', 'cuda' and "
            "'cuda-emul'",
            name);
    return NULL;
}

struct matrix {
    const float *values;
    size_t cols;
};

static int rows_in_memory(void *ctx, int32_t first, int32_t count, float *dst,
                          struct err *err)
{
    const struct matrix *m = ctx;
    (void)err;
    memcpy(dst, m->values + (size_t)first * m->cols,
           (size_t)count * m->cols * sizeof *dst);
    return 0;
}

int backend_prepare(const struct backend *b, const struct weight_spec *spec,
                    const float *src, void *dst, struct err *err)
{
    struct matrix m = {src, (size_t)spec->cols};
    return b->weight_prepare(b->device, spec, &(struct weight_rows){rows_in_memory, &m},
                             dst, err);
}

int backend_takes(const struct backend *b, enum op op, const struct op_args *shapes,
                  struct err *err)
{
    char reason[160] = "";
    if (!b->supports || b->supports(b->device, op, shapes, reason, sizeof reason))
        return 0;
    return err_set(err, ERR_CONFIG, "backend '%s' does not run '%s' here: %s", b->name,
                   op_info[op].name, reason);
}

const char *backend_name(size_t i)
{
    return i < ARRAY_LEN(backends) ? backends[i].name : NULL;
}

bool backend_is_built(size_t i)
{
    char *path = backends[i].file ? backend_find(backends[i].file) : NULL;
    const bool found = path;
    free(path);
    return found || !backends[i].file;
}
