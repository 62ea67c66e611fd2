/* cli/serve/write/tokens.c - texts to tokens and back, of a language model. */
#include "cli/serve/serving.h"
#include "cli/serve/write/prompts.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/serve/write/writer.h"
#include <stdlib.h>

/* vLLM's: of a prompt, or of messages as the chat template puts them. */
void serve_tokenize_text(void *ctx, struct server_call *call)
{
    struct serving *s = ctx;
    struct err err = ERR_INIT;
    const char *param = NULL;
    int32_t *ids = NULL, n = 0;
    json_t *body = server_call_json(call);
    if (!body)
        return;
    json_t *row =
        prompts_row(&s->prompter, body, json_object_get(body, "prompt"), &param, &err);
    int rc = row ? prompts_check_size(row, writer_room(&s->base), &err) : err_code(&err);
    if (!rc)
        rc = prompter_row(&s->prompter, row, &ids, &n, &err);
    json_decref(row);
    if (rc) {
        server_reply_json(call, 400, server_error(400, param, err.msg));
    } else {
        serving_reply_tokens(call, ids, n, writer_room(&s->base));
    }
    free(ids);
    json_decref(body);
}

void serve_detokenize(void *ctx, struct server_call *call)
{
    struct serving *s = ctx;
    const struct tokenizer *t = s->base.session.tokenizer;
    struct buf text = BUF_INIT;
    json_t *body = server_call_json(call);
    if (!body)
        return;
    const json_t *tokens = json_object_get(body, "tokens");
    const size_t n = json_array_size(tokens);
    int32_t *ids = xcalloc(n + 1, sizeof *ids);
    bool known = json_is_array(tokens);
    for (size_t i = 0; i < n && known; i++) {
        const json_int_t id = json_integer_value(json_array_get(tokens, i));
        known = json_is_integer(json_array_get(tokens, i)) && id >= 0 &&
                id < s->base.session.net.shape.vocab_size;
        ids[i] = (int32_t)id;
    }
    if (known)
        tokenizer_decode(t, ids, n, false, &text, NULL);
    json_t *prompt = known ? json_stringn(buf_str(&text), text.len) : NULL;
    if (prompt)
        server_reply_json(call, 200, json_pack("{s:o}", "prompt", prompt));
    else
        server_reply_json(
            call, 400,
            server_error(400, "tokens", "tokens is a list of the model's ids"));
    buf_release(&text);
    free(ids);
    json_decref(body);
}
