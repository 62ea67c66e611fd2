/* cli/serve/cmd_bench.c - `peftlab bench`: how many requests for many adapters can be
 * answered, and how fast. */
#include "cli/command.h"
#include "cli/serve/bench_target.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/load/measures.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/text_table.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
static const struct opt_def rows[] = {
    {.key = "out", .type = OPT_PATH, .group = "output", .metavar = "DIR",
     .help = "folder for bench.json and requests.csv, a line for each request"},
    JSON_OPTION,
};
/* clang-format on */
static const struct opt_table options = {"bench", rows, ARRAY_LEN(rows)};

struct bench {
    struct bench_file file;
    struct bench_texts texts;
    struct bench_target target;
    struct fs_writer *requests; /* requests.csv; NULL */
    json_t *points;
    bool quiet;
};

/* --- a point --- */

/* What cannot be written is told when the file is finished. */
static void write_requests(struct bench *b, size_t point, const struct load_record *r,
                           size_t n)
{
    struct buf line = BUF_INIT;
    for (size_t i = 0; b->requests && i < n; i++) {
        buf_clear(&line);
        buf_printf(&line, "%zu,%zu,%.6f,%.6f,%.6f,%u,%u,%u,%d,%d,%d,%.6f,%.6f\n", point,
                   i, r[i].intended_s, r[i].sent_s, r[i].done ? r[i].done_s : NAN,
                   r[i].adapter, r[i].text, r[i].tokens, r[i].ok, r[i].refused, r[i].cold,
                   r[i].queue_s, r[i].run_s);
        fs_writer_add(b->requests, line.data, line.len, NULL);
    }
    buf_release(&line);
}

static json_t *interval(struct stat_interval i)
{
    return json_pack("[o, o]", json_number_or_word(i.low), json_number_or_word(i.high));
}

static json_t *point_json(const struct load_measures *p, const char *kind, double x,
                          uint64_t seed)
{
    const struct {
        const char *key;
        double value;
    } values[] = {
        {"offered_per_s", p->offered}, {"completed_per_s", p->completed},
        {"p50_ms", p->p50_ms},         {"p95_ms", p->p95_ms},
        {"p99_ms", p->p99_ms},         {"mean_ms", p->mean_ms},
        {"longest_ms", p->longest_ms}, {"send_lag_p99_ms", p->lag_p99_ms},
        {"growth", p->growth},         {"attainment", p->attainment},
        {"goodput_per_s", p->goodput},
    };
    json_t *o =
        json_pack("{s:s, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "kind", kind, "x",
                  x, "seed", (json_int_t)seed, "sent", (json_int_t)p->sent, "answered",
                  (json_int_t)p->answered, "refused", (json_int_t)p->refused, "failed",
                  (json_int_t)p->failed, "open", (json_int_t)p->open, "cold",
                  (json_int_t)p->cold, "generator_bound", p->generator_bound);
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        json_object_set_new(o, values[i].key, json_number_or_word(values[i].value));
    json_object_set_new(o, "p50_interval_ms", interval(p->p50));
    json_object_set_new(o, "p95_interval_ms", interval(p->p95));
    json_object_set_new(o, "p99_interval_ms", interval(p->p99));
    return o;
}

static void print_head(const struct bench *b)
{
    if (!b->quiet)
        text_print(stdout, "%-8s %9s %5s %8s %9s %8s %8s %8s %9s %7s  %s\n", "arrivals",
                   "rate/n", "seed", "sent", "done/s", "p50 ms", "p95 ms", "p99 ms",
                   "longest", "within", "");
}

static void print_point(const struct bench *b, const struct load_measures *p,
                        const char *kind, double x, uint64_t seed)
{
    char within[16] = "-";
    if (!isnan(p->attainment))
        snprintf(within, sizeof within, "%.1f %%", 100 * p->attainment);
    if (b->quiet)
        return;
    text_print(
        stdout, "%-8s %9.4g %5llu %8zu %9.1f %8.2f %8.2f %8.2f %9.1f %7s  %s%s%s\n", kind,
        x, (unsigned long long)seed, p->sent, p->completed, p->p50_ms, p->p95_ms,
        p->p99_ms, p->longest_ms, within, p->generator_bound ? "generator late; " : "",
        p->refused ? "some refused; " : "", p->failed ? "some FAILED" : "");
    fflush(stdout);
}

static void keep(struct bench *b, const struct load_measures *p, const char *kind,
                 double x, uint64_t seed)
{
    print_point(b, p, kind, x, seed);
    json_array_append_new(b->points, point_json(p, kind, x, seed));
}

static struct planned_request *plan_of(const struct bench *b, double rate, uint64_t seed,
                                       size_t *count)
{
    const struct bench_file *f = &b->file;
    const struct schedule_spec s = {.rate = rate,
                                    .cv = f->cv,
                                    .duration_s = f->warmup_s + f->duration_s,
                                    .popularity = f->popularity,
                                    .number = f->popularity_number,
                                    .adapters = b->target.adapters,
                                    .texts = b->texts.count,
                                    .seed = seed};
    return schedule_draw(&s, count);
}

static void run_open(struct bench *b, double rate, uint64_t seed, struct load_measures *p)
{
    const struct bench_file *f = &b->file;
    size_t n;
    struct planned_request *plan = plan_of(b, rate, seed, &n);
    struct load_record *r = xcalloc(n + 1, sizeof *r);
    load_open_loop(b->target.load, plan, n, f->limit_ms / 1e3 + 10, r);
    load_measure(r, n, f->warmup_s, f->warmup_s + f->duration_s, f->limit_ms, p);
    write_requests(b, json_array_size(b->points), r, n);
    keep(b, p, "open", rate, seed);
    free(r);
    free(plan);
}

static void run_closed(struct bench *b, size_t clients, uint64_t seed)
{
    enum { MOST = 4000000 };
    const struct bench_file *f = &b->file;
    const double seconds = f->warmup_s + f->duration_s;
    struct load_measures p;
    size_t n;
    struct planned_request *plan = plan_of(b, 1e4 / seconds, seed, &n);
    struct load_record *r = xcalloc(MOST, sizeof *r);
    const size_t sent =
        load_closed_loop(b->target.load, plan, n, clients, seconds, r, MOST);
    load_measure(r, sent, f->warmup_s, seconds, f->limit_ms, &p);
    p.generator_bound = false; /* nothing is intended here */
    write_requests(b, json_array_size(b->points), r, sent);
    keep(b, &p, "closed", (double)clients, seed);
    free(r);
    free(plan);
}

/* --- the highest rate that is kept --- */

/* By most of the seeds. */
static bool is_kept(void *ctx, double rate)
{
    struct bench *b = ctx;
    size_t kept = 0;
    for (size_t s = 0; s < b->file.seed_count; s++) {
        struct load_measures p;
        run_open(b, rate, b->file.seeds[s], &p);
        kept += load_is_sustained(&p, b->file.limit_ms);
    }
    return 2 * kept > b->file.seed_count;
}

/* --- all of it --- */

static void run_points(struct bench *b, json_t *result)
{
    const struct bench_file *f = &b->file;
    print_head(b);
    for (size_t s = 0; s < f->seed_count; s++) /* seeds outside: the machine drifts */
        for (size_t i = 0; i < f->client_count; i++)
            run_closed(b, f->clients[i], f->seeds[s]);
    for (size_t s = 0; s < f->seed_count; s++)
        for (size_t i = 0; i < f->rate_count; i++) {
            struct load_measures p;
            run_open(b, f->rates[i], f->seeds[s], &p);
        }
    if (!f->find_rate)
        return;
    const double first = f->rate_count ? f->rates[f->rate_count - 1] : 20,
                 rate = load_find_rate(first, is_kept, b);
    json_object_set_new(result, "highest_rate_per_s", json_real(rate));
    if (!b->quiet)
        text_print(stdout, "highest rate with p99 within %g ms: %.4g requests/s\n",
                   f->limit_ms, rate);
}

static int open_out(struct bench *b, const char *out, struct err *err)
{
    static const char head[] =
        "point,number,intended_s,sent_s,done_s,adapter,text,tokens,"
        "ok,refused,cold,queue_s,batch_s\n";
    if (!out)
        return 0;
    int rc = fs_mkdirs(out, err);
    char *path = fs_join(out, "requests.csv");
    if (!rc)
        rc = fs_writer_begin(path, &b->requests, err);
    if (!rc)
        rc = fs_writer_add(b->requests, head, sizeof head - 1, err);
    free(path);
    return rc;
}

static int close_out(struct bench *b, const char *out, const json_t *result,
                     struct err *err)
{
    int rc = b->requests ? fs_writer_finish(b->requests, err) : 0;
    b->requests = NULL;
    if (!rc && out) {
        char *path = fs_join(out, "bench.json");
        rc = json_write_file(path, result, 2, err);
        free(path);
    }
    return rc;
}

static int bench(struct bench *b, const json_t *values, struct err *err)
{
    const char *out = json_get_str(values, "out", NULL);
    b->quiet = json_get_bool(values, "json", 0);
    int rc = b->file.target ? bench_target_server(&b->target, &b->file, &b->texts, err)
                            : bench_target_engine(&b->target, &b->file, &b->texts, err);
    if (!rc)
        rc = open_out(b, out, err);
    if (rc)
        return rc;
    b->points = json_array();
    json_t *result = json_pack(
        "{s:i, s:O, s:I, s:I, s:o, s:O}", "schema_version", 1, "bench", b->file.root,
        "adapters", (json_int_t)b->target.adapters, "texts", (json_int_t)b->texts.count,
        "environment", proc_environment(), "points", b->points);
    run_points(b, result);
    rc = close_out(b, out, result, err);
    if (b->quiet && !rc)
        command_print_json(json_incref(result));
    json_decref(result);
    json_decref(b->points);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    const char *words[VERB_WORDS_MAX];
    size_t count = 0;
    json_t *values = NULL;
    bool done;
    struct bench b = {0};
    int rc = command_parse(&cmd_bench, argc, argv, &values, words, VERB_WORDS_MAX, &count,
                           &done, err);
    if (!rc && !done && !count)
        rc = err_set(err, ERR_USAGE, "bench: no file (usage: peftlab %s)",
                     cmd_bench.usage);
    if (!rc && !done) {
        rc = bench_file_read(&b.file, words[0], words + 1, count - 1, err);
        if (!rc)
            rc = bench(&b, values, err);
        fs_writer_abandon(b.requests);
        if (b.target.end)
            b.target.end(&b.target);
        bench_texts_release(&b.texts);
        bench_file_release(&b.file);
    }
    json_decref(values);
    return rc;
}

const struct command cmd_bench = {
    .name = "bench",
    .usage = "bench BENCH.yaml [key=value ...]",
    .help = "Measure how many requests for many adapters are answered in time.",
    .group = "Serving",
    .options = &options,
    .run = run,
};
