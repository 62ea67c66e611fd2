/* What a page asks of a table, one text each line: a filter, an order, metrics wanted; on a
 * small store. Whatever is asked, nothing but bad usage may come of it. */
#include "lib/json.h"
#include "tracker/live/live.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(struct store *s)
{
    int64_t experiment = 0;
    size_t added;
    struct trial_row rows[4];
    struct run_claim c;
    if (store_experiment(s, "e", &experiment, NULL) < 0)
        abort();
    for (int i = 0; i < 4; i++)
        rows[i] =
            (struct trial_row){.experiment = experiment,
                               .number = i,
                               .key = i % 2 ? "a" : "b",
                               .seed = (uint64_t)i,
                               .base_dir = "/",
                               .config = json_pack("{s:i}", "rank", i % 2),
                               .params = json_pack("{s:i, s:s, s:[i]}", "rank", i % 2,
                                                   "kind", i ? "x" : "7", "list", i),
                               .predicted_bytes = -1};
    if (store_add_trials(s, rows, 4, &added, NULL) < 0)
        abort();
    const struct metric_point p[] = {{"eval/loss", 1, .5}, {"eval/loss", 2, .25}};
    if (store_claim(s, 0, rows[0].id, 60000, NULL, &c, NULL) != 1 ||
        store_log_metrics(s, c.run, p, 2, NULL) < 0)
        abort();
    for (int i = 0; i < 4; i++) {
        json_decref(rows[i].config);
        json_decref(rows[i].params);
    }
}

static struct store *open_once(void)
{
    static struct store *s;
    char path[64];
    if (s)
        return s;
    snprintf(path, sizeof path, "/tmp/peftlab-fuzz-live-%d.db", (int)getpid());
    if (store_open(path, STORE_CREATE, &s, NULL) < 0)
        abort();
    unlink(path);
    fill(s);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    char *text = strndup((const char *)data, size), *save = NULL;
    const char *words = strtok_r(text, "\n", &save), *sort = strtok_r(NULL, "\n", &save),
               *key = strtok_r(NULL, "\n", &save);
    json_t *keys = key ? json_pack("[s]", key) : NULL;
    const struct live_query q = {.words = words,
                                 .sort = sort,
                                 .keys = keys,
                                 .limit = 3,
                                 .offset = (int64_t)(size % 3),
                                 .summary = (enum live_summary)(size % 4)};
    struct buf out = BUF_INIT;
    const int rc = live_trials(open_once(), &q, &out, &e);
    if (rc < 0 && e.code != ERR_USAGE)
        abort();
    json_t *answer = rc < 0 ? NULL : json_parse(buf_str(&out), out.len, "answer", &e);
    if (rc >= 0 && !answer)
        abort(); /* what goes out is JSON */
    json_decref(answer);
    buf_release(&out);
    json_decref(keys);
    free(text);
    return 0;
}
