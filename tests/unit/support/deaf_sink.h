/* tests/unit/support/deaf_sink.h - a sink that hears nothing; tests put their own functions
 * in place of those that they want to hear. */
#ifndef TESTS_UNIT_SUPPORT_DEAF_SINK_H
#define TESTS_UNIT_SUPPORT_DEAF_SINK_H

#include "tracker/worker/sink.h"

static inline void deaf_metric(struct sink *s, const char *key, int64_t step,
                               double value)
{
    (void)s, (void)key, (void)step, (void)value;
}
static inline void deaf_progress(struct sink *s, const struct sink_progress *p)
{
    (void)s, (void)p;
}
static inline void deaf_texts(struct sink *s, const char *a, const char *b)
{
    (void)s, (void)a, (void)b;
}
static inline void deaf_json(struct sink *s, const json_t *v)
{
    (void)s, (void)v;
}
static inline void deaf_method(struct sink *s, const struct method_facts *facts)
{
    (void)s, (void)facts;
}
static inline bool deaf_alive(struct sink *s)
{
    (void)s;
    return true;
}

static inline struct sink_ops deaf_ops(void)
{
    return (struct sink_ops){.metric = deaf_metric,
                             .progress = deaf_progress,
                             .event = deaf_texts,
                             .environment = deaf_json,
                             .method = deaf_method,
                             .artifact = deaf_texts,
                             .keep = deaf_texts,
                             .alive = deaf_alive};
}

#endif
