/* cli/serve/write/wish.c - see wish.h. */
#include "cli/serve/write/wish.h"
#include "lib/json.h"
#include <string.h>
#include <sys/random.h>

static int blame(const char **param, const char *name, struct err *err, const char *what)
{
    *param = name;
    return err_set(err, ERR_CONFIG, "%s %s", name, what);
}

static int read_stops(struct wish *w, const char **param, struct err *err)
{
    const json_t *stop = json_object_get(w->values, "stop");
    const size_t count = json_is_array(stop)    ? json_array_size(stop)
                         : json_is_string(stop) ? 1
                                                : 0;
    if (count > WISH_STOPS_MOST)
        return blame(param, "stop", err, "takes up to 16 strings");
    for (size_t i = 0; i < count; i++) {
        const json_t *s = json_is_array(stop) ? json_array_get(stop, i) : stop;
        if (!json_string_length(s))
            return blame(param, "stop", err, "holds an empty string");
        w->stops[w->n_stops++] = json_string_value(s);
    }
    return 0;
}

static int read_stream_options(struct wish *w, const char **param, struct err *err)
{
    const json_t *o = json_object_get(w->values, "stream_options");
    if (!json_is_null(o) && !json_is_object(o))
        return blame(param, "stream_options", err, "is no object");
    w->usage_always = json_get_bool(o, "continuous_usage_stats", 0);
    w->usage = w->usage_always || json_get_bool(o, "include_usage", 0);
    return 0;
}

static int read_logprobs(struct wish *w, const char **param, struct err *err)
{
    const json_t *v = w->values;
    const bool wanted = w->chat ? json_get_bool(v, "logprobs", 0)
                                : json_is_integer(json_object_get(v, "logprobs"));
    const int64_t top = json_get_int(v, w->chat ? "top_logprobs" : "logprobs", 0);
    w->top = wanted ? (int32_t)top : -1;
    if (!wanted && top)
        return blame(param, "top_logprobs", err, "needs logprobs: true");
    if (wanted && w->echo)
        return blame(param, "echo", err,
                     "goes without logprobs: those of a prompt are not computed");
    return 0;
}

/* Without a seed each request draws anew. */
static uint64_t seed_of(const json_t *values)
{
    uint64_t seed = 0;
    const json_t *given = json_object_get(values, "seed");
    if (json_is_integer(given))
        return (uint64_t)json_integer_value(given);
    if (getrandom(&seed, sizeof seed, 0) < 0)
        seed = 0;
    return seed;
}

int wish_read(struct wish *w, const json_t *body, bool chat, const char **param,
              struct err *err)
{
    *w = (struct wish){.chat = chat, .values = fields_check(body, chat, param, err)};
    const json_t *v = w->values;
    if (!v)
        return err_code(err);
    w->n = (int32_t)json_get_int(v, "n", 1);
    w->most = (int32_t)json_get_int(v, "max_completion_tokens",
                                    json_get_int(v, "max_tokens", -1));
    w->least = (int32_t)json_get_int(v, "min_tokens", 0);
    w->echo = json_get_bool(v, "echo", 0);
    w->stream = json_get_bool(v, "stream", 0);
    w->ignores_end = json_get_bool(v, "ignore_eos", 0);
    w->how = (struct sampling){
        .temperature = json_get_num(v, "temperature", 1),
        .top_k = json_get_int(v, "top_k", 0) < 0 ? 0 : json_get_int(v, "top_k", 0),
        .top_p = json_get_num(v, "top_p", 1),
        .repetition_penalty = json_get_num(v, "repetition_penalty", 1),
        .seed = seed_of(v)};
    const json_t *ends = json_object_get(v, "stop_token_ids");
    w->ends = json_is_null(ends) ? NULL : ends;
    if (w->most >= 0 && w->least > w->most)
        return blame(param, "min_tokens", err, "is more than the tokens that are wanted");
    int rc = read_stops(w, param, err);
    if (!rc)
        rc = read_stream_options(w, param, err);
    if (!rc)
        rc = read_logprobs(w, param, err);
    return rc;
}

void wish_release(struct wish *w)
{
    json_decref(w->values);
    *w = (struct wish){0};
}
