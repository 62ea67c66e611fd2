/* cli/serve/replies.c - what answers of several paths have in common. */
#include "cli/serve/serving.h"
#include "lib/str.h"
#include <math.h>
#include <stdio.h>

enum { LIMIT_MS_MOST = 3600000 };

int serving_status(int rc, bool late)
{
    return late                                              ? 504
           : rc == -(int)ERR_NOINPUT                         ? 404
           : rc == -(int)ERR_CONFIG || rc == -(int)ERR_PARSE ? 400
           : rc == -(int)ERR_BUSY                            ? 429
                                                             : 500;
}

void serving_put_retry(struct server_call *call, double retry_s)
{
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%d", (int)ceil(retry_s + .001));
    server_call_put(call, "Retry-After", seconds);
}

int serving_read_limit(struct server_call *call, const json_t *body, double *limit_s,
                       struct err *err)
{
    const json_t *given = json_object_get(body, "deadline_ms");
    const char *header = server_call_header(call, "X-Deadline-Ms");
    double ms = json_number_value(given);
    if (header ? !str_number(header, &ms) : given && !json_is_number(given))
        ms = -1;
    if ((header || given) && !(ms > 0 && ms <= LIMIT_MS_MOST))
        return err_set(err, ERR_PARSE,
                       "%s is a number of milliseconds, above 0, up to %d",
                       header ? "X-Deadline-Ms" : "'deadline_ms'", LIMIT_MS_MOST);
    *limit_s = ms / 1e3;
    return 0;
}

void serving_reply_tokens(struct server_call *call, const int32_t *ids, int32_t n,
                          int32_t room)
{
    json_t *tokens = json_array();
    for (int32_t i = 0; i < n; i++)
        json_array_append_new(tokens, json_integer(ids[i]));
    server_reply_json(call, 200,
                      json_pack("{s:i, s:i, s:o}", "count", n, "max_model_len", room,
                                "tokens", tokens));
}
