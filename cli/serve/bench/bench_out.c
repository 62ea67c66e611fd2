/* cli/serve/bench/bench_out.c - what a bench says: on the terminal, in files, in the store. */
#include "cli/serve/bench/bench.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void bench_name(const struct bench *b, const struct bench_state *s, char *out,
                size_t size)
{
    const struct bench_case *c = &s->c;
    (void)b;
    if (c->kind != BENCH_adapters) {
        snprintf(out, size, "%s", bench_kind_names[c->kind]);
        return;
    }
    int n = snprintf(out, size, "%zu adapter%s", c->adapters, c->adapters > 1 ? "s" : "");
    if (c->adapters > 1 && n > 0 && (size_t)n < size)
        n += snprintf(out + n, size - (size_t)n, ", %s", c->popularity->name);
    if (c->slots && n > 0 && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, ", %zu slots", c->slots);
}

/* --- terminal --- */

void bench_print_head(const struct bench *b)
{
    if (!b->quiet)
        text_print(stdout, "%-32s %-6s %8s %4s %7s %8s %8s %8s %8s %7s\n", "what answers",
                   "kind", "rate/n", "seed", "sent", "done/s", "p50 ms", "p95 ms",
                   "p99 ms", "within");
}

void bench_print_point(const struct bench *b, const struct bench_result *r)
{
    const struct bench_point *p = &r->row;
    char name[64], within[16] = "-";
    if (b->quiet)
        return;
    bench_name(b, &b->states[p->setting], name, sizeof name);
    if (!isnan(p->attainment))
        snprintf(within, sizeof within, "%.1f %%", 100 * p->attainment);
    text_print(stdout, "%-32s %-6s %8.4g %4lld %7lld %8.1f %8.2f %8.2f %8.2f %7s%s%s%s\n",
               name, p->kind, p->load, (long long)p->seed, (long long)p->sent,
               p->completed_per_s, p->p50_ms, p->p95_ms, p->p99_ms, within,
               p->generator_late ? "  generator late" : "",
               p->refused ? "  some refused" : "", p->failed ? "  some FAILED" : "");
    if (b->file.output)
        text_print(stdout,
                   "%39s ttft p50 %.1f, p99 %.1f ms; tpot p50 %.2f, p99 %.2f ms; itl p99 "
                   "%.2f ms; %.1f tokens/s\n",
                   "", p->ttft_p50_ms, p->ttft_p99_ms, p->tpot_p50_ms, p->tpot_p99_ms,
                   p->itl_p99_ms, p->tokens_per_s);
    fflush(stdout);
}

static void print_interval(double low, double high, const char *form)
{
    if (isnan(low))
        return;
    text_print(stdout, " [");
    text_print(stdout, form, low);
    text_print(stdout, ", ");
    text_print(stdout, form, high);
    text_print(stdout, "]");
}

static void print_setting(const struct bench *b, const struct bench_state *s)
{
    const struct bench_setting *x = &s->row;
    char name[64];
    bench_name(b, s, name, sizeof name);
    text_print(stdout, "%s:", name);
    if (!isnan(x->rate)) {
        text_print(stdout, " %.4g requests/s within the limits", x->rate);
        print_interval(x->rate_low, x->rate_high, "%.4g");
    }
    if (!isnan(x->capacity))
        text_print(stdout, "%s %.4g/s of clients in a circle", isnan(x->rate) ? "" : ",",
                   x->capacity);
    if (!isnan(s->over_base) && x->kind != BENCH_base) {
        text_print(stdout, ", %.3f of the base's", s->over_base);
        print_interval(s->over_base_low, s->over_base_high, "%.3f");
    }
    if (!isnan(x->phi) && x->kind != BENCH_base) {
        text_print(stdout, ", phi %.3f", x->phi);
        print_interval(x->phi_low, x->phi_high, "%.3f");
    }
    if (x->batches)
        text_print(stdout,
                   "\n    a batch: %.3g ms + %.3g a token + %.3g a row + %.3g an adapter "
                   "+ %.3g a load, left over %.2g ms (%lld batches)",
                   1e3 * x->fixed_s, 1e3 * x->token_s, 1e3 * x->row_s, 1e3 * x->adapter_s,
                   1e3 * x->cold_s, 1e3 * x->residual_s, (long long)x->batches);
    text_print(stdout, "\n");
}

/* Of a setting at a share of its highest rate: means over seeds. */
static void print_model(const struct bench *b, const struct bench_state *s, double share)
{
    double measured[3] = {0}, simulated[3] = {0};
    char name[64];
    int n = 0;
    for (size_t i = 0; i < b->result_count; i++) {
        const struct bench_point *p = &b->results[i].row;
        if (&b->states[p->setting] != s || p->share != share ||
            isnan(p->simulated_p99_ms))
            continue;
        const double m[] = {p->p50_ms, p->p95_ms, p->p99_ms},
                     q[] = {p->simulated_p50_ms, p->simulated_p95_ms,
                            p->simulated_p99_ms};
        for (int k = 0; k < 3; k++) {
            measured[k] += m[k];
            simulated[k] += q[k];
        }
        n++;
    }
    if (!n)
        return;
    bench_name(b, s, name, sizeof name);
    text_print(stdout, "%-32s %5.2f", name, share);
    for (int k = 0; k < 3; k++)
        text_print(stdout, "  %7.2f %7.2f %+4.0f %%", measured[k] / n, simulated[k] / n,
                   100 * (simulated[k] / measured[k] - 1));
    text_print(stdout, "\n");
}

static void print_end(const struct bench *b)
{
    if (b->quiet)
        return;
    text_print(stdout, "\n");
    for (size_t i = 0; i < b->state_count; i++)
        print_setting(b, &b->states[i]);
    if (!b->file.find_rate || !b->target.known || !b->file.share_count)
        return;
    text_print(stdout, "\n%-32s %5s  %22s  %22s  %22s\n", "measured and simulated, ms",
               "share", "p50", "p95", "p99");
    for (size_t i = 0; i < b->state_count; i++)
        for (size_t k = 0; k < b->file.share_count; k++)
            print_model(b, &b->states[i], b->file.shares[k]);
}

/* --- files --- */

/* What cannot be written is told when the file is finished. */
void bench_out_requests(struct bench *b, const struct load_record *r, size_t n)
{
    struct buf line = BUF_INIT;
    const size_t point = b->result_count - 1;
    for (size_t i = 0; b->requests && i < n; i++) {
        buf_clear(&line);
        buf_printf(&line, "%zu,%zu,%.6f,%.6f,%.6f,%u,%u,%u,%d,%d,%d,%.6f,%.6f,%.6f,%u\n",
                   point, i, r[i].intended_s, r[i].sent_s, r[i].done ? r[i].done_s : NAN,
                   r[i].adapter, r[i].text, r[i].tokens, r[i].ok, r[i].refused, r[i].cold,
                   r[i].queue_s, r[i].run_s, r[i].first_s, r[i].pieces);
        fs_writer_add(b->requests, line.data, line.len, NULL);
    }
    buf_release(&line);
}

static json_t *point_json(const struct bench_result *r)
{
    const struct bench_point *p = &r->row;
    json_t *o = json_pack("{s:s}", "kind", p->kind);
#define X(name) json_object_set_new(o, #name, json_integer(p->name));
    BENCH_POINT_COUNTS(X)
#undef X
#define X(name) json_object_set_new(o, #name, json_number_or_word(p->name));
    BENCH_POINT_NUMBERS(X)
    BENCH_STREAM_NUMBERS(X)
#undef X
    json_object_set_new(o, "offered_per_s", json_number_or_word(r->measured.offered));
    json_object_set_new(o, "send_lag_p99_ms",
                        json_number_or_word(r->measured.lag_p99_ms));
    json_object_set_new(o, "batches", json_integer((json_int_t)r->inside.count));
    json_object_set_new(o, "loads", json_integer(r->inside.loads));
    json_object_set_new(o, "evictions", json_integer(r->inside.evictions));
    json_object_set_new(o, "load_ms",
                        json_number_or_word(r->inside.loads ? 1e3 * r->inside.load_s /
                                                                  (double)r->inside.loads
                                                            : NAN));
    json_object_set_new(o, "resident_bytes",
                        json_integer((json_int_t)r->inside.resident_bytes));
    return o;
}

static json_t *setting_json(const struct bench *b, const struct bench_state *s)
{
    const struct bench_setting *x = &s->row;
    json_t *rates = json_array(),
           *o = json_pack("{s:I, s:s, s:I, s:s, s:I, s:I}", "number",
                          (json_int_t)x->number, "kind", bench_kind_names[x->kind],
                          "adapters", (json_int_t)x->adapters, "popularity",
                          x->popularity, "slots", (json_int_t)x->slots, "batches",
                          (json_int_t)x->batches);
#define X(name) json_object_set_new(o, #name, json_number_or_word(x->name));
    BENCH_SETTING_NUMBERS(X)
#undef X
    json_object_set_new(o, "over_base", json_number_or_word(s->over_base));
    json_object_set_new(o, "over_base_low", json_number_or_word(s->over_base_low));
    json_object_set_new(o, "over_base_high", json_number_or_word(s->over_base_high));
    for (size_t k = 0; b->file.find_rate && k < b->file.seed_count; k++)
        json_array_append_new(rates, json_number_or_word(s->rates[k]));
    json_object_set_new(o, "rates", rates);
    return o;
}

static json_t *document_of(const struct bench *b, json_t *environment)
{
    json_t *settings = json_array(), *points = json_array();
    for (size_t i = 0; i < b->state_count; i++)
        json_array_append_new(settings, setting_json(b, &b->states[i]));
    for (size_t i = 0; i < b->result_count; i++)
        json_array_append_new(points, point_json(&b->results[i]));
    return json_pack("{s:i, s:O, s:I, s:I, s:s, s:s, s:o, s:o, s:o}", "schema_version", 1,
                     "bench", b->file.root, "adapters", (json_int_t)b->target.adapters,
                     "texts", (json_int_t)b->texts.count, "method", b->target.method,
                     "backend", b->target.backend, "environment", environment, "settings",
                     settings, "points", points);
}

static int open_requests(struct bench *b, const char *dir, struct err *err)
{
    static const char head[] =
        "point,number,intended_s,sent_s,done_s,adapter,text,tokens,"
        "ok,refused,cold,queue_s,batch_s,first_s,pieces\n";
    int rc = fs_mkdirs(dir, err);
    char *path = fs_join(dir, "requests.csv");
    if (!rc)
        rc = fs_writer_begin(path, &b->requests, err);
    if (!rc)
        rc = fs_writer_add(b->requests, head, sizeof head - 1, err);
    free(path);
    return rc;
}

/* --- the store --- */

static int begin_in_store(struct bench *b, const char *dir, struct err *err)
{
    json_t *environment = proc_environment();
    char *base_dir = fs_absolute(b->file.base_dir), *out = dir ? fs_absolute(dir) : NULL,
         *requests = out ? fs_join(out, "requests.csv") : NULL,
         *machine = xasprintf("%s, %lld threads", json_get_str(environment, "cpu", ""),
                              (long long)json_get_int(environment, "threads", 0));
    const struct bench_about about = {
        .file = b->file.root,
        .base_dir = base_dir,
        .model = b->file.target ? "" : b->file.model,
        .target = b->file.target ? b->file.target : "engine",
        .method = b->target.method,
        .backend = b->target.backend,
        .machine = machine,
        .environment = environment,
        .limit_ms = b->file.limit_ms > 0 ? b->file.limit_ms : NAN,
        .requests_path = requests};
    const int rc = store_bench_begin(b->store, &about, &b->id, err);
    free(base_dir);
    free(out);
    free(requests);
    free(machine);
    json_decref(environment);
    return rc;
}

int bench_out_open(struct bench *b, const char *dir, const char *store, struct err *err)
{
    int rc = dir ? open_requests(b, dir, err) : 0;
    if (!rc && store)
        rc = store_open(store, STORE_CREATE, &b->store, err);
    return rc || !store ? rc : begin_in_store(b, dir, err);
}

int bench_out_point(struct bench *b, const struct bench_result *r, struct err *err)
{
    return b->store ? store_bench_point(b->store, b->id, &r->row, err) : 0;
}

static int end_in_store(struct bench *b, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < b->state_count && !rc; i++) {
        const struct bench_state *s = &b->states[i];
        rc = store_bench_setting(b->store, b->id, &s->row, err);
        if (!rc)
            rc = store_bench_batches(b->store, b->id, s->row.number, s->batches, s->kept,
                                     err);
    }
    for (size_t i = 0; i < b->result_count && !rc; i++)
        if (!isnan(b->results[i].row.simulated_p99_ms))
            rc = bench_out_point(b, &b->results[i], err);
    return rc ? rc : store_bench_end(b->store, b->id, err);
}

int bench_out_close(struct bench *b, const char *dir, json_t **document, struct err *err)
{
    print_end(b);
    *document = document_of(b, proc_environment());
    int rc = b->requests ? fs_writer_finish(b->requests, err) : 0;
    b->requests = NULL;
    if (!rc && dir) {
        char *path = fs_join(dir, "bench.json");
        rc = json_write_file(path, *document, 2, err);
        free(path);
    }
    return rc || !b->store ? rc : end_in_store(b, err);
}
