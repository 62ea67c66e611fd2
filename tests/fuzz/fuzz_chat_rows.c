/* Fuzzes rows of messages: each line of the input is a row of a template that looks at
 * all of it. What comes out is the same a second time. */
#include "lib/buf.h"
#include "lib/json.h"
#include "runner/chat/template.h"
#include <stdlib.h>
#include <string.h>

static const char template_text[] =
    "{%- macro show(x, level=0) %}{% if x is mapping %}{% for k, v in x | dictsort %}"
    "{{ k | upper }}={{ show(v, level + 1) }};{% endfor %}{% elif x is string %}"
    "{{ x | trim }}{{ x[::-1] }}{{ x[1:3] }}{{ x.split(' ')[-1] | capitalize }}"
    "{% elif x is iterable %}{% for v in x if v is not none %}{{ loop.index }}"
    "{{ show(v, level=level + 1) }}{% endfor %}{% else %}{{ x }}{% endif %}"
    "{% endmacro %}"
    "{% if tools %}{{ tools | tojson(indent=2) }}{% endif %}"
    "{% for message in messages %}{{ message.role }}: "
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}"
    "{% endgeneration %}{% else %}{{ show(message) }}{% endif %}"
    "{{ message | tojson(sort_keys=true) }}{% if message.thinking %}"
    "{{ message.thinking.strip() if message.thinking is string }}{% endif %}\n"
    "{% endfor %}{{ messages | map(attribute='role') | join(',') }}"
    "{% if add_generation_prompt %}assistant: {% endif %}";

static void check_row(const struct chat_template *t, const json_t *row)
{
    struct tm now = {.tm_year = 126, .tm_mday = 1};
    struct jinja_output a, b;
    struct err err = ERR_INIT, again = ERR_INIT;
    jinja_output_init(&a);
    jinja_output_init(&b);
    int rc = chat_template_render(t, row, &now, &a, &err);
    if (rc != chat_template_render(t, row, &now, &b, &again) ||
        strcmp(err.msg, again.msg) != 0 || (rc < 0 && !err.msg[0]))
        abort();
    if (rc >= 0 && (a.text.len != b.text.len || a.n_spans != b.n_spans ||
                    memcmp(buf_str(&a.text), buf_str(&b.text), a.text.len) != 0))
        abort();
    jinja_output_release(&a);
    jinja_output_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct chat_template *t; /* read once */
    struct err err = ERR_INIT;
    if (!t &&
        chat_template_parse(template_text, strlen(template_text), NULL, &t, &err) < 0)
        abort();
    const char *at = (const char *)data, *end = at + size;
    for (size_t line = 1; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        json_t *row = json_parse_line(at, (size_t)(stop - at), "row", line, NULL);
        if (row)
            check_row(t, row);
        json_decref(row);
        at = stop + 1;
    }
    return 0;
}
