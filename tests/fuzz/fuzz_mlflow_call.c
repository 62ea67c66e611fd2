/* Requests of MLflow's clients, one a line, "PATH {fields}": against a store with one run, whose
 * id stands for every @ of a line; then everything is taken back. What is answered is JSON, and
 * no request is a fault of ours. */
#include "lib/json.h"
#include "tracker/mlflow/mlflow_api.h"
#include "tracker/store/store_priv.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char run_id[MLFLOW_RUN_ID_BYTES];

static const struct mlflow_route *find(const char *path, size_t n)
{
    const struct mlflow_route *r = NULL;
    for (size_t i = 0; (r = mlflow_route_at(i)); i++)
        if (strlen(r->path) == n && !memcmp(r->path, path, n))
            break;
    return r;
}

static void call(struct store *s, const struct mlflow_route *r, const json_t *fields)
{
    struct mlflow_error e = {0};
    struct buf answer = BUF_INIT;
    if (mlflow_call(s, r, fields, &answer, &e) == 0) {
        json_t *tree = json_loads(buf_str(&answer), 0, NULL);
        if (!json_is_object(tree))
            abort();
        json_decref(tree);
    } else {
        if (!e.message[0] || e.code == MLFLOW_INTERNAL_ERROR) {
            fprintf(stderr, "%s: '%s'\n", r->path, e.message);
            abort();
        }
        json_decref(mlflow_error_json(&e));
    }
    buf_release(&answer);
}

static struct store *open_once(void)
{
    static struct store *s;
    char path[64];
    json_t *fields;
    if (s)
        return s;
    snprintf(path, sizeof path, "/tmp/peftlab-fuzz-mlflow-call-%d.db", (int)getpid());
    if (store_open(path, STORE_CREATE, &s, NULL) < 0 ||
        mlflow_run_id(s, 1, run_id, NULL) < 0)
        abort();
    fields = json_object();
    call(s, find("runs/create", strlen("runs/create")), fields);
    json_decref(fields);
    unlink(path);
    return s;
}

static void line_call(struct store *s, const char *text, size_t n)
{
    const char *blank = memchr(text, ' ', n);
    const struct mlflow_route *r = blank ? find(text, (size_t)(blank - text)) : NULL;
    struct buf body = BUF_INIT;
    for (const char *c = blank; r && c < text + n; c++)
        if (*c == '@')
            buf_str_add(&body, run_id);
        else
            buf_char(&body, *c);
    json_t *fields = r ? json_parse(buf_str(&body), body.len, "body", NULL) : NULL;
    if (json_is_object(fields))
        call(s, r, fields);
    json_decref(fields);
    buf_release(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *end = text + size;
    struct store *s = open_once();
    if (store_begin(s, NULL) < 0)
        abort();
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const size_t n = newline ? (size_t)(newline - text) : (size_t)(end - text);
        line_call(s, text, n);
        text += n + 1;
    }
    store_rollback(s);
    return 0;
}
