/* cli/serve/replies.c - what answers of several paths have in common. */
#include "cli/serve/serving.h"
#include <math.h>
#include <stdio.h>

int serving_status(int rc)
{
    return rc == -(int)ERR_NOINPUT                           ? 404
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
