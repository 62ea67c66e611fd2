/* The templates' language: what jinja2 gives for small ones, what is refused and where,
 * limits; how the messages of a row are made ready. */
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/chat/template.h"
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

#define ROW                                                                              \
    "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi \"},"                            \
    "{\"role\":\"assistant\",\"content\":\"n\\u00e9 \\ud83d\\ude00\",\"gone\":null}],"   \
    "\"d\":{\"b\":1,\"A\":2.5,\"items\":3},\"s\":\" ab \",\"l\":[3,1,2],\"n\":null,"     \
    "\"big\":1e16,\"small\":1e-05}"

static int render(const char *text, const char *json, struct jinja_output *out,
                  struct err *err)
{
    struct chat_template *t = NULL;
    json_t *row = json_parse(json, strlen(json), "row", NULL);
    assert_non_null(row);
    int rc = chat_template_parse(text, strlen(text), NULL, &t, err);
    if (rc >= 0)
        rc = chat_template_render(t, row, &now, out, err);
    chat_template_free(t);
    json_decref(row);
    return rc;
}

static const struct {
    const char *text, *want;
} answers[] = {
    {"a\n", "a"},
    {"a\n\n", "a\n"},
    {"a\r\nb", "a\nb"},
    {"  {% if true %}\nx\n  {% endif %}\ny", "x\ny"},
    {"a {%- if true -%} \n b {%+ endif +%}\nc", "ab \nc"},
    {"a\n  {# c #}\nb {#- d -#} c", "a\nbc"},
    {"  {{ 1 }}\n  {{- 2 -}}\n  3", "  123"},
    {"{{ {'a': {'b': 1}} }}", "{'a': {'b': 1}}"},
    {"{{ 'a\\n\\x41\\u00e9\\q' \"b\" }}", "a\nA\xc3\xa9\\qb"},
    {"{{ none }}{{ true }}{{ 1.0 }}{{ big }}{{ small }}", "NoneTrue1.01e+161e-05"},
    {"{{ [1, 'a\\'b', none, (1,), s] }}", "[1, \"a'b\", None, (1,), ' ab ']"},
    {"{{ nothing }}{{ nothing is defined }}{{ d.zz is defined }}", "FalseFalse"},
    {"{{ messages[1].gone is defined }}", "False"},
    {"{{ d.items is defined }}{{ d['items'] }}{{ d.get('q', 7) }}", "True37"},
    {"{{ messages[1].content[-1] }}{{ messages[1].content[::-1] }}",
     "\xf0\x9f\x98\x80\xf0\x9f\x98\x80 \xc3\xa9n"},
    {"{{ messages[1].content | length }}{{ 'abcdef'[-3:-1] }}{{ l[1:] }}", "4de[1, 2]"},
    {"{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}{{ loop.last }}"
     "{{ loop.nextitem }} {% endfor %}",
     "1/2False2 2/2True "},
    {"{% for x in [] %}a{% else %}none{% endfor %}", "none"},
    {"{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}"
     "{% if x == 2 %}{% break %}{% endif %}{% endfor %}",
     "32"},
    {"{% for k, v in d | items %}{{ k }}={{ v }} {% endfor %}", "b=1 A=2.5 items=3 "},
    {"{% for k, v in d | dictsort %}{{ k }}{% endfor %}", "Abitems"},
    {"{% set x = 1 %}{% for y in l %}{% set x = y %}{% endfor %}{{ x }}", "1"},
    {"{% set ns = namespace(x=1) %}{% for y in l %}{% set ns.x = y %}{% endfor %}"
     "{{ ns.x }}",
     "2"},
    {"{% set x %}a {{ s }}{% endset %}[{{ x | trim }}]", "[a  ab]"},
    {"{% set a, b = (1, 2) %}{{ b }}{{ a }}", "21"},
    {"{% macro f(n, e='.') %}{{ n }}{% if n %}{{ f(n - 1, e=e) }}{% else %}{{ e }}"
     "{% endif %}{% endmacro %}{{ f(3) }}{{ f(1, e='!') }}",
     "3210.10!"},
    {"{{ 'a' if n }}{{ 'a' if l else 'b' }}{{ n or l and 'x' }}", "ax"},
    {"{{ 1 + 2 ~ 3 - 1 }}{{ -7 % 3 }}{{ 7 % -3 }}", NULL},
    {"{{ 1 < 2 <= 2 }}{{ 'b' in 'abc' }}{{ 'b' not in d }}{{ 1 == 1.0 == true }}",
     "TrueTrueFalseTrue"},
    {"{{ not n is defined }}{{ n is none }}{{ l is not mapping }}", "FalseTrueTrue"},
    {"{{ d | tojson }}{{ 'a<\\u00e9' | tojson(ensure_ascii=true) }}",
     "{\"b\": 1, \"A\": 2.5, \"items\": 3}\"a<\\u00e9\""},
    {"{{ {'b': [], 'a': [1]} | tojson(indent=1, sort_keys=true) }}",
     "{\n \"a\": [\n  1\n ],\n \"b\": []\n}"},
    {"{{ l | tojson(separators=(',', ':')) }}", "[3,1,2]"},
    {"{{ messages | map(attribute='role') | map('upper') | join(',') }}",
     "USER,ASSISTANT"},
    {"{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"},
    {"{{ [1, 'a'] | reject('string') | list }}{{ (l | select('gt', 1)) is true }}",
     "[1]False"},
    {"{{ s.strip() }}{{ 'xxax'.lstrip('x') }}{{ 'a b  c'.split() }}"
     "{{ 'a-b-c'.split('-', 1) }}",
     "abax['a', 'b', 'c']['a', 'b-c']"},
    {"{{ 'ab'.startswith(('x', 'a')) }}{{ 'aXb' | capitalize }}{{ 'stra\\u00dfe' | "
     "upper }}",
     "TrueAxbSTRASSE"},
    {"{{ '\\u039f\\u03a3' | lower }}", "\xce\xbf\xcf\x82"},
    {"{{ 'aaa' | replace('a', 'b', 2) }}{{ 'ab' | replace('', '-') }}", "bba-a-b-"},
    {"{{ ('<' | safe) + '<' }}{{ '&' + ('' | safe) }}", "<&lt;&amp;"},
    {"{{ '' | default('x') }}{{ '' | default('x', true) }}{{ q | default([]) }}", "x[]"},
    {"{{ range(5, 0, -2) | list }}{{ range(2) }}", "[5, 3, 1]range(0, 2)"},
    {"{{ strftime_now('%d %b %Y %H:%M:%S.%f%z') }}", "05 Mar 2026 07:08:09.000000"},
    {"{{ '{{ 1 }}' }}{{ '{% x %}' }}", "{{ 1 }}{% x %}"},
};

/* What jinja2 3.1.6 gives in transformers' environment. */
static void python_agrees(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct jinja_output out;
        struct err err = ERR_INIT;
        jinja_output_init(&out);
        int rc = render(answers[i].text, ROW, &out, &err);
        if (answers[i].want && rc < 0)
            fail_msg("%s: %s", answers[i].text, err.msg);
        if (answers[i].want && strcmp(buf_str(&out.text), answers[i].want) != 0)
            fail_msg("%s: '%s', not '%s'", answers[i].text, buf_str(&out.text),
                     answers[i].want);
        if (!answers[i].want && rc >= 0) /* "1 + 23 - 1" adds a str */
            fail_msg("%s: no error", answers[i].text);
        jinja_output_release(&out);
    }
}

static void what_is_refused_and_where(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"a\n {% do x %}", "line 2, column 5: tag 'do' is not supported"},
        {"{% raw %}{% endraw %}", "line 1, column 4: tag 'raw' is not supported"},
        {"{% include 'x' %}", "tag 'include' is not supported"},
        {"{{ x | nothing }}", "line 1, column 8: filter 'nothing' is not supported"},
        {"{{ x is odd_one }}", "line 1, column 9: test 'odd_one' is not supported"},
        {"{{ 1 * 2 }}", "line 1, column 6: operator '*' is not supported"},
        {"{{ 2 ** 2 }}", "operator '**' is not supported"},
        {"{{ 'é' ~ '%s' % 1 }}", "line 1, column 15: '%' of a string is not supported"},
        {"{% for x in y recursive %}{% endfor %}", "recursive loops are not supported"},
        {"{% macro f() %}{{ varargs }}{% endmacro %}", "'varargs' within a macro"},
        {"{% if x %}", "line 1, column 11: the block that begins here is not ended by "
                       "'elif'"},
        {"{% endif %}", "'endif' has nothing that it could end here"},
        {"{% break %}", "'break' is not within a loop"},
        {"{% for x in y %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}",
         "'break' is not within a loop"},
        {"{{ 'abc }}", "line 1, column 4: the string does not end"},
        {"{{ a", "the tag does not end"},
        {"{# a", "the comment does not end"},
        {"{{ (1] }}", "']' closes nothing"},
        {"{{ a ? }}", "unexpected character U+003F"},
        {"{{ }}", "an expression expected, but the tag ends"},
        {"{{ 99999999999999999999 }}", "the number is too large"},
        {"{{ '\\ud800' }}", "an escape \\u wants 4 hexadecimal digits"},
        {"\xff", "not UTF-8 at byte 0"},
        {"x{{ nothing.x }}", "line 1, column 12: 'nothing' is undefined"},
        {"{{ d.x.y }}", "dict has no 'x'"},
        {"{{ s + 1 }}", "line 1, column 6: '+' of str and int"},
        {"{{ s + nothing }}", "'nothing' is undefined"},
        {"{{ nothing() }}", "'nothing' is undefined"},
        {"{{ s.title() }}", "method 'title' of str is not supported"},
        {"{{ l.append(1) }}", "method 'append' of list is not supported"},
        {"{{ loop.index }}", "'loop' is undefined"},
        {"{% for x in l %}{{ loop.cycle(1) }}{% endfor %}", "'loop.cycle' is not"},
        {"{{ l | map('nothing') }}", "filter 'nothing' is not supported"},
        {"{{ l | trim(1, 2) }}", "filter 'trim' takes 1 argument here, not 2"},
        {"{{ d | tojson(indnt=2) }}", "filter 'tojson' takes no argument 'indnt' here"},
        {"{{ (l | map('string')) | length }}", "generator has no length"},
        {"{{ nothing | tojson }}", "'nothing' is undefined"},
        {"{% set d.x = 1 %}", "only a namespace's attributes can be set"},
        {"{% set a, b = l %}", "3 values for 2 names"},
        {"{{ s[1:2:0] }}", "a slice's step is zero"},
        {"{{ 1 % 0 }}", "modulo by zero"},
        {"{{ 9223372036854775807 + 1 }}", "an integer is too large"},
        {"{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "'f' takes no such argument"},
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "does a macro call itself"},
        {"{% set x %}{% generation %}a{% endgeneration %}{% endset %}",
         "{% generation %} within a macro or a set block"},
        {"{{ range(100001) }}", "range: more than 100000 numbers"},
        {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
         "more than 20000000 steps"},
        {"{% set n = namespace(x='aaaaaaaaaaaaaaaa') %}{% for a in range(99) %}"
         "{% set n.x = n.x + n.x %}{% endfor %}",
         "more than"},
        {"{{ raise_exception('no\nway') }}", "no way"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct jinja_output out;
        struct err err = ERR_INIT;
        jinja_output_init(&out);
        int rc = render(rows[i].text, ROW, &out, &err);
        if (rc != -ERR_PARSE)
            fail_msg("%s: code %d, '%s'", rows[i].text, rc, buf_str(&out.text));
        if (!strstr(err.msg, rows[i].want))
            fail_msg("%s: error '%s', not '%s'", rows[i].text, err.msg, rows[i].want);
        jinja_output_release(&out);
    }
}

static void nesting_has_an_end(void **state)
{
    static const char *const part[][2] = {
        {"{% if 1 %}", "{% endif %}"}, {"[", "]"}, {"(", ")"}, {"not ", ""}, {"-", ""}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(part); i++) {
        struct buf text = BUF_INIT;
        struct jinja_output out;
        struct err err = ERR_INIT;
        jinja_output_init(&out);
        buf_str_add(&text, i ? "{{ " : "");
        for (int k = 0; k < 5000; k++)
            buf_str_add(&text, part[i][0]);
        buf_str_add(&text, i ? "1" : "");
        for (int k = 0; k < 5000; k++)
            buf_str_add(&text, part[i][1]);
        buf_str_add(&text, i ? " }}" : "");
        assert_int_equal(render(buf_str(&text), ROW, &out, &err), -ERR_PARSE);
        assert_non_null(strstr(err.msg, "in one another"));
        jinja_output_release(&out);
        buf_release(&text);
    }
}

/* ---- rows ---- */

static void messages_are_made_ready(void **state)
{
    static const struct {
        const char *text, *row, *want; /* want "!...": the error begins so */
    } rows[] = {
        {"{{ messages[0] }}", "{\"messages\":[{\"a\":null,\"b\":{\"c\":null}}]}",
         "{'b': {'c': None}}"},
        {"{{ messages[0].thinking }}{{ messages[0].reasoning_content }}",
         "{\"messages\":[{\"reasoning\":\"r\"}]}", "rr"},
        {"{{ messages[0].thinking }}{{ messages[0].reasoning_content }}",
         "{\"messages\":[{\"thinking\":\"t\",\"reasoning_content\":\"c\"}]}", "tc"},
        {"{{ tools }}{{ documents }}{{ add_generation_prompt }}{{ x }}",
         "{\"messages\":[],\"x\":5}", "NoneNoneFalse5"},
        {"{{ messages[0].content }}|",
         "{\"messages\":[{\"content\":\"a \"}],\"continue_final_message\":true}", "a "},
        {"{{ messages[0].content | trim }} |",
         "{\"messages\":[{\"content\":\"a \"}],\"continue_final_message\":true}", "a "},
        {"{{ messages[0].content | trim }}|",
         "{\"messages\":[{\"content\":\"a \"}],\"continue_final_message\":true}", "a"},
        {"{{ messages[0].content[0].text }}|",
         "{\"messages\":[{\"content\":[{\"text\":\"a\"},{\"type\":\"image\"}]}],"
         "\"continue_final_message\":true}",
         "a"},
        {"{{ messages[0].thinking }}|",
         "{\"messages\":[{\"reasoning\":\"why\"}],"
         "\"continue_final_message\":\"reasoning\"}",
         "why"},
        {"{{ messages[0].role }} content",
         "{\"messages\":[{\"role\":\"a\",\"content\":\"b\"}],"
         "\"continue_final_message\":true}",
         "!continue_final_message: the template does not print"},
        {"{{ messages[0].role }}",
         "{\"messages\":[{\"role\":\"a\",\"content\":\"b\"}],"
         "\"continue_final_message\":true}",
         "!continue_final_message: the template does not read 'content'"},
        {"content", "{\"messages\":[],\"continue_final_message\":true}",
         "!continue_final_message: the last message has no 'content'"},
        {"content",
         "{\"messages\":[],\"continue_final_message\":true,\"add_generation_prompt\":"
         "true}",
         "!continue_final_message and add_generation_prompt"},
        {"", "{\"messages\":[1]}", "!'messages'[0] is not an object"},
        {"", "{\"message\":[]}", "!no key 'messages'"},
        {"", "[]", "!the row is not an object"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *want = rows[i].want;
        struct jinja_output out;
        struct err err = ERR_INIT;
        jinja_output_init(&out);
        int rc = render(rows[i].text, rows[i].row, &out, &err);
        const char *got = rc < 0 ? err.msg : buf_str(&out.text);
        if (*want == '!' ? rc >= 0 || !str_has_prefix(got, want + 1)
                         : rc < 0 || strcmp(got, want) != 0)
            fail_msg("%s with %s: '%s'", rows[i].text, rows[i].row, got);
        jinja_output_release(&out);
    }
}

static void spans_are_counted_in_characters(void **state)
{
    static const char text[] = "\u00e9{% for m in messages %}{{ m.role }}{% generation %}"
                               "{{ m.content }}{% endgeneration %}{% endfor %}";
    struct jinja_output out;
    struct err err = ERR_INIT;
    (void)state;
    jinja_output_init(&out);
    assert_int_equal(render(text, ROW, &out, &err), 0);
    assert_int_equal(out.n_spans, 2);
    assert_int_equal(out.spans[0][0], 5);
    assert_int_equal(out.spans[0][1], 8);
    assert_int_equal(out.spans[1][0], 17);
    assert_int_equal(out.spans[1][1], 21);
    jinja_output_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(python_agrees),
        cmocka_unit_test(what_is_refused_and_where),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(messages_are_made_ready),
        cmocka_unit_test(spans_are_counted_in_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
