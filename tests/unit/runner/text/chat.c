/* Chat templates: what transformers renders (tests/golden/chat). The language is tested in
 * jinja.c. */
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/chat/template.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct tm now = {.tm_year = 126,
                              .tm_mon = 2,
                              .tm_mday = 5,
                              .tm_hour = 7,
                              .tm_min = 8,
                              .tm_sec = 9,
                              .tm_wday = 4,
                              .tm_yday = 63};

/* ---- goldens ---- */

static char *golden(const char *name)
{
    const char *dir = getenv("PEFTLAB_GOLDEN");
    return fs_join(dir ? dir : "tests/golden/chat", name);
}

/* The lines of a file, as a list; NULL where it is not there. */
static json_t *read_rows(const char *path)
{
    struct buf text = BUF_INIT;
    json_t *rows = json_array();
    struct err err = ERR_INIT;
    size_t line = 0;
    if (!fs_exists(path)) {
        json_decref(rows);
        return NULL;
    }
    assert_int_equal(fs_read(path, 64 << 20, &text, &err), 0);
    for (char *s = text.data, *end; (end = strchr(s, '\n')); s = end + 1) {
        json_t *row = json_parse_line(s, (size_t)(end - s), path, ++line, &err);
        if (!row)
            fail_msg("%s", err.msg);
        json_array_append_new(rows, row);
    }
    buf_release(&text);
    return rows;
}

static void check_spans(const char *what, const json_t *want,
                        const struct jinja_output *out)
{
    if (json_array_size(want) != out->n_spans)
        fail_msg("%s: %zu spans, not %zu", what, out->n_spans, json_array_size(want));
    for (size_t i = 0; i < out->n_spans; i++)
        for (size_t k = 0; k < 2; k++)
            if (json_integer_value(json_array_get(json_array_get(want, i), k)) !=
                (json_int_t)out->spans[i][k])
                fail_msg("%s: span %zu is [%zu, %zu]", what, i, out->spans[i][0],
                         out->spans[i][1]);
}

/* want: "text" or "error", perhaps "raised" and "spans". */
static void check_row(const struct chat_template *t, const char *what, const json_t *row,
                      const json_t *want)
{
    const json_t *text = json_object_get(want, "text");
    const json_t *spans = json_object_get(want, "spans");
    struct jinja_output out;
    struct err err = ERR_INIT;
    jinja_output_init(&out);
    int rc = chat_template_render(t, row, &now, &out, &err);
    if (json_object_get(want, "marked"))
        spans = json_object_get(want, "marked");
    if (rc >= 0 && !text)
        fail_msg("%s: no error, but '%s'", what, buf_str(&out.text));
    if (rc < 0 && text)
        fail_msg("%s: %s", what, err.msg);
    if (text && strcmp(json_string_value(text), buf_str(&out.text)) != 0)
        fail_msg("%s: '%s', not '%s'", what, buf_str(&out.text), json_string_value(text));
    if (!text && json_object_get(want, "raised") &&
        strcmp(err.msg, json_get_str(want, "error", "")) != 0)
        fail_msg("%s: error '%s'", what, err.msg);
    assert_true(!spans || chat_template_has_spans(t, row));
    if (spans)
        check_spans(what, spans, &out);
    jinja_output_release(&out);
}

static json_t *row_of(const json_t *conversation)
{
    json_t *row = json_copy((json_t *)conversation);
    json_object_del(row, "id");
    json_object_del(row, "only");
    json_object_update(row, json_object_get(conversation, "kwargs"));
    json_object_del(row, "kwargs");
    return row;
}

static size_t check_rendered(const char *name, const json_t *conversations)
{
    char *path = xasprintf("trl/rendered/%s", name), *file = golden(path);
    json_t *rows = read_rows(file), *head = json_array_get(rows, 0), *c;
    char *base = xasprintf("trl/templates/%s.jinja", json_get_str(head, "template", ""));
    char *template = golden(base);
    struct buf text = BUF_INIT;
    struct chat_template *t;
    struct err err = ERR_INIT;
    size_t n = json_array_size(rows), k;
    assert_int_equal(fs_read(template, 1 << 20, &text, &err), 0);
    if (chat_template_parse(buf_str(&text), text.len, head, &t, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
    for (size_t i = 1; i < n; i++) {
        const json_t *want = json_array_get(rows, i);
        const char *id = json_get_str(want, "case", "");
        char *what = xasprintf("%s: %s", name, id);
        bool found = false;
        json_array_foreach((json_t *)conversations, k, c)
        {
            if (!str_eq(json_get_str(c, "id", ""), id))
                continue;
            json_t *row = row_of(c);
            found = true;
            check_row(t, what, row, want);
            json_decref(row);
        }
        assert_true(found);
        free(what);
    }
    chat_template_free(t);
    buf_release(&text);
    json_decref(rows);
    free(template);
    free(base);
    free(file);
    free(path);
    return n - 1;
}

static void published_templates(void **state)
{
    char *list = golden("trl/conversations.jsonl"), *dir = golden("trl/rendered");
    json_t *conversations = read_rows(list);
    size_t rows = 0;
    (void)state;
    DIR *d = conversations ? opendir(dir) : NULL;
    free(list);
    free(dir);
    if (!d) {
        json_decref(conversations);
        assert_non_null(getenv("PEFTLAB_GOLDEN"));
        skip(); /* a folder of other cases */
    }
    for (struct dirent *e; (e = readdir(d));)
        if (str_has_suffix(e->d_name, ".jsonl"))
            rows += check_rendered(e->d_name, conversations);
    closedir(d);
    json_decref(conversations);
    assert_true(rows > 0);
    print_message("# %zu rows\n", rows);
}

static void simple_templates(void **state)
{
    char *list = golden("cases.jsonl"), *file = golden("templates.json");
    json_t *rows = read_rows(list), *row, *templates = json_read_file(file, NULL);
    size_t i;
    (void)state;
    free(list);
    free(file);
    if (!rows || !json_get_str(json_array_get(rows, 0), "template_name", NULL)) {
        json_decref(rows);
        json_decref(templates);
        assert_non_null(getenv("PEFTLAB_GOLDEN"));
        skip();
    }
    json_array_foreach(rows, i, row)
    {
        const char *name = json_get_str(row, "template_name", "");
        const json_t *model = json_object_get(templates, name);
        const json_t *text = json_object_get(model, "chat_template");
        char *what = xasprintf("row %zu: %s", i, name);
        json_t *want = json_object();
        struct chat_template *t;
        struct err err = ERR_INIT;
        if (chat_template_parse(json_string_value(text), json_string_length(text), model,
                                &t, &err) < 0)
            fail_msg("%s: %s", what, err.msg);
        if (json_object_get(row, "rendered"))
            json_object_set(want, "text", json_object_get(row, "rendered"));
        check_row(t, what, row, want);
        chat_template_free(t);
        json_decref(want);
        free(what);
    }
    assert_true(i > 0);
    json_decref(rows);
    json_decref(templates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_templates),
        cmocka_unit_test(simple_templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
