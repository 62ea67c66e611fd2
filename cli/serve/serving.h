/* cli/serve/serving.h - what the routes of `peftlab serve` share (inside cli/serve).
 *
 * routes.c says which paths there are; each path has a function in asked.c (texts to labels),
 * models.c (what is served, adapters that come and go) or counts.c (health, metrics). */
#ifndef CLI_SERVE_SERVING_H
#define CLI_SERVE_SERVING_H

#include "lib/net/server.h"
#include "runner/serve/engine.h"

enum { LATENCY_BUCKETS = 14 };

struct serving {
    struct serve_base base;
    struct shelf shelf;
    struct engine *engine;
    struct server *server;
    const char *name; /* of the base */
    int64_t begin_ms; /* Unix time */
    int64_t next_id;
    /* Of answered requests, for /metrics; by the engine's thread. */
    pthread_mutex_t lock;
    int64_t bucket[LATENCY_BUCKETS + 1], answered;
    double seconds;
};

extern const struct server_route serve_routes[];
extern const size_t serve_route_count;

/* Counts a request's time, from its first byte to its answer. */
void serving_answered(struct serving *s, double seconds);

/* Handlers; ctx is a struct serving. */
void serve_classify(void *ctx, struct server_call *call);
void serve_predict(void *ctx, struct server_call *call);
void serve_tokenize(void *ctx, struct server_call *call);
void serve_models(void *ctx, struct server_call *call);
void serve_base_about(void *ctx, struct server_call *call);
void serve_load(void *ctx, struct server_call *call);
void serve_unload(void *ctx, struct server_call *call);
void serve_health(void *ctx, struct server_call *call);
void serve_metrics(void *ctx, struct server_call *call);

#endif
