/* A store from elsewhere: opened for reading, asked what commands ask, examined. */
#include "tracker/store/store.h"
#include "tracker/store/upkeep.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const questions[] = {
        "SELECT * FROM trial_view", "SELECT * FROM summary_view",
        "SELECT * FROM series_view", "SELECT * FROM sweep_view",
        "SELECT * FROM run_view"};
    struct err e = ERR_INIT;
    struct store *s = NULL;
    char path[64], other[80];
    snprintf(path, sizeof path, "/tmp/peftlab-fuzz-store-%d.db", (int)getpid());
    FILE *f = fopen(path, "w");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    if (store_open(path, STORE_READ_ONLY, &s, &e) < 0) {
        if (!e.msg[0] || s)
            abort();
    } else {
        json_t *found = NULL;
        for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
            json_decref(store_query_within(s, questions[i], NULL, 50, 0.5, NULL));
        if (store_examine(s, &found, NULL) == 0)
            json_decref(store_garbage(s, NULL));
        json_decref(found);
        store_close(s);
    }
    static const char *const more[] = {"", "-wal", "-shm", "-lock"};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        snprintf(other, sizeof other, "%s%s", path, more[i]);
        unlink(other);
    }
    return 0;
}
