/* kernels/backend_load.c - opens a backend's shared object. */
#include "kernels/backend_load.h"
#include "kernels/dynamic8.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The program's own folder, or one relative to it; newly allocated, NULL where it cannot be
 * told. */
static char *beside_program(const char *name)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0)
        return NULL;
    path[n] = 0;
    char *own = fs_dirname(path), *folder = fs_join(own, name);
    free(own);
    return folder;
}

char *backend_find(const char *file)
{
    const char *named = getenv("PEFTLAB_BACKEND_DIR");
    char *folders[] = {named && *named ? xstrdup(named) : NULL, beside_program("."),
                       beside_program("../lib/peftlab")}; /* where it is installed */
    char *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        char *path = folders[i] && !found ? fs_join(folders[i], file) : NULL;
        if (path && fs_exists(path)) {
            found = fs_absolute(path); /* a name without '/' would be searched for */
        }
        free(path);
        free(folders[i]);
    }
    return found;
}

static const struct backend_host *host_table(void)
{
    static struct backend_host host;
    host = (struct backend_host){
        .signature = backend_signature,
        .args_bytes = sizeof(struct op_args),
        .host_bytes = sizeof(struct backend_host),
        .err_set = err_set,
        .nf4_table = nf4_table,
        .fp4_table = fp4_table,
        .dynamic_map = dynamic_map_signed(),
        .dynamic_map_unsigned = dynamic_map_unsigned(),
        .q4_layout = q4_layout,
        .q4_check = q4_check,
        .q4_quantize = q4_quantize,
    };
    return &host;
}

static const struct backend *open_object(const char *path, char *reason, size_t size)
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object) {
        const char *why = dlerror();
        snprintf(reason, size, "it cannot be loaded: %s", why ? why : path);
        return NULL;
    }
    backend_entry_fn entry = (backend_entry_fn)dlsym(object, "peftlab_backend_entry");
    if (!entry) {
        snprintf(reason, size, "'%s' is no peftlab backend", path);
        return NULL;
    }
    const struct backend *b = entry(host_table(), reason, size);
    if (b && b->abi != BACKEND_ABI) {
        snprintf(reason, size, "'%s' was built for another version of peftlab", path);
        return NULL;
    }
    return b;
}

const struct backend *backend_load(const char *file, char *reason, size_t size)
{
    char *path = backend_find(file);
    if (!path) {
        snprintf(reason, size,
                 "%s is neither next to the program nor in PEFTLAB_BACKEND_DIR - see "
                 "kernels/cuda/README.md for how it is built",
                 file);
        return NULL;
    }
    const struct backend *b = open_object(path, reason, size);
    free(path);
    return b;
}
