/* runner_look - files that nobody has described: columns, what is guessed of them, rows
 * that are there twice, rows dealt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/data/dataset.h"
#include "runner/data/look/look.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct look_file parsed(const char *name, const char *text)
{
    struct look_file f;
    struct err err = ERR_INIT;
    if (look_parse(text, strlen(text), name, &f, &err))
        fail_msg("%s: %s", name, err.msg);
    return f;
}

/* What a file is taken for: "kind text pair label". */
static void guessed(const char *name, const char *text, const char *want)
{
    static const char *const kinds[] = {"classes",  "sets",        "numbers",
                                        "messages", "completions", "texts"};
    const struct look_roles none = {NULL};
    struct look_file f = parsed(name, text);
    struct look_guess g;
    struct err err = ERR_INIT;
    char got[200];
    if (look_guess(&f, &none, &g, &err))
        fail_msg("%s: %s", name, err.msg);
    snprintf(got, sizeof got, "%s %s %s %s", kinds[g.kind], g.roles.text,
             g.roles.pair ? g.roles.pair : "-", g.roles.label ? g.roles.label : "-");
    assert_string_equal(got, want);
    assert_true(g.why[0]);
    look_release(&f);
}

static void test_columns(void **state)
{
    (void)state;
    struct look_file f =
        parsed("a.csv", "text,n,x,l\n\"a b\",3,2.5,\"[1, 2]\"\nc,,-1,[]\n"
                        "c,07,1e3,none\n");
    assert_int_equal(f.count, 3);
    assert_int_equal(f.column_count, 4);
    const struct look_column *text = look_column(&f, "text"), *n = look_column(&f, "n"),
                             *x = look_column(&f, "x"), *l = look_column(&f, "l");
    assert_int_equal(text->filled, 3);
    assert_int_equal(text->value_count, 2);
    assert_string_equal(text->values[0].text, "\"c\"");
    assert_int_equal(text->values[0].rows, 2);
    assert_int_equal(n->filled, 2);
    assert_int_equal(n->types[LOOK_whole], 1); /* 07 is a name, not a number */
    assert_int_equal(n->types[LOOK_text], 1);
    assert_int_equal(x->types[LOOK_fraction], 2);
    assert_int_equal(x->types[LOOK_whole], 1);
    assert_true(x->least == -1 && x->most == 1000);
    assert_int_equal(l->types[LOOK_list], 2);
    assert_null(look_column(&f, "none"));
    look_release(&f);
}

/* In JSON lines a text that looks like a number is a text. */
static void test_types_of_json(void **state)
{
    (void)state;
    struct look_file f = parsed("a.jsonl", "{\"a\": \"3\"}\n{\"a\": 3, \"b\": true}\n");
    assert_int_equal(look_column(&f, "a")->types[LOOK_text], 1);
    assert_int_equal(look_column(&f, "a")->types[LOOK_whole], 1);
    assert_int_equal(look_column(&f, "b")->types[LOOK_other], 1);
    look_release(&f);
}

static void test_guesses(void **state)
{
    (void)state;
    guessed("a.csv",
            "id,review,stars\n1,good one,5\n2,bad one,1\n3,fine one,5\n4,so so,1\n",
            "classes review - stars");
    guessed("a.csv", "Text,Label\nx y,a\nz w,b\nu v,a\n", "classes Text - Label");
    /* nothing has a name that says it: the longest text, the column with few values */
    guessed("a.csv",
            "k,what is said,kind of it\n7,aa bb cc,p\n8,dd ee,q\n9,ff gg hh,p\n6,x x,q\n",
            "classes what is said - kind of it");
    guessed("a.csv", "sentence1,sentence2,label\na,b,0\nc,d,1\ne,f,1\n",
            "classes sentence1 sentence2 label");
    guessed("a.csv", "text,score\na,0.5\nb,1\nc,2\nd,2.5\n", "numbers text - score");
    guessed("a.csv", "text,label\na,-1\nb,0\nc,1\nd,1\n", "numbers text - label");
    guessed(
        "a.jsonl",
        "{\"text\": \"a\", \"tags\": [\"x\", \"y\"]}\n{\"text\": \"b\", \"tags\": []}\n",
        "sets text - tags");
    guessed("a.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}\n",
            "messages messages - -");
    guessed("a.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n",
            "completions prompt completion -");
    guessed("a.jsonl", "{\"text\": \"a b\"}\n{\"text\": \"c d\"}\n{\"text\": \"e f\"}\n",
            "texts text - -");
}

static void test_given_names(void **state)
{
    (void)state;
    struct look_file f = parsed("a.csv", "text,label,rating\na,x,0.5\nb,y,1.5\nc,x,2\n");
    const struct look_roles rating = {.label = "rating"}, wrong = {.text = "txt"};
    struct look_guess g;
    struct err err = ERR_INIT;
    assert_int_equal(look_guess(&f, &rating, &g, &err), 0);
    assert_int_equal(g.kind, LOOK_KIND_numbers);
    assert_int_equal(look_guess(&f, &wrong, &g, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "no column 'txt'; it has text, label, rating"));
    look_release(&f);
}

static void test_no_text(void **state)
{
    (void)state;
    const struct look_roles none = {NULL};
    struct look_file f = parsed("a.csv", "a,b\n1,2\n3,4\n");
    struct look_guess g;
    struct err err = ERR_INIT;
    assert_int_equal(look_guess(&f, &none, &g, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "no column looks like a text (it has a, b)"));
    look_release(&f);
}

static void refused(const char *name, const char *text, size_t n, const char *words)
{
    struct look_file f;
    struct err err = ERR_INIT;
    assert_true(look_parse(text, n, name, &f, &err) < 0);
    if (!strstr(err.msg, words))
        fail_msg("'%s' lacks '%s'", err.msg, words);
    look_release(&f);
}

static void test_bad_files(void **state)
{
    (void)state;
    refused("a.jsonl", "", 0, "no rows");
    refused("a.csv", "text,label\n", 11, "no rows");
    refused("a.jsonl", "{\"a\": 1}\n[2]\n", 13, "line 2: a JSON object expected");
    refused("a.jsonl", "{\"a\": 1}\n{\"a\": \n", 16, "line 2");
    refused("a.csv", "a,b\n1,2\n3,4,5\n", 14, "line 3");
    refused("a.csv",
            "\xff\xfe"
            "a\0,\0",
            6, "UTF-16");
}

/* --- rows --- */

static void test_same(void **state)
{
    (void)state;
    const struct look_roles none = {NULL};
    struct look_file f = parsed(
                         "a.csv",
                         "text,label\nGood  One,a\nbad,b\ngood one,a\nBAD,a\nx,b\n"),
                     other = parsed("b.csv", "text,label\nbad ,b\nnew,a\nnewer,b\n");
    struct look_guess g;
    struct look_same s;
    assert_int_equal(look_guess(&f, &none, &g, NULL), 0);
    look_same(&f, &g, NULL, &s);
    assert_int_equal(s.twice, 2);
    assert_int_equal(s.disagree, 1);
    assert_int_equal(s.in_other, 0);
    look_same(&other, &g, &f, &s);
    assert_int_equal(s.twice, 0);
    assert_int_equal(s.in_other, 1);
    look_release(&f);
    look_release(&other);
}

/* 400 rows: a quarter "rare", each text twice, every 50th without a label. */
static struct look_file many(void)
{
    struct buf b = BUF_INIT;
    buf_str_add(&b, "text,label\n");
    for (int i = 0; i < 400; i++)
        buf_printf(&b, "text number %d,%s\n", i / 2,
                   i % 50 == 49     ? ""
                   : i / 2 % 4 == 0 ? "rare"
                                    : "usual");
    struct look_file f = parsed("m.csv", buf_str(&b));
    buf_release(&b);
    return f;
}

static void test_deal(void **state)
{
    (void)state;
    const struct look_roles none = {NULL};
    struct look_file f = many();
    struct look_guess g;
    enum look_part parts[400], again[400];
    size_t count[LOOK_PARTS + 1] = {0}, rare[LOOK_PARTS + 1] = {0};
    assert_int_equal(look_guess(&f, &none, &g, NULL), 0);
    look_deal(&f, &g, 2000, 7, parts);
    look_deal(&f, &g, 2000, 7, again);
    assert_memory_equal(parts, again, sizeof parts);
    for (size_t i = 0; i < 400; i++) {
        count[parts[i]]++;
        rare[parts[i]] += i / 2 % 4 == 0 && parts[i] < LOOK_PARTS;
        assert_int_equal(look_is_whole(&f, &g, i), parts[i] < LOOK_PARTS);
        if (i % 2 && parts[i] < LOOK_PARTS && parts[i - 1] < LOOK_PARTS)
            assert_int_equal(parts[i], parts[i - 1]);
    }
    assert_int_equal(count[LOOK_PARTS], 8);
    for (int p = LOOK_EVAL; p < LOOK_PARTS; p++) {
        assert_in_range(count[p], 72, 84); /* a fifth of 392, twins together */
        assert_in_range(rare[p], 17, 22);  /* of 98 */
    }
    look_deal(&f, &g, 20, 7, parts);
    memset(count, 0, sizeof count);
    for (size_t i = 0; i < 400; i++)
        count[parts[i]]++;
    assert_in_range(count[LOOK_TEST], 16, 24);
    look_release(&f);
}

/* What is written is what a trial reads, under its names, with labels of one type. */
static void test_written(void **state)
{
    (void)state;
    const struct look_roles none = {NULL};
    struct look_file f =
        parsed("a.jsonl", "{\"review\": \"a b\", \"stars\": 1, \"by\": \"x\"}\n"
                          "{\"review\": \"c d\", \"stars\": \"many\"}\n"
                          "{\"review\": \"e f\", \"stars\": 1}\n"
                          "{\"review\": \"\", \"stars\": 1}\n");
    char path[] = "/tmp/peftlab-look-XXXXXX.jsonl";
    struct buf text = BUF_INIT;
    struct look_guess g;
    struct err err = ERR_INIT;
    close(mkstemps(path, 6));
    assert_int_equal(look_guess(&f, &none, &g, &err), 0);
    assert_true(look_needs_copy(&f, &g));
    if (look_write_part(&f, &g, NULL, LOOK_TRAIN, path, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(fs_read(path, 10000, &text, &err), 0);
    assert_string_equal(buf_str(&text),
                        "{\"by\": \"x\", \"text\": \"a b\", \"label\": \"1\"}\n"
                        "{\"text\": \"c d\", \"label\": \"many\"}\n"
                        "{\"text\": \"e f\", \"label\": \"1\"}\n");
    unlink(path);
    buf_release(&text);
    look_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns), cmocka_unit_test(test_types_of_json),
        cmocka_unit_test(test_guesses), cmocka_unit_test(test_given_names),
        cmocka_unit_test(test_no_text), cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_same),    cmocka_unit_test(test_deal),
        cmocka_unit_test(test_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
