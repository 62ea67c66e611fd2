/* cli/serve/bench/bench_file.c - see bench_file.h. */
#include "cli/serve/bench/bench_values.h"
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- its parts --- */

static int read_adapters(struct bench_file *b, struct err *err)
{
    const json_t *a = json_object_get(b->root, "adapters");
    int64_t clone = 1;
    if (!a)
        return bench_wrong("adapters",
                           "they are missing: {dir: FOLDER}, or a list of names", err);
    if (json_is_array(a)) {
        b->adapter_names = a;
        return json_array_size(a) ? 0 : bench_wrong("adapters", "the list is empty", err);
    }
    int rc = bench_check_keys(a, "adapters",
                              (const char *const[]){"dir", "tasks", "clone", NULL}, err);
    if (!rc)
        rc = bench_integer_at(a, "clone", 1, 100000, &clone, err);
    b->adapter_dir = json_get_str(a, "dir", NULL);
    b->adapter_tasks = json_get_str(a, "tasks", NULL);
    b->clone = (size_t)clone;
    return rc || !b->adapter_dir != !b->adapter_tasks
               ? rc
               : bench_wrong("adapters", "either 'dir' or 'tasks' is meant", err);
}

static int read_tokens(struct bench_file *b, const json_t *t, struct err *err)
{
    const json_t *u = json_is_object(t) ? json_object_get(t, "uniform") : NULL;
    const json_t *low = u ? json_array_get(u, 0) : t,
                 *high = u ? json_array_get(u, 1) : t;
    b->tokens[0] = (int32_t)json_integer_value(low);
    b->tokens[1] = (int32_t)json_integer_value(high);
    return json_is_integer(low) && json_is_integer(high) && b->tokens[0] > 0 &&
                   b->tokens[1] >= b->tokens[0] && b->tokens[1] <= 1 << 20
               ? 0
               : bench_wrong("requests.tokens", "a number, or {uniform: [8, 512]}", err);
}

static int read_requests(struct bench_file *b, struct err *err)
{
    const json_t *r = json_object_get(b->root, "requests");
    if (!r)
        return bench_wrong("requests", "they are missing: {data: FILE}, or {tokens: 24}",
                           err);
    int rc = bench_check_keys(
        r, "requests", (const char *const[]){"data", "text_column", "tokens", NULL}, err);
    b->data = json_get_str(r, "data", NULL);
    b->text_column = json_get_str(r, "text_column", "text");
    const json_t *t = json_object_get(r, "tokens");
    if (!rc && !b->data == !t)
        rc = bench_wrong("requests", "one of 'data' and 'tokens' is meant", err);
    return rc || !t ? rc : read_tokens(b, t, err);
}

/* NAME, or {NAME: number} where the number means something. */
static int read_popularity(const json_t *p, struct bench_popularity *out, struct err *err)
{
    const char *name = json_is_object(p)
                           ? json_object_iter_key(json_object_iter((json_t *)p))
                           : json_string_value(p);
    enum popularity k = 0;
    while (k < POPULARITY_COUNT && !str_eq(popularity_names[k], name))
        k++;
    const bool needs =
        k == POPULARITY_zipf || k == POPULARITY_hot || k == POPULARITY_power;
    const double x = json_is_object(p) ? json_get_num(p, name, NAN) : 0;
    if (k == POPULARITY_COUNT || needs != json_is_object(p) ||
        (json_is_object(p) && json_object_size(p) != 1))
        return bench_wrong(
            "popularity", "uniform, round_robin, {zipf: 1.1}, {hot: 0.8} or {power: 0.3}",
            err);
    if (needs && !(x > 0 && x <= (k == POPULARITY_zipf ? 10 : 1)))
        return bench_wrong("popularity",
                           "its number is above 0 and, but for zipf, at most 1", err);
    *out = (struct bench_popularity){.kind = k, .number = x};
    snprintf(out->name, sizeof out->name, needs ? "%s %g" : "%s", name, x);
    return 0;
}

static int read_popularities(struct bench_file *b, struct err *err)
{
    const json_t *v = json_object_get(b->root, "popularity");
    const size_t n = json_is_array(v) ? json_array_size(v) : v != NULL;
    int rc = n <= BENCH_LIST_MOST ? 0 : bench_wrong("popularity", "too many", err);
    for (size_t i = 0; i < n && !rc; i++)
        rc = read_popularity(json_is_array(v) ? json_array_get(v, i) : v,
                             &b->popularities[b->popularity_count++], err);
    if (!n)
        b->popularities[b->popularity_count++] =
            (struct bench_popularity){.kind = POPULARITY_uniform, .name = "uniform"};
    return rc;
}

/* What answers: `base`, `merged`, a number of adapters. */
static int read_points(struct bench_file *b, struct err *err)
{
    const json_t *v = json_object_get(b->root, "points");
    const size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (!v) {
        b->points[b->point_count++] = (struct bench_case){.kind = BENCH_adapters};
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_is_array(v) ? json_array_get(v, i) : v;
        struct bench_case c = {.kind = BENCH_adapters,
                               .adapters = (size_t)json_integer_value(x)};
        for (enum bench_kind k = 0; k < BENCH_adapters; k++)
            if (str_eq(json_string_value(x), bench_kind_names[k]))
                c = (struct bench_case){.kind = k, .adapters = 1};
        if (!c.adapters || json_integer_value(x) < 0 || i == BENCH_LIST_MOST)
            return bench_wrong("points", "base, merged and numbers of adapters are meant",
                               err);
        b->points[b->point_count++] = c;
    }
    return n ? 0 : bench_wrong("points", "the list is empty", err);
}

/* Numbers of adapters, or `all`. */
static int read_slots(struct bench_file *b, struct err *err)
{
    double numbers[BENCH_LIST_MOST];
    size_t n = 0;
    bool all = false;
    const json_t *v = json_object_get(b->root, "slots");
    int rc = v ? bench_numbers(v, "slots", "all", 1e6, numbers, &n, &all, err) : 0;
    for (size_t i = 0; i < n && !rc; i++)
        if ((b->slots[b->slot_count++] = (size_t)numbers[i]) == 0)
            rc = bench_wrong("slots", "at least one", err);
    if (all || !v)
        b->slots[b->slot_count < BENCH_LIST_MOST ? b->slot_count++ : 0] = 0;
    return !rc && v && json_object_get(b->root, "resident")
               ? bench_wrong("slots", "they and 'resident' are the same limit twice", err)
               : rc;
}

static int read_shares(struct bench_file *b, struct err *err)
{
    static const double usual[] = {.5, .7, .9};
    const json_t *v = json_object_get(b->root, "validate");
    int rc =
        v ? bench_numbers(v, "validate", NULL, 2, b->shares, &b->share_count, NULL, err)
          : 0;
    for (size_t i = 0; i < b->share_count && !rc; i++)
        rc = b->shares[i] > 0 ? 0 : bench_wrong("validate", "shares are above 0", err);
    if (!v) {
        memcpy(b->shares, usual, sizeof usual);
        b->share_count = ARRAY_LEN(usual);
    }
    return rc;
}

static int read_batch(struct bench_file *b, struct err *err)
{
    const json_t *o = json_object_get(b->root, "batch");
    int64_t rows = 32, tokens = 2048;
    int rc = o ? bench_check_keys(
                     o, "batch",
                     (const char *const[]){"max_rows", "max_tokens", "wait", NULL}, err)
               : 0;
    if (!rc)
        rc = bench_integer_at(o, "max_rows", 1, 1024, &rows, err);
    if (!rc)
        rc = bench_integer_at(o, "max_tokens", 16, 1 << 20, &tokens, err);
    if (!rc)
        rc = bench_seconds_at(o, "wait", 0, 1, &b->wait_s, err);
    b->max_rows = (int32_t)rows;
    b->max_tokens = (int32_t)tokens;
    return rc;
}

static int read_seeds(struct bench_file *b, struct err *err)
{
    double seeds[BENCH_LIST_MOST];
    const json_t *v = json_object_get(b->root, "seeds");
    b->seed_count = !v;
    const int rc =
        v ? bench_numbers(v, "seeds", NULL, 1e9, seeds, &b->seed_count, NULL, err) : 0;
    for (size_t i = 0; i < b->seed_count; i++)
        b->seeds[i] = v ? (uint64_t)seeds[i] : 0;
    return rc;
}

static int read_limits(struct bench_file *b, const json_t *slo, struct err *err)
{
    const struct {
        const char *key;
        double *ms;
    } rows[] = {{"p99", &b->limit_ms}, {"ttft", &b->first_ms}, {"tpot", &b->token_ms}};
    int rc = bench_check_keys(slo, "slo",
                              (const char *const[]){"p99", "ttft", "tpot", NULL}, err);
    for (size_t i = 0; i < ARRAY_LEN(rows) && !rc; i++) {
        double s = 0;
        rc = bench_seconds_at(slo, rows[i].key, 1e-6, 3600, &s, err);
        *rows[i].ms = s * 1e3;
    }
    return rc || b->output || !(b->first_ms > 0 || b->token_ms > 0)
               ? rc
               : bench_wrong("slo", "ttft and tpot are of api: completions", err);
}

/* What is asked of a server, and how long answers are. */
static int read_api(struct bench_file *b, struct err *err)
{
    int64_t output = 32;
    b->api = json_get_str(b->root, "api", "classify");
    const bool pieces = str_eq(b->api, "completions");
    if (!pieces && !str_eq(b->api, "classify") && !str_eq(b->api, "predict"))
        return bench_wrong("api", "classify, predict or completions", err);
    if (pieces && !b->target)
        return bench_wrong("api", "completions are asked of a server: target", err);
    const int rc = bench_integer_at(b->root, "output", 1, 1 << 20, &output, err);
    b->output = pieces ? (int32_t)output : 0;
    return rc || pieces || !json_object_get(b->root, "output")
               ? rc
               : bench_wrong("output", "it is of api: completions", err);
}

static int read_rest(struct bench_file *b, struct err *err)
{
    const json_t *slo = json_object_get(b->root, "slo"),
                 *resident = json_object_get(b->root, "resident");
    b->resolution = json_get_num(b->root, "resolution", .025);
    if (!(b->resolution >= .001 && b->resolution <= 1))
        return bench_wrong("resolution", "a share is meant, from 0.001 to 1", err);
    b->cold = json_get_bool(b->root, "cold", 0);
    b->duration_s = 30;
    b->warmup_s = 5;
    int rc = bench_seconds_at(b->root, "duration", .1, 86400, &b->duration_s, err);
    if (!rc)
        rc = bench_seconds_at(b->root, "warmup", 0, 3600, &b->warmup_s, err);
    if (!rc && slo)
        rc = read_limits(b, slo, err);
    const double bytes = resident ? bench_bytes_of(resident) : 0;
    if (!rc && !(bytes >= 0 && bytes < 1e15))
        rc = bench_wrong("resident", "bytes are meant, as 64MiB", err);
    b->resident_bytes = rc ? 0 : (size_t)bytes;
    if (!rc && b->find_rate && !(b->limit_ms > 0 || b->first_ms > 0 || b->token_ms > 0))
        rc = bench_wrong("arrivals.rate", "'auto' needs a limit: slo: {p99: 50ms}", err);
    return rc;
}

static int read_all(struct bench_file *b, struct err *err)
{
    static const char *const known[] = {
        "model",    "resolution", "target",   "api",    "adapters",
        "requests", "popularity", "arrivals", "batch",  "duration",
        "warmup",   "resident",   "slo",      "seeds",  "points",
        "slots",    "validate",   "cold",     "output", NULL};
    int rc = bench_check_keys(b->root, "bench", known, err);
    b->model = json_get_str(b->root, "model", NULL);
    b->target = json_get_str(b->root, "target", NULL);
    if (!rc && !b->model && !b->target)
        rc = bench_wrong(
            "bench", "'model' (in this process) or 'target' (a server) is needed", err);
    if (rc || (rc = read_api(b, err)) || (rc = read_adapters(b, err)) ||
        (rc = read_requests(b, err)) || (rc = read_popularities(b, err)) ||
        (rc = read_points(b, err)) || (rc = bench_arrivals(b, err)) ||
        (rc = read_slots(b, err)) || (rc = read_shares(b, err)) ||
        (rc = read_batch(b, err)) || (rc = read_seeds(b, err)))
        return rc;
    if (b->target && !b->adapter_names)
        return bench_wrong("adapters", "a server is asked by names: [reviews, topics]",
                           err);
    if (!b->target && !b->adapter_dir && !b->adapter_tasks)
        return bench_wrong("adapters",
                           "in this process they come from a folder: {dir: runs}", err);
    return read_rest(b, err);
}

static int put_word(json_t *root, const char *word, struct err *err)
{
    const char *is = strchr(word, '=');
    if (!is || is == word)
        return err_set(err, ERR_USAGE, "'%s': key=value is meant", word);
    json_t *v = conf_parse_value(is + 1, err);
    if (!v)
        return err_code(err);
    char *key = xstrndup(word, (size_t)(is - word));
    json_object_set_new(root, key, v);
    free(key);
    return 0;
}

int bench_file_parse(struct bench_file *b, const char *text, size_t size, struct err *err)
{
    struct conf *c;
    *b = (struct bench_file){.clone = 1};
    int rc = conf_parse(text, size, "bench", 0, &c, err);
    if (rc)
        return rc;
    b->root = json_incref(conf_root(c));
    conf_free(c);
    return read_all(b, err);
}

int bench_file_read(struct bench_file *b, const char *path, const char *const *words,
                    size_t count, struct err *err)
{
    struct conf *c;
    *b = (struct bench_file){.clone = 1};
    int rc = conf_load(path, &c, err);
    if (rc)
        return rc;
    b->root = json_incref(conf_root(c));
    conf_free(c);
    const char *slash = strrchr(path, '/');
    b->base_dir = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
    for (size_t i = 0; i < count && !rc; i++)
        rc = json_is_object(b->root) ? put_word(b->root, words[i], err) : 0;
    if (!rc)
        rc = read_all(b, err);
    return rc < 0 ? err_context(err, "bench file '%s': ", path) : 0;
}

void bench_file_release(struct bench_file *b)
{
    json_decref(b->root);
    free(b->base_dir);
    *b = (struct bench_file){0};
}
