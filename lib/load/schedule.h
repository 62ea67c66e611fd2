/* lib/load/schedule.h - which request is sent when, drawn before anything is sent.
 *
 * Times are those of an open loop: they do not wait for answers, so that a server that
 * stands still for a second meets all requests of that second (no coordinated omission).
 * Gaps are Gamma with mean 1 / rate and coefficient of variation cv: 1 is Poisson, 0 even,
 * more than 1 comes in bursts (S-LoRA's traces, arXiv 2311.03285; vLLM's burstiness is
 * 1 / cv^2). With `fan_out` so many come at the same moment with the same text, as where a
 * text is judged by many adapters; gaps are then between such bursts, and the rate still
 * counts requests. Each request goes to one of several adapters by their popularity.
 *
 * Everything is a function of the seed and the number of the request, so a schedule of a
 * longer duration begins as a shorter one does, and other rates keep who is asked. */
#ifndef LIB_LOAD_SCHEDULE_H
#define LIB_LOAD_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

/* X(name, what its number is) */
#define POPULARITIES(X)                                                                  \
    X(uniform, "none")                                                                   \
    X(round_robin, "none")                                                               \
    X(zipf, "exponent s: the k-th is asked by 1 / k^s")                                  \
    X(hot, "share of the first; the others are equal")                                   \
    X(power, "alpha of S-LoRA: number floor(K u^(1/alpha)), u uniform")
enum popularity {
#define X(name, number) POPULARITY_##name,
    POPULARITIES(X)
#undef X
        POPULARITY_COUNT
};
extern const char *const popularity_names[POPULARITY_COUNT];

struct schedule_spec {
    double rate, cv; /* requests per second */
    size_t fan_out;  /* requests of a burst; 0: 1 */
    double duration_s;
    enum popularity popularity;
    double number; /* of the popularity */
    size_t adapters, texts;
    uint64_t seed;
};

struct planned_request {
    double at_s; /* from the beginning */
    uint32_t adapter, text;
};

/* The caller's; *count of them. */
struct planned_request *schedule_draw(const struct schedule_spec *s, size_t *count);

#endif
