/* Fuzzes sweep files: reading, expansion, plan. The first byte picks YAML or JSON, and
 * whether the first line is an override. Whatever is accepted must expand to distinct
 * combinations, count right, and plan. */
#include "lib/json.h"
#include "sweep/sweep.h"
#include <stdlib.h>
#include <string.h>

#define ROWS_TRIED 20000.0

static void check_space(const struct sweep_space *s)
{
    if (s->after_exclude > s->raw || (double)s->raw > s->product ||
        s->count + s->merged != s->after_exclude + s->new_by_include)
        abort();
    struct strmap *seen = strmap_new();
    for (size_t i = 0; i < s->count; i++) {
        struct buf text = BUF_INIT;
        json_canonical(&text, s->combinations[i]);
        strmap_put(seen, buf_str(&text), text.len, 1);
        buf_release(&text);
    }
    if (strmap_count(seen) != s->count)
        abort();
    strmap_free(seen);
}

/* The product of the lists, so that large grids are not walked here. */
static double product(const struct sweep_file *f)
{
    double n = (double)f->seed_count;
    if (strcmp(f->method, "grid") && f->max_trials > n)
        n = (double)f->max_trials;
    for (size_t i = 0; i < f->param_count; i++)
        n *= f->params[i].kind == PARAM_VALUES ? (double)f->params[i].count : 1;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sweep_hooks hooks = {0};
    struct err err = ERR_INIT;
    struct sweep_file *f;
    struct sweep_plan plan;
    if (size < 1 || size > 65536)
        return 0;
    const char *text = (const char *)data + 1;
    const char *end = memchr(text, '\n', size - 1);
    char *word = NULL;
    if ((data[0] & 2) && end) {
        word = strndup(text, (size_t)(end - text));
        text = end + 1;
    }
    size_t len = size - (size_t)(text - (const char *)data);
    const char *words[] = {word};
    int rc = sweep_file_parse(text, len, "fuzz", data[0] & 1, words, word ? 1 : 0, NULL,
                              &f, &err);
    if (rc < 0 && (rc != -(int)err.code || !err.msg[0]))
        abort();
    if (rc == 0 && !f->names_model && product(f) <= ROWS_TRIED) {
        rc = sweep_plan_make(f, &hooks, false, &plan, &err);
        if (rc < 0 && (rc != -(int)err.code || !err.msg[0]))
            abort();
        if (rc == 0) {
            check_space(&plan.space);
            json_decref(sweep_plan_json(&plan, 2));
            sweep_plan_release(&plan);
        }
        sweep_file_free(f);
    } else if (rc == 0) {
        sweep_file_free(f);
    }
    free(word);
    return 0;
}
