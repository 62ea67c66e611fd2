/* runner_table - CSV and TSV: quotes, line ends, columns, labels, messages with lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/mem.h"
#include "lib/str.h"
#include "runner/data/dataset.h"
#include "runner/data/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_endings(void **state)
{
    (void)state;
    assert_int_equal(table_delimiter("a/b.csv"), ',');
    assert_int_equal(table_delimiter("x.TSV"), '\t');
    assert_int_equal(table_delimiter("x.csv.jsonl"), 0);
    assert_int_equal(table_delimiter("csv"), 0);
}

/* Fields of a record under the header a,b,...: "x|y". */
static void fields(const char *record, char delimiter, const char *want)
{
    struct table t = {0};
    struct err err = ERR_INIT;
    char header[] = "a?b", got[100] = "";
    header[1] = delimiter;
    assert_int_equal(table_header(&t, delimiter, header, 3, &err), 0);
    json_t *row = table_row(&t, record, strlen(record), &err);
    if (!row)
        fail_msg("%s: %s", record, err.msg);
    assert_int_equal(table_record_end(record, strlen(record), 0, delimiter),
                     strlen(record));
    snprintf(got, sizeof got, "%s|%s", json_string_value(json_object_get(row, "a")),
             json_string_value(json_object_get(row, "b")));
    assert_string_equal(got, want);
    json_decref(row);
    table_release(&t);
}

static void test_fields(void **state)
{
    (void)state;
    fields("1,2", ',', "1|2");
    fields(",", ',', "|");
    fields("\"x,y\",\"say \"\"hi\"\"\"", ',', "x,y|say \"hi\"");
    fields("\"two\nlines\",\r", ',', "two\nlines|");
    fields("5\" pipe,a\"\"b", ',', "5\" pipe|a\"\"b"); /* no field of quotes */
    fields("\"\",\"\"", ',', "|");
    fields("a,b\tc", '\t', "a,b|c");
    fields("\"a\tb\"\tc\r", '\t', "a\tb|c");
}

static const char *const names[] = {"no", "yes"};

static int load(const char *name, const char *text, struct labels *labels,
                struct dataset **d, struct err *err)
{
    static const struct data_spec spec = {.max_length = 8};
    return dataset_parse(text, strlen(text), name, &spec, NULL, labels, d, NULL, err);
}

static void test_rows(void **state)
{
    (void)state;
    struct labels labels = {0};
    struct dataset *d, *e;
    struct err err = ERR_INIT;
    assert_int_equal(load("t.csv",
                          "\xef\xbb\xbflabel,\"input_ids\",other\r\n"
                          "yes,\"[1, 2]\",\"a,\r\nb\"\r\n"
                          "\r\n"
                          "no,[3],\r\n",
                          &labels, &d, &err),
                     0);
    assert_int_equal(d->count, 2);
    assert_int_equal(d->rows[0].n, 2);
    assert_int_equal(d->rows[0].ids[1], 2);
    assert_int_equal(d->rows[0].label, 1);
    assert_int_equal(d->rows[1].label, 0);
    assert_true(labels.from_strings);
    assert_string_equal(labels.names[0], names[0]);
    /* the evaluation file obeys: 1 is text there */
    assert_int_equal(
        load("e.tsv", "input_ids\tlabel\n[1]\tyes\n[1]\t1\n", &labels, &e, &err),
        -ERR_PARSE);
    assert_non_null(strstr(err.msg, "data file 'e.tsv': line 3: label '1'"));
    dataset_free(d);
    labels_release(&labels);
}

static void test_integer_labels(void **state)
{
    (void)state;
    struct labels labels = {0};
    struct dataset *d;
    struct err err = ERR_INIT;
    assert_int_equal(
        load("t.csv", "input_ids,label\n[1],2\n[1],\"0\"\n", &labels, &d, &err), 0);
    assert_false(labels.from_strings);
    assert_int_equal(labels.count, 3);
    assert_int_equal(d->rows[0].label, 2);
    dataset_free(d);
    assert_int_equal(load("e.csv", "input_ids,label\n[1],x\n", &labels, &d, &err),
                     -ERR_PARSE);
    assert_non_null(strstr(err.msg, "line 2: column 'label' must hold integers"));
    labels_release(&labels);
    /* one that is no plain number makes all of them names */
    assert_int_equal(load("t.csv", "input_ids,label\n[1],2\n[1],02\n", &labels, &d, NULL),
                     0);
    assert_true(labels.from_strings);
    assert_int_equal(labels.count, 2);
    dataset_free(d);
    labels_release(&labels);
}

/* Cells of a regression are numbers, of several labels lists. */
static void test_targets(void **state)
{
    (void)state;
    struct data_spec spec = {.labels = LABEL_numbers};
    struct labels labels = {0};
    struct dataset *d;
    struct err err = ERR_INIT;
    const char *numbers = "input_ids,label\n[1],-1.5\n[1],3\n[1],x\n";
    assert_int_equal(dataset_parse(numbers, strlen(numbers) - strlen("[1],x\n"), "t.csv",
                                   &spec, NULL, &labels, &d, NULL, &err),
                     0);
    assert_float_equal(d->rows[0].targets[0], -1.5, 0);
    dataset_free(d);
    labels_release(&labels);
    assert_int_equal(dataset_parse(numbers, strlen(numbers), "t.csv", &spec, NULL,
                                   &labels, &d, NULL, &err),
                     -ERR_PARSE);
    assert_non_null(
        strstr(err.msg, "line 4: column 'label' must hold a number, or a list"));
    spec.labels = LABEL_set;
    const char *lists = "input_ids\tlabel\n[1]\t[\"b\",\"a\"]\n[1]\t\"[\"\"a\"\"]\"\n";
    assert_int_equal(dataset_parse(lists, strlen(lists), "t.tsv", &spec, NULL, &labels,
                                   &d, NULL, NULL),
                     0);
    assert_int_equal(labels.count, 2);
    assert_float_equal(d->rows[0].targets[1], 1, 0);
    assert_float_equal(d->rows[1].targets[0], 1, 0);
    assert_float_equal(d->rows[1].targets[1], 0, 0);
    dataset_free(d);
    labels_release(&labels);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "no rows"},
        {"input_ids,label\n", "no rows"},
        {"input_ids,label\n\"[1,\n2]\",0\n[1]\n",
         "line 4: 1 fields, but the header has 2"},
        {"input_ids,label\n[1],0,9\n", "line 2: 3 fields"},
        {"input_ids,label\n[1],\"0\n[2],1\n", "line 2: the quote at character 5"},
        {"input_ids,label\n[1],\"0\"x\n",
         "line 2: text behind the closing quote at character 7"},
        {",,\n[1],0,1\n", "line 1: no column has a name"},
        {"input_ids,label\n[1],1\n[2],\n", "line 3: column 'label' must hold integers"},
        {"input_ids,label\n[1],1\n[2],nan\n",
         "line 3: column 'label' must hold integers"},
        {"input_ids,label\n[1],1\n[2],-1\n", "line 3: label -1 is negative"},
        {"input_ids,label\n[1],yes\n[2],\n[3],no\n", "line 3: the label is missing"},
        {"input_ids,label\n[1],yes\n[2],  \n[3],no\n", "line 3: the label is missing"},
        {"input_ids,label,label\n[1],0,1\n", "line 1: column 'label' is there twice"},
        {"input_ids,labl\n[1],0\n", "no key 'label' (did you mean 'labl'?)"},
        {"input_ids,label\nx,0\n", "column 'input_ids' must hold a list"},
        {"input_ids,label\n[1],\xff\n", "line 2: column 'label' is not UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct labels labels = {0};
        struct dataset *d;
        struct err err = ERR_INIT;
        assert_int_equal(load("t.csv", cases[i].text, &labels, &d, &err), -ERR_PARSE);
        assert_null(d);
        if (!strstr(err.msg, cases[i].part))
            fail_msg("'%s' lacks '%s'", err.msg, cases[i].part);
    }
}

/* DataFrame.to_csv() writes its index so; what has no name is not used. */
static void test_index_column(void **state)
{
    (void)state;
    struct labels labels = {0};
    struct dataset *d;
    struct err err = ERR_INIT;
    if (load("t.csv", ",input_ids,,label\n0,[5],x,1\n1,[6],,0\n", &labels, &d, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(d->count, 2);
    assert_int_equal(d->rows[0].ids[0], 5);
    assert_int_equal(d->rows[0].label, 1);
    dataset_free(d);
    labels_release(&labels);
}

static void test_wide_encodings(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *name;
    } cases[] = {{"\xff\xfet\0", 4, "UTF-16"},
                 {"\xfe\xff\0t", 4, "UTF-16"},
                 {"t\0e\0x\0t\0", 8, "UTF-16"},
                 {"\0t\0e", 4, "UTF-16"},
                 {"\xff\xfe\0\0t\0\0\0", 8, "UTF-32"},
                 {"\xef\xbb\xbft", 4, NULL},
                 {"te", 2, NULL},
                 {"t\0", 2, NULL}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *found = str_wide_encoding(cases[i].bytes, cases[i].n);
        if (!str_eq(found, cases[i].name))
            fail_msg("case %zu: %s", i, found ? found : "none");
    }
    for (int tabular = 0; tabular < 2; tabular++) {
        static const struct data_spec spec = {.max_length = 8};
        struct labels labels = {0};
        struct dataset *d;
        struct err err = ERR_INIT;
        assert_int_equal(dataset_parse("\xff\xfet\0", 4, tabular ? "t.csv" : "t.jsonl",
                                       &spec, NULL, &labels, &d, NULL, &err),
                         -ERR_PARSE);
        assert_non_null(strstr(err.msg, "UTF-16 text; save it as UTF-8"));
    }
}

/* What export defuses, and the way back. */
static void test_formulas(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool formula;
    } cases[] = {
        {"=1+1", true},    {"+cmd", true},      {"-x", true},  {"@SUM(1)", true},
        {"\t=1", true},    {"\r", true},        {"'=1", true}, {"''@x", true},
        {"\uff1d1", true}, {"-0.5", false},     {"+3", false}, {"-Infinity", false},
        {"a=b", false},    {"'quoted'", false}, {"", false},   {"'", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char cell[32];
        const char *text = cases[i].text;
        if (table_is_formula(text, strlen(text)) != cases[i].formula)
            fail_msg("'%s'", text);
        snprintf(cell, sizeof cell, "%s%s", cases[i].formula ? "'" : "", text);
        table_undefuse(cell);
        assert_string_equal(cell, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endings),      cmocka_unit_test(test_fields),
        cmocka_unit_test(test_rows),         cmocka_unit_test(test_integer_labels),
        cmocka_unit_test(test_targets),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_index_column), cmocka_unit_test(test_wide_encodings),
        cmocka_unit_test(test_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
