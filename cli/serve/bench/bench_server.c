/* cli/serve/bench/bench_server.c - a bench of a server over HTTP (libcurl): one thread, as many
 * connections as there are requests open. */
#include "cli/serve/bench/bench_target.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/net/http_env.h"
#include "lib/net/url.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include <curl/curl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* An answer that takes longer has failed. */
#define LONGEST_S 120L
/* What of a wait is too short for libcurl's milliseconds. */
#define FINE_S .002

struct server_target;
struct connection {
    CURL *curl;
    struct server_target *target;
    struct load_record *record;
    struct buf body;
    struct buf line;         /* of an answer in pieces, what has come of it */
    double last_s;           /* when its last piece came; 0: none has */
    struct connection *next; /* of those that are free */
};

struct server_target {
    struct load_target load;
    CURLM *multi;
    char *url, *key;
    const struct bench_file *file;
    bool predict;
    const json_t *names;
    const struct bench_texts *texts;
    struct curl_slist *headers;
    struct connection *free;
    struct connection **all;
    size_t count, cap;
    double *gaps_s, *told; /* since somebody looked; until then */
    size_t gap_count, gap_cap;
};

static double now(struct load_target *t)
{
    (void)t;
    return clock_mono_s();
}

static size_t drop(char *data, size_t size, size_t n, void *ctx)
{
    (void)data, (void)ctx;
    return size * n;
}

/* --- answers in pieces: server-sent events --- */

static void take_piece(struct connection *c, double now_s)
{
    struct server_target *t = c->target;
    if (c->last_s <= 0) {
        c->record->first_s = now_s - t->load.begin_s;
    } else {
        t->gaps_s = xgrow(t->gaps_s, &t->gap_cap, t->gap_count + 1, sizeof *t->gaps_s);
        t->gaps_s[t->gap_count++] = now_s - c->last_s;
    }
    c->last_s = now_s;
    c->record->pieces++;
}

/* An event has a piece in its choices, or none and the usage at the end. */
static void take_event(struct connection *c, const char *line, double now_s)
{
    static const char usage[] = "\"completion_tokens\":";
    const char *choices = strstr(line, "\"choices\":"), *tokens = strstr(line, usage);
    if (choices && choices[strcspn(choices, "{]")] == '{')
        take_piece(c, now_s);
    else if (tokens)
        c->record->pieces = (uint32_t)strtoul(tokens + sizeof usage - 1, NULL, 10);
}

static size_t take_lines(char *data, size_t size, size_t n, void *ctx)
{
    struct connection *c = ctx;
    const double now_s = clock_mono_s();
    for (size_t i = 0; i < size * n; i++) {
        if (data[i] != '\n') {
            buf_char(&c->line, data[i]);
            continue;
        }
        if (str_has_prefix(buf_str(&c->line), "data: {"))
            take_event(c, buf_str(&c->line), now_s);
        buf_clear(&c->line);
    }
    return size * n;
}

/* "Server-Timing: queue;dur=1.2, batch;dur=3.4", in milliseconds. */
static double timing(const char *line, const char *name)
{
    const char *at = strstr(line, name);
    return at ? strtod(at + strlen(name), NULL) / 1e3 : NAN;
}

static size_t see_header(char *data, size_t size, size_t n, void *ctx)
{
    struct connection *c = ctx;
    char line[256];
    const size_t len = size * n < sizeof line - 1 ? size * n : sizeof line - 1;
    memcpy(line, data, len);
    line[len] = 0;
    if (!strncasecmp(line, "server-timing:", 14)) {
        c->record->queue_s = timing(line, "queue;dur=");
        c->record->run_s = timing(line, "batch;dur=");
    } else if (!strncasecmp(line, "x-adapter-cold: 1", 17)) {
        c->record->cold = true;
    }
    return size * n;
}

static struct connection *new_connection(struct server_target *t)
{
    struct connection *c = xcalloc(1, sizeof *c);
    c->target = t;
    c->curl = curl_easy_init();
    buf_init(&c->body, (size_t)4 << 20);
    curl_easy_setopt(c->curl, CURLOPT_URL, t->url);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, t->file->output ? take_lines : drop);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
    buf_init(&c->line, (size_t)1 << 20);
    curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, see_header);
    curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(c->curl, CURLOPT_PRIVATE, c);
    curl_easy_setopt(c->curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, LONGEST_S);
    http_env_apply(c->curl);
    t->all = xgrow(t->all, &t->cap, t->count + 1, sizeof *t->all);
    t->all[t->count++] = c;
    return c;
}

static void put_body(const struct server_target *t, struct connection *c)
{
    const struct load_record *r = c->record;
    const char *name = json_string_value(json_array_get(t->names, r->adapter));
    const struct bench_texts *x = t->texts;
    buf_clear(&c->body);
    buf_str_add(&c->body, "{\"model\":");
    json_put_string(&c->body, name, strlen(name));
    if (t->file->output)
        buf_printf(&c->body,
                   ",\"max_tokens\":%d,\"ignore_eos\":true,\"temperature\":0,"
                   "\"stream\":true,\"stream_options\":{\"include_usage\":true}",
                   (int)t->file->output);
    buf_printf(&c->body, ",\"%s\":",
               t->file->output ? "prompt"
               : t->predict    ? "inputs"
                               : "input");
    if (x->texts)
        json_put_string(&c->body, x->texts[r->text], strlen(x->texts[r->text]));
    else
        for (int32_t i = 0; i < x->examples[r->text].n; i++)
            buf_printf(&c->body, "%c%d", i ? ',' : '[', (int)x->examples[r->text].ids[i]);
    buf_str_add(&c->body, x->texts ? "}" : "]}");
}

static void send_request(struct load_target *load, struct load_record *record)
{
    struct server_target *t = (struct server_target *)load;
    struct connection *c = t->free ? t->free : new_connection(t);
    if (t->free == c)
        t->free = c->next;
    c->record = record;
    c->last_s = 0;
    buf_clear(&c->line);
    put_body(t, c);
    curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, buf_str(&c->body));
    curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, (long)c->body.len);
    curl_multi_add_handle(t->multi, c->curl);
    int running;
    curl_multi_perform(t->multi, &running);
}

static void take_answers(struct server_target *t)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(t->multi, &left))) {
        struct connection *c;
        long status = 0;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        load_answer(&t->load, c->record, m->data.result == CURLE_OK && status == 200,
                    status == 429);
        curl_multi_remove_handle(t->multi, c->curl);
        c->next = t->free;
        t->free = c;
    }
}

static void wait_until(struct load_target *load, double until_s)
{
    struct server_target *t = (struct server_target *)load;
    const double left = until_s - clock_mono_s();
    int running;
    if (left > FINE_S)
        curl_multi_poll(t->multi, NULL, 0, (int)fmin((left - FINE_S / 2) * 1e3, 1000),
                        NULL);
    else if (left > 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)(fmin(left, .0002) * 1e9)}, NULL);
    curl_multi_perform(t->multi, &running);
    take_answers(t);
}

static struct load_target *at(struct bench_target *target, const struct bench_case *c,
                              struct err *err)
{
    struct server_target *t = target->own;
    if (c->kind == BENCH_adapters && !c->slots)
        return &t->load;
    err_set(err, ERR_CONFIG,
            "a server is asked by the names of adapters; base, merged and slots are for "
            "the engine in this process ('model')");
    return NULL;
}

static void look(struct bench_target *target, struct load_target *load,
                 struct bench_inside *out)
{
    struct server_target *t = target->own;
    (void)load;
    free(t->told);
    t->told = t->gaps_s;
    *out = (struct bench_inside){.gaps_s = t->told, .gap_count = t->gap_count};
    t->gaps_s = NULL;
    t->gap_count = t->gap_cap = 0;
}

static void end(struct bench_target *target)
{
    struct server_target *t = target->own;
    for (size_t i = 0; i < t->count; i++) {
        curl_multi_remove_handle(t->multi, t->all[i]->curl);
        curl_easy_cleanup(t->all[i]->curl);
        buf_release(&t->all[i]->body);
        buf_release(&t->all[i]->line);
        free(t->all[i]);
    }
    free(t->all);
    curl_multi_cleanup(t->multi);
    curl_slist_free_all(t->headers);
    free(t->url);
    free(t->gaps_s);
    free(t->told);
    free(t);
}

int bench_target_server(struct bench_target *target, const struct bench_file *b,
                        struct bench_texts *texts, struct err *err)
{
    CURLU *u = url_parse(b->target, err);
    if (!u)
        return err_code(err);
    curl_url_cleanup(u);
    int rc = bench_texts_read(texts, b, NULL, 1000, 0, err);
    if (rc)
        return rc;
    struct server_target *t = xcalloc(1, sizeof *t);
    const char *key = getenv("PEFTLAB_API_KEY");
    t->load = (struct load_target){now, send_request, wait_until, 0, 0};
    t->file = b;
    t->predict = str_eq(b->api, "predict");
    t->url = xasprintf("%s%s", b->target,
                       b->output    ? "/v1/completions"
                       : t->predict ? "/predict"
                                    : "/v1/classify");
    t->names = b->adapter_names;
    t->texts = texts;
    t->multi = curl_multi_init();
    t->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (key && *key) {
        char *line = xasprintf("Authorization: Bearer %s", key);
        t->headers = curl_slist_append(t->headers, line);
        free(line);
    }
    curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, 1024L);
    *target = (struct bench_target){.adapters = json_array_size(b->adapter_names),
                                    .method = "",
                                    .backend = "",
                                    .at = at,
                                    .look = look,
                                    .end = end,
                                    .own = t};
    return 0;
}
