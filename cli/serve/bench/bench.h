/* cli/serve/bench/bench.h - a run of `peftlab bench`: its settings, what was measured of them, and
 * who does what.
 *
 * bench_points.c sends requests and measures one point (bench_trace.c reads their times); bench_order.c says which points in
 * which order, and looks for the highest rates; bench_model.c says what batches cost and
 * simulates; bench_out.c prints, writes files and keeps all of it in the store.
 *
 * Points of different settings are measured in turns, seed by seed, forwards and backwards
 * (A B B A), since machines drift. */
#ifndef CLI_SERVE_BENCH_BENCH_H
#define CLI_SERVE_BENCH_BENCH_H

#include "cli/serve/bench/bench_target.h"
#include "lib/fs.h"
#include "lib/load/measures.h"
#include "lib/load/simulate.h"
#include "lib/load/streams.h"

/* What is known of a setting. */
struct bench_state {
    struct bench_case c;
    struct bench_setting row;      /* filled at the end */
    double rates[BENCH_LIST_MOST]; /* highest, by seed; NaN: not looked for */
    struct batch_seen *batches;    /* a sample of all, each as likely as any other */
    size_t kept, seen;             /* of these; of all */
    double outside_s;              /* of requests, outside of queue and batch: sum, ... */
    size_t outside_count;          /* ... of so many */
    bool warm;                     /* its adapters were loaded */
    double over_base, over_base_low, over_base_high; /* of clients in a circle; NaN */
};

struct bench_result {
    struct bench_point row;
    struct load_measures measured;
    struct bench_inside inside; /* but for batches and gaps */
};

struct bench {
    struct bench_file file;
    struct bench_texts texts;
    struct bench_target target;
    struct bench_state *states;
    size_t state_count;
    struct bench_result *results;
    size_t result_count, result_cap;
    struct planned_request *trace; /* NULL: requests are drawn */
    size_t trace_count;
    bool trace_adapters, trace_texts; /* it says which; else they are drawn */
    double trace_s;                   /* its end */
    struct fs_writer *requests;       /* requests.csv; NULL */
    struct store *store;              /* NULL: nothing is kept */
    int64_t id;                       /* in the store */
    bool quiet;
};

/* --- bench_points.c --- */
/* BENCH_TRIED: an open point that ends early where it is plain that it is not kept. */
enum bench_arrivals { BENCH_OPEN, BENCH_TRIED, BENCH_CLOSED, BENCH_TRACE };
/* One point. load: requests per second, or clients; share: of the highest rate, NaN. The
 * result stands last in b->results. */
int bench_run_point(struct bench *b, struct bench_state *s, enum bench_arrivals arrivals,
                    double load, double share, uint64_t seed, struct err *err);
/* The plan of a point that was run, or is to be; the caller's. */
struct planned_request *bench_plan(const struct bench *b, const struct bench_state *s,
                                   double rate, uint64_t seed, size_t *count);
double bench_seconds(const struct bench *b); /* of an open point, with its warm-up */
/* An answer within the limits takes no longer; 0: there are none. */
double bench_longest_ms(const struct bench *b);

/* --- bench_trace.c --- */
/* Fills b->trace from the file's arrivals.trace. */
int bench_trace_read(struct bench *b, struct err *err);

/* --- bench_order.c --- */
int bench_run_all(struct bench *b, struct err *err);

/* --- bench_model.c --- */
/* Batches of a point go into the setting's sample. */
void bench_take_batches(struct bench_state *s, const struct bench_inside *in,
                        uint32_t point);
/* Fills the rows of the settings and what a simulation says of each open point. */
void bench_reckon(struct bench *b);

/* --- bench_out.c --- */
/* "16 adapters, zipf 1.1, 4 slots" */
void bench_name(const struct bench *b, const struct bench_state *s, char *out,
                size_t size);
int bench_out_open(struct bench *b, const char *dir, const char *store, struct err *err);
/* After each point, and once more when all is known. */
int bench_out_point(struct bench *b, const struct bench_result *r, struct err *err);
void bench_out_requests(struct bench *b, const struct load_record *records, size_t count);
void bench_print_head(const struct bench *b);
void bench_print_point(const struct bench *b, const struct bench_result *r);
/* All of it; the document is a new reference. */
int bench_out_close(struct bench *b, const char *dir, json_t **document, struct err *err);

#endif
