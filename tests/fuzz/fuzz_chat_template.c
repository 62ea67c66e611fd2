/* Fuzzes chat templates: the input is a template, a NUL, and a row of messages (none: a
 * built-in one). Whatever comes out is UTF-8, spans lie within it, and an error says what
 * is wrong. */
#include "lib/buf.h"
#include "lib/json.h"
#include "runner/chat/template.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static const char builtin[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\" \\u00e9\\n\"}]},"
    "{\"role\":\"assistant\",\"content\":\"a<b\",\"reasoning\":\"why\",\"tool_calls\":"
    "[{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1.5,\"y\":[null,true]}}}]}],"
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"B\":2,\"a\":-1}}],"
    "\"enable_thinking\":false}";

/* Characters of a text; traps where it is not UTF-8. */
static size_t chars_of(const struct buf *b)
{
    size_t n = 0;
    for (size_t at = 0; at < b->len; n++) {
        utf8proc_int32_t cp;
        utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)b->data + at,
                                              (utf8proc_ssize_t)(b->len - at), &cp);
        if (k <= 0)
            abort();
        at += (size_t)k;
    }
    return n;
}

static void check(int rc, const struct err *err, const struct jinja_output *out)
{
    if (rc < 0) {
        if (rc != -(int)err->code)
            abort();
        return;
    }
    size_t chars = chars_of(&out->text);
    for (size_t i = 0; i < out->n_spans; i++)
        if (out->spans[i][0] > out->spans[i][1] || out->spans[i][1] > chars)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *row = memchr(data, 0, size);
    size_t n = row ? (size_t)(row - text) : size;
    struct chat_template *t;
    struct err err = ERR_INIT;
    struct tm now = {.tm_year = 126, .tm_mday = 1};
    int rc = chat_template_parse(text, n, NULL, &t, &err);
    if (rc < 0) {
        if (rc != -(int)err.code || !err.msg[0])
            abort();
        return 0;
    }
    json_t *json = row ? json_parse_line(row + 1, size - n - 1, "row", 1, NULL)
                       : json_parse(builtin, strlen(builtin), "row", NULL);
    struct jinja_output out;
    jinja_output_init(&out);
    if (json)
        check(chat_template_render(t, json, &now, &out, &err), &err, &out);
    jinja_output_release(&out);
    json_decref(json);
    chat_template_free(t);
    return 0;
}
