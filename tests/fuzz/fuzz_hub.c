/* A hub's list of files: what is taken has paths that stay below a folder. */
#include "runner/hub/pull/hub.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hub_list l;
    struct err e = ERR_INIT;
    if (hub_list_parse((const char *)data, size, "fuzz", &l, &e) < 0) {
        if (!e.msg[0] || l.files)
            abort();
        return 0;
    }
    for (size_t i = 0; i < l.count; i++) {
        const struct hub_file *f = &l.files[i];
        size_t n = strlen(f->digest);
        if (f->path[0] == '/' || strstr(f->path, "/../") || !strncmp(f->path, "../", 3) ||
            f->size < -1 || (n != 0 && n != 40 && n != 64))
            abort();
    }
    (void)hub_list_keep(&l, hub_model_patterns, hub_model_pattern_count, true);
    hub_list_release(&l);
    return 0;
}
