/* cli/serve/counts.c - health, and numbers for Prometheus. */
#include "cli/serve/serving.h"
#include "lib/buf.h"
#include <inttypes.h>
#include <stdio.h>

static const double buckets_s[LATENCY_BUCKETS] = {.001, .002, .005, .01, .02, .03, .05,
                                                  .075, .1,   .2,   .5,  1,   2,   5};

void serving_answered(struct serving *s, double seconds)
{
    int k = 0;
    while (k < LATENCY_BUCKETS && seconds > buckets_s[k])
        k++;
    pthread_mutex_lock(&s->lock);
    s->bucket[k]++;
    s->answered++;
    s->seconds += seconds;
    pthread_mutex_unlock(&s->lock);
}

void serve_health(void *ctx, struct server_call *call)
{
    (void)ctx;
    server_reply(call, 200, "application/json", "{}", 2);
}

static void put(struct buf *b, const char *name, const char *kind, const char *help,
                double value)
{
    buf_printf(b, "# HELP peftlab_%s %s\n# TYPE peftlab_%s %s\npeftlab_%s %.17g\n", name,
               help, name, kind, name, value);
}

static void put_latency(struct buf *b, struct serving *s)
{
    int64_t sum = 0;
    buf_printf(b,
               "# HELP peftlab_request_duration_seconds From the first byte of a request "
               "to its answer.\n# TYPE peftlab_request_duration_seconds histogram\n");
    pthread_mutex_lock(&s->lock);
    for (int k = 0; k < LATENCY_BUCKETS; k++) {
        sum += s->bucket[k];
        buf_printf(b, "peftlab_request_duration_seconds_bucket{le=\"%g\"} %" PRId64 "\n",
                   buckets_s[k], sum);
    }
    buf_printf(b,
               "peftlab_request_duration_seconds_bucket{le=\"+Inf\"} %" PRId64 "\n"
               "peftlab_request_duration_seconds_sum %.17g\n"
               "peftlab_request_duration_seconds_count %" PRId64 "\n",
               s->answered, s->seconds, s->answered);
    pthread_mutex_unlock(&s->lock);
}

void serve_metrics(void *ctx, struct server_call *call)
{
    struct serving *s = ctx;
    struct engine_counts e;
    struct shelf_counts shelf;
    struct buf b = BUF_INIT;
    engine_count(s->engine, &e);
    shelf_count(&s->shelf, &shelf);
    put_latency(&b, s);
    const struct {
        const char *name, *kind, *help;
        double value;
    } rows[] = {
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
        {"adapters_known", "gauge", "Adapters by name.", (double)shelf.known},
        {"adapters_resident", "gauge", "Adapters in memory.", (double)shelf.resident},
        {"adapters_resident_bytes", "gauge", "Their parameters.",
         (double)shelf.resident_bytes},
        {"adapter_loads_total", "counter", "Adapters opened.", (double)shelf.loads},
        {"adapter_load_seconds_total", "counter", "Time to open them.", shelf.load_s},
        {"adapter_evictions_total", "counter", "Adapters closed for others' sake.",
         (double)shelf.evictions},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        put(&b, rows[i].name, rows[i].kind, rows[i].help, rows[i].value);
    server_reply(call, 200, "text/plain; version=0.0.4", buf_str(&b), b.len);
    buf_release(&b);
}
