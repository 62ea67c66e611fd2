/* MLflow's search: the first line is order_by, the rest a filter. Whatever they say, the store
 * stays as it is, and what is accepted is a statement that SQLite accepts. */
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/mlflow/search/search.h"
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
    if (s)
        return s;
    snprintf(path, sizeof path, "/tmp/peftlab-fuzz-search-%d.db", (int)getpid());
    struct trial_row row = {.key = "k", .base_dir = "/", .predicted_bytes = -1};
    row.config = json_pack("{s:{s:i}}", "lora", "rank", 8);
    row.params = json_incref(row.config);
    size_t added;
    struct run_claim claim;
    struct metric_point p = {"loss", 3, 0.5};
    if (store_open(path, STORE_CREATE, &s, NULL) < 0 ||
        store_experiment(s, "only", &row.experiment, NULL) < 0 ||
        store_sweep(s, row.experiment, "s", row.config, "/", &row.sweep, NULL) < 0 ||
        store_add_trials(s, &row, 1, &added, NULL) < 0 ||
        store_claim(s, row.sweep, 0, 1000000, NULL, &claim, NULL) != 1 ||
        store_log_metrics(s, claim.run, &p, 1, NULL) < 0)
        abort();
    json_decref(row.config);
    json_decref(row.params);
    unlink(path);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct search_page page;
    const uint8_t *end = memchr(data, '\n', size);
    const size_t first = end ? (size_t)(end - data) : 0, rest = end ? first + 1 : 0;
    json_t *order = json_stringn((const char *)data, first),
           *filter = json_stringn((const char *)data + rest, size - rest);
    if (order && filter && !memchr(data, 0, size)) {
        json_t *request = json_pack("{s:O, s:[s], s:i}", "filter", filter,
                                    "experiment_ids", "1", "max_results", 1);
        if (first > 0)
            json_object_set_new(request, "order_by", json_pack("[O]", order));
        for (int experiments = 0; experiments < 2; experiments++) {
            err_clear(&err);
            int rc = experiments ? search_experiments(open_once(), request, &page, &err)
                                 : search_runs(open_once(), request, &page, &err);
            if (rc < 0 && err.code != ERR_USAGE)
                abort();
            if (rc == 0)
                search_page_release(&page);
        }
        json_decref(request);
    }
    json_decref(order);
    json_decref(filter);
    return 0;
}
