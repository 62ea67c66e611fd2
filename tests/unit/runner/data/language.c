/* tests/unit/runner/data/language.c - rows of a language model: which tokens are learned, what
 * is left out, messages with file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/fs.h"
#include "lib/mem.h"
#include "runner/data/dataset.h"
#include "runner/data/language.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One word, one token: a 1, b 2, c 3, the end token 4; 5 begins a text. */
static struct tokenizer *tokenizer(void)
{
    static const char json[] =
        "{\"added_tokens\":[{\"id\":4,\"content\":\"</s>\",\"special\":true}],"
        "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
        "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"?\",\"vocab\":"
        "{\"?\":0,\"a\":1,\"b\":2,\"c\":3,\"</s>\":4,\"ab\":6}}}";
    struct tokenizer *t = NULL;
    struct err err = ERR_INIT;
    if (tokenizer_parse(json, strlen(json), "t", &t, &err))
        fail_msg("%s", err.msg);
    return t;
}

static const struct language language = {.eos = (char *)"</s>", .completion_only = -1};
static const struct data_spec spec = {.max_length = 4,
                                      .vocab_size = 7,
                                      .labels = LABEL_token,
                                      .reader = &language_rows,
                                      .language = &language};

static int parse_by(const struct data_spec *by, const char *text, struct dataset **d,
                    size_t *cut, struct err *err)
{
    struct tokenizer *t = tokenizer();
    struct labels none = {0};
    int rc = dataset_parse(text, strlen(text), "rows.jsonl", by, t, &none, d, cut, err);
    tokenizer_free(t);
    return rc;
}

static int parse(const char *text, struct dataset **d, size_t *cut, struct err *err)
{
    return parse_by(&spec, text, d, cut, err);
}

static void test_rows(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        int32_t n, ids[4], labels[4];
    } rows[] = {
        {"{\"input_ids\":[1,2,3],\"labels\":[-100,2,0]}", 3, {1, 2, 3}, {-1, 2, 0}},
        {"{\"text\":\"a b\"}", 3, {1, 2, 4}, {1, 2, 4}},
        {"{\"text\":\"a b</s>\"}", 3, {1, 2, 4}, {1, 2, 4}},
        {"{\"prompt\":\"a b\",\"completion\":\" c\"}", 4, {1, 2, 3, 4}, {-1, -1, 3, 4}},
        /* the completion changes the prompt's last token: it begins there */
        {"{\"prompt\":\"c a\",\"completion\":\"b\"}", 3, {3, 6, 4}, {-1, 6, 4}},
        {"{\"text\":\"a b c a b\"}", 4, {1, 2, 3, 1}, {1, 2, 3, 1}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        struct dataset *d;
        size_t cut;
        if (parse(rows[i].row, &d, &cut, &err))
            fail_msg("%s: %s", rows[i].row, err.msg);
        assert_int_equal(d->rows[0].n, rows[i].n);
        for (int32_t t = 0; t < rows[i].n; t++) {
            assert_int_equal(d->rows[0].ids[t], rows[i].ids[t]);
            assert_int_equal(d->rows[0].token_labels[t], rows[i].labels[t]);
        }
        assert_int_equal(cut, i == 5);
        dataset_free(d);
    }
}

/* A prompt that fills max_length leaves nothing to learn. */
static void test_left_out(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct dataset *d;
    assert_int_equal(parse("{\"prompt\":\"a b c a b\",\"completion\":\" c\"}\n"
                           "{\"text\":\"a b\"}\n",
                           &d, NULL, &err),
                     0);
    assert_int_equal(d->count, 1);
    assert_int_equal(d->total_tokens, 3);
    assert_int_equal(d->dropped, 1);
    assert_non_null(
        strstr(json_string_value(json_array_get(d->notes, 0)), "1 rows teach nothing"));
    dataset_free(d);
    assert_true(
        parse("{\"prompt\":\"a b c a b\",\"completion\":\" c\"}\n", &d, NULL, &err) < 0);
    assert_non_null(strstr(err.msg, "no row has a labelled token"));
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *row, *part;
    } bad[] = {
        {"{\"input_ids\":[1,2]}", "'labels' must be a list"},
        {"{\"input_ids\":[1,2],\"labels\":[1]}", "'labels' must be a list"},
        {"{\"input_ids\":[1,2],\"labels\":[1,7]}", "'labels'[1]"},
        {"{\"input_ids\":[1,2],\"labels\":[1,-1]}", "-100"},
        {"{\"input_ids\":[1,9],\"labels\":[1,2]}", "'input_ids'[1]"},
        {"{\"messages\":[]}", "chat template"},
        {"{\"prompt\":\"a\"}", "completion"},
        {"{\"label\":1}", "no key 'text'"},
        {"{\"text\":3}", "'text' must be text"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        struct dataset *d;
        assert_int_equal(parse(bad[i].row, &d, NULL, &err), -ERR_PARSE);
        if (!strstr(err.msg, bad[i].part) || !strstr(err.msg, "line 1"))
            fail_msg("'%s' lacks '%s'", err.msg, bad[i].part);
    }
}

/* --- conversations --- */

/* a: the user, b: the assistant. */
static const char *const templates[] = {
    /* no marks */
    "{% for m in messages %}{{ 'a ' if m.role == 'user' else 'b ' }}"
    "{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}b {% endif %}",
    /* marks without the end */
    "{% for m in messages %}{{ 'a ' if m.role == 'user' else 'b ' }}"
    "{% if m.role == 'user' %}{{ m.content }}{% else %}{% generation %}{{ m.content }}"
    "{% endgeneration %}{% endif %}</s>{% endfor %}",
    /* a text of its own at the end, words of the row and the day */
    "{% for m in messages %}{{ 'a ' if m.role == 'user' else 'b ' }}{{ m.content }} c "
    "{% endfor %}{% if add_generation_prompt %}b{% else %}</s>{% endif %}",
    /* turns that look otherwise once others follow */
    "{% for m in messages %}{{ 'a ' if m.role == 'user' else 'b ' }}"
    "{{ 'c ' if loop.last and m.role != 'user' }}{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}b {% endif %}",
    "{{ tools | length if tools else '' }}{{ x }} {{ strftime_now('%d') }}"
    "{% for m in messages %} {{ m.content }}{% endfor %}",
};

enum { TURNS_MAX = 12 };

static char *put_template(const char *text)
{
    char path[] = "/tmp/runner_language.XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), NULL), 0);
    return xstrdup(path);
}

static const char two[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"c\"},{"
                          "\"role\":\"assistant\",\"content\":\"a b\"}]}",
                  four[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"c\"},"
                           "{\"role\":\"assistant\",\"content\":\"a b\"},"
                           "{\"role\":\"user\",\"content\":\"c\"},"
                           "{\"role\":\"assistant\",\"content\":\"b\"}]}",
                  share[] = "{\"conversations\":[{\"from\":\"user\",\"value\":\"c\"}"
                            ",{\"from\":\"assistant\",\"value\":\"a b\"}]}",
                  pair[] = "{\"prompt\":[{\"role\":\"user\",\"content\":\"c\"}],"
                           "\"completion\":[{\"role\":\"assistant\",\"content\":"
                           "\"a b\"}]}";

static void test_conversations(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        int template;
        bool assistant;
        int8_t completion;
        int32_t n, ids[TURNS_MAX];
        const char *learned; /* a letter per token */
        const char *note;
    } rows[] = {
        {two, 0, false, -1, 7, {1, 3, 4, 2, 1, 2, 4}, "+++++++", NULL},
        {share, 0, false, -1, 7, {1, 3, 4, 2, 1, 2, 4}, "+++++++", NULL},
        {two, 0, true, -1, 7, {1, 3, 4, 2, 1, 2, 4}, "....+++", NULL},
        {four,
         0,
         true,
         -1,
         12,
         {1, 3, 4, 2, 1, 2, 4, 1, 3, 4, 2, 2},
         "....+++....+",
         NULL},
        {two, 1, true, -1, 7, {1, 3, 4, 2, 1, 2, 4}, "....++.", "will not learn to stop"},
        {pair, 0, false, -1, 7, {1, 3, 4, 2, 1, 2, 4}, "....+++", NULL},
        {pair, 0, false, 0, 7, {1, 3, 4, 2, 1, 2, 4}, "+++++++", NULL},
        {pair, 0, true, 0, 7, {1, 3, 4, 2, 1, 2, 4}, "....+++", NULL},
        /* without a generation prompt the header is learned too */
        {pair, 1, false, -1, 7, {1, 3, 4, 2, 1, 2, 4}, "...++++", NULL},
        {two, 2, true, -1, 8, {1, 3, 3, 2, 1, 2, 3, 4}, "....++++", NULL},
        {four,
         2,
         true,
         -1,
         12,
         {1, 3, 3, 2, 1, 2, 3, 1, 3, 3, 2, 2},
         "....+++....+",
         "not learn to stop"},
        {four,
         3,
         true,
         -1,
         12,
         {1, 3, 4, 2, 1, 2, 4, 1, 3, 4, 2, 3},
         "....+++....+",
         NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct language l = {.template_file = put_template(templates[rows[i].template]),
                             .assistant_only = rows[i].assistant,
                             .completion_only = rows[i].completion};
        struct data_spec by = spec;
        struct dataset *d;
        struct err err = ERR_INIT;
        by.language = &l;
        by.max_length = TURNS_MAX;
        if (parse_by(&by, rows[i].row, &d, NULL, &err))
            fail_msg("row %zu: %s", i, err.msg);
        const struct example *e = &d->rows[0];
        for (int32_t t = 0; t < e->n; t++)
            if (e->n != rows[i].n || e->ids[t] != rows[i].ids[t] ||
                (e->token_labels[t] >= 0) != (rows[i].learned[t] == '+'))
                fail_msg("row %zu: token %d of %d: id %d, label %d", i, t, e->n,
                         e->ids[t], e->token_labels[t]);
        const char *note = json_string_value(json_array_get(d->notes, 0));
        if (rows[i].note ? !note || !strstr(note, rows[i].note) : note != NULL)
            fail_msg("row %zu: note: %s", i, note ? note : "none");
        dataset_free(d);
        unlink(l.template_file);
        language_release(&l);
    }
}

/* What a row says to the template, and when the day is news. */
static void test_variables(void **state)
{
    (void)state;
    static const struct {
        const char *row, *error;
    } rows[] = {
        {"{\"messages\":[{\"content\":\"c\"}],\"tools\":[{},{}],"
         "\"chat_template_kwargs\":{\"x\":\"a b\"}}",
         NULL},
        {"{\"messages\":[{\"content\":\"c\"}],\"tools\":\"[{},{}]\","
         "\"chat_template_kwargs\":{\"x\":\"a b\"}}",
         NULL},
        {"{\"messages\":[{}],\"chat_template_kwargs\":{\"tools\":1}}",
         "may not have 'tools'"},
        {"{\"messages\":[{}],\"chat_template_kwargs\":1}", "must be an object"},
        {"{\"messages\":[{}],\"tools\":\"{}\"}", "'tools' must be a list"},
        {"{\"messages\":[{}],\"tools\":\"[\"}", "'tools'"},
        {"{\"messages\":[]}", "no message"},
        {"{\"messages\":[3]}", "is not an object"},
        {"{\"messages\":\"c\"}", "'messages' must be a list of messages"},
        {"{\"prompt\":[{\"content\":\"c\"}],\"completion\":\"c\"}",
         "'completion' must be a list of messages"},
    };
    struct language l = {.template_file = put_template(templates[4]),
                         .completion_only = -1,
                         .now = {.tm_mday = 5}};
    struct data_spec by = spec;
    by.language = &l;
    by.max_length = TURNS_MAX;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct dataset *d;
        struct err err = ERR_INIT;
        int rc = parse_by(&by, rows[i].row, &d, NULL, &err);
        if (rows[i].error ? rc != -ERR_PARSE || !strstr(err.msg, rows[i].error) : rc)
            fail_msg("row %zu: %s", i, err.msg);
        if (rc)
            continue;
        /* "2a b 05 c": all of it reached the text */
        static const int32_t want[] = {0, 2, 0, 3};
        assert_int_equal(d->rows[0].n, 4);
        assert_memory_equal(d->rows[0].ids, want, sizeof want);
        assert_non_null(
            strstr(json_string_value(json_array_get(d->notes, 1)), "the day"));
        dataset_free(d);
    }
    unlink(l.template_file);
    language_release(&l);
}

/* Keys that a kind of row has no use for. */
static void test_useless_keys(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        bool assistant;
        int8_t completion;
    } rows[] = {
        {"{\"text\":\"a\"}", true, -1},
        {"{\"text\":\"a\"}", false, 1},
        {"{\"prompt\":\"a\",\"completion\":\"b\"}", true, -1},
        {"{\"messages\":[{\"content\":\"c\"}]}", false, 1},
        {"{\"input_ids\":[1,2],\"labels\":[1,2]}", true, -1},
        {"{\"input_ids\":[1,2],\"labels\":[1,2]}", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct language l = {.assistant_only = rows[i].assistant,
                                   .completion_only = rows[i].completion};
        struct data_spec by = spec;
        struct dataset *d;
        struct err err = ERR_INIT;
        by.language = &l;
        assert_int_equal(parse_by(&by, rows[i].row, &d, NULL, &err), -ERR_PARSE);
        if (!strstr(err.msg, "has no meaning"))
            fail_msg("%s", err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_bad),       cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_variables), cmocka_unit_test(test_useless_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
