/* SQL of `peftlab query`: nothing may be written, nothing may last. */
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/store/store.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store *open_once(void)
{
    static struct store *s;
    char path[64];
    int64_t id;
    if (s)
        return s;
    snprintf(path, sizeof path, "/tmp/peftlab-fuzz-query-%d.db", (int)getpid());
    if (store_open(path, STORE_CREATE, &s, NULL) < 0 ||
        store_experiment(s, "only", &id, NULL) < 0)
        abort();
    unlink(path);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *sql = xstrndup((const char *)data, size);
    struct store *s = open_once();
    json_decref(store_query_within(s, sql, NULL, 100, 0.05, NULL));
    free(sql);
    json_t *r =
        store_query(s, "SELECT group_concat(name) FROM experiment", NULL, 1, NULL);
    const char *name = json_string_value(
        json_array_get(json_array_get(json_object_get(r, "rows"), 0), 0));
    if (!str_eq(name, "only"))
        abort();
    json_decref(r);
    return 0;
}
