/* cli/serve/counts.c - health, and numbers for Prometheus. */
#include "cli/serve/serving.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "runner/serve/write/writer.h"
#include <inttypes.h>
#include <stdio.h>

static const double buckets_s[LATENCY_BUCKETS] = {.001, .002, .005, .01, .02, .03, .05,
                                                  .075, .1,   .2,   .5,  1,   2,   5};

/* So many observations of the same time. */
static void observe(struct histogram *h, double seconds, int64_t times)
{
    int k = 0;
    while (k < LATENCY_BUCKETS && seconds > buckets_s[k])
        k++;
    h->bucket[k] += times;
    h->count += times;
    h->sum += seconds * (double)times;
}

void serving_answered(struct serving *s, double seconds)
{
    pthread_mutex_lock(&s->lock);
    observe(&s->answered, seconds, 1);
    pthread_mutex_unlock(&s->lock);
}

void serving_wrote(struct serving *s, double first_s, double rest_s, int32_t more)
{
    pthread_mutex_lock(&s->lock);
    observe(&s->first, first_s, 1);
    if (more > 0)
        observe(&s->each, rest_s / more, more);
    pthread_mutex_unlock(&s->lock);
}

void serve_health(void *ctx, struct server_call *call)
{
    (void)ctx;
    server_reply(call, 200, "application/json", "{}", 2);
}

static void put_histogram(struct buf *b, const char *name, const char *help,
                          const struct histogram *h)
{
    int64_t sum = 0;
    buf_printf(b, "# HELP peftlab_%s %s\n# TYPE peftlab_%s histogram\n", name, help,
               name);
    for (int k = 0; k < LATENCY_BUCKETS; k++) {
        sum += h->bucket[k];
        buf_printf(b, "peftlab_%s_bucket{le=\"%g\"} %" PRId64 "\n", name, buckets_s[k],
                   sum);
    }
    buf_printf(b,
               "peftlab_%s_bucket{le=\"+Inf\"} %" PRId64 "\n"
               "peftlab_%s_sum %.17g\npeftlab_%s_count %" PRId64 "\n",
               name, h->count, name, h->sum, name, h->count);
}

static void put_latency(struct buf *b, struct serving *s)
{
    pthread_mutex_lock(&s->lock);
    put_histogram(b, "request_duration_seconds",
                  "From the first byte of a request to its answer.", &s->answered);
    if (s->writer) {
        put_histogram(b, "time_to_first_token_seconds",
                      "From when a text was asked for to its first token.", &s->first);
        put_histogram(b, "time_per_output_token_seconds",
                      "Of each further token, a text's mean.", &s->each);
    }
    pthread_mutex_unlock(&s->lock);
}

struct row {
    const char *name, *kind, *help;
    double value;
};

static void put_rows(struct buf *b, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_printf(b, "# HELP peftlab_%s %s\n# TYPE peftlab_%s %s\npeftlab_%s %.17g\n",
                   rows[i].name, rows[i].help, rows[i].name, rows[i].kind, rows[i].name,
                   rows[i].value);
}

static void put_engine(struct buf *b, struct engine *engine)
{
    struct engine_counts e;
    engine_count(engine, &e);
    const struct row rows[] = {
        {"rows_total", "counter", "Texts answered.", (double)e.rows},
        {"tokens_total", "counter", "Tokens read.", (double)e.tokens},
        {"batches_total", "counter", "Batches run.", (double)e.batches},
        {"batch_adapters_total", "counter",
         "Different adapters of each batch, summed over batches.", (double)e.adapters},
        {"batch_seconds_total", "counter", "Time in batches.", e.run_s},
        {"refused_total", "counter", "Requests refused because too many waited.",
         (double)e.refused},
        {"late_total", "counter", "Requests whose limit passed while they waited.",
         (double)e.late},
        {"failed_rows_total", "counter", "Texts that could not be answered.",
         (double)e.failed},
        {"queued_rows", "gauge", "Texts that wait.", (double)e.queued_rows},
    };
    put_rows(b, rows, ARRAY_LEN(rows));
}

static void put_writer(struct buf *b, struct writer *writer)
{
    struct writer_counts w;
    writer_count(writer, &w);
    const struct row rows[] = {
        {"texts_total", "counter", "Texts written.", (double)w.texts},
        {"prompt_tokens_total", "counter", "Tokens of prompts.", (double)w.prompt_tokens},
        {"reused_tokens_total", "counter", "Of these, in the cache already.",
         (double)w.reused_tokens},
        {"generation_tokens_total", "counter", "Tokens written.", (double)w.new_tokens},
        {"steps_total", "counter", "Steps run.", (double)w.steps},
        {"step_rows_total", "counter", "Texts of each step, summed over steps.",
         (double)w.rows},
        {"step_adapters_total", "counter",
         "Different adapters of each step, the base as one, summed over steps.",
         (double)w.adapters},
        {"step_seconds_total", "counter", "Time in steps.", w.run_s},
        {"refused_total", "counter", "Requests refused because too many waited.",
         (double)w.refused},
        {"late_total", "counter", "Texts whose limit passed while they waited.",
         (double)w.late},
        {"failed_texts_total", "counter", "Texts that could not be written.",
         (double)w.failed},
        {"requests_waiting", "gauge", "Texts that wait for a place.", (double)w.waiting},
        {"requests_running", "gauge", "Texts that are being written.", (double)w.writing},
        {"cache_bytes", "gauge", "Memory for keys and values.", (double)w.cache_bytes},
    };
    put_rows(b, rows, ARRAY_LEN(rows));
}

static void put_shelf(struct buf *b, struct shelf *s)
{
    struct shelf_counts shelf;
    shelf_count(s, &shelf);
    const struct row rows[] = {
        {"adapters_known", "gauge", "Adapters by name.", (double)shelf.known},
        {"adapters_resident", "gauge", "Adapters in memory.", (double)shelf.resident},
        {"adapters_resident_bytes", "gauge", "Their parameters.",
         (double)shelf.resident_bytes},
        {"adapter_loads_total", "counter", "Adapters opened.", (double)shelf.loads},
        {"adapter_load_seconds_total", "counter", "Time to open them.", shelf.load_s},
        {"adapter_evictions_total", "counter", "Adapters closed for others' sake.",
         (double)shelf.evictions},
    };
    put_rows(b, rows, ARRAY_LEN(rows));
}

/* By the name that Prometheus' own libraries give it. */
static void put_process(struct buf *b)
{
    buf_printf(b,
               "# HELP process_resident_memory_bytes Resident memory.\n"
               "# TYPE process_resident_memory_bytes gauge\n"
               "process_resident_memory_bytes %" PRId64 "\n",
               proc_rss_bytes());
}

void serve_metrics(void *ctx, struct server_call *call)
{
    struct serving *s = ctx;
    struct buf b = BUF_INIT;
    put_latency(&b, s);
    if (s->writer)
        put_writer(&b, s->writer);
    else
        put_engine(&b, s->engine);
    put_shelf(&b, &s->shelf);
    put_process(&b);
    server_reply(call, 200, "text/plain; version=0.0.4", buf_str(&b), b.len);
    buf_release(&b);
}
