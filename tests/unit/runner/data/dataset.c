/* runner_dataset - rows, labels, subsets, orders, and messages with file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/fs.h"
#include "lib/mem.h"
#include "runner/data/dataset.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/runner_dataset.XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static int load(const char *text, const struct data_spec *spec, const struct tokenizer *t,
                struct labels *labels, struct dataset **d, size_t *cut, struct err *err)
{
    static const struct data_spec plain;
    assert_int_equal(fs_write_atomic(path, text, strlen(text), NULL), 0);
    return dataset_load(path, spec ? spec : &plain, t, labels, d, cut, err);
}

static struct tokenizer *tokenizer(void)
{
    static const char json[] =
        "{\"normalizer\":{\"type\":\"BertNormalizer\"},"
        "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
        "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"?\",\"vocab\":"
        "{\"?\":0,\"a\":1,\"b\":2,\"[C]\":3,\"[S]\":4}},"
        "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[S]\",4],"
        "\"cls\":[\"[C]\",3]}}";
    struct tokenizer *t = NULL;
    assert_int_equal(tokenizer_parse(json, strlen(json), "t", &t, NULL), 0);
    return t;
}

static void test_ids(void **state)
{
    (void)state;
    struct labels labels = {0};
    struct dataset *d;
    struct err err = ERR_INIT;
    int rc = load("{\"input_ids\": [1, 2, 3], \"label\": 2}\n"
                  "\n   \r\n"
                  "{\"input_ids\": [4], \"label\": 0, \"token_type_ids\": [1]}\r\n"
                  "{\"label\": 1, \"input_ids\": [5, 6, 7, 8, 9]}",
                  &(struct data_spec){.max_length = 2, .vocab_size = 10}, NULL, &labels,
                  &d, NULL, &err);
    assert_int_equal(rc, 0);
    assert_int_equal(d->count, 3);
    assert_int_equal(d->total_tokens, 9);
    assert_int_equal(d->longest, 5); /* used as they are: max_length does not cut */
    assert_memory_equal(d->rows[0].ids, ((int32_t[]){1, 2, 3}), 12);
    assert_null(d->rows[0].type_ids);
    assert_int_equal(d->rows[1].type_ids[0], 1);
    assert_int_equal(d->rows[0].label, 2);
    assert_int_equal(labels.count, 3);
    assert_false(labels.from_strings);
    assert_string_equal(labels.names[2], "2");
    assert_int_equal(strlen(d->sha256), 64);
    dataset_free(d);
    labels_release(&labels);
}

static void test_text(void **state)
{
    (void)state;
    struct labels labels = {0};
    struct dataset *d;
    struct tokenizer *t = tokenizer();
    size_t cut = 0;
    int rc = load("{\"text\": \"a b a b a b\", \"label\": \"pos\"}\n"
                  "{\"text\": \"\", \"label\": \"neg\"}\n"
                  "{\"text\": \"a\\u0000b\", \"text_pair\": null, \"label\": \"neg\"}\n"
                  "{\"text\": \"a\", \"text_pair\": \"b\", \"label\": \"odd\"}\n",
                  &(struct data_spec){.max_length = 5, .vocab_size = 5}, t, &labels, &d,
                  &cut, NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(cut, 1);
    assert_memory_equal(d->rows[0].ids, ((int32_t[]){3, 1, 2, 1, 4}), 20);
    assert_memory_equal(d->rows[1].ids, ((int32_t[]){3, 4}), 8);
    assert_int_equal(d->rows[2].n, 3); /* "ab" is one unknown word */
    assert_memory_equal(d->rows[3].ids, ((int32_t[]){3, 1, 4, 2, 4}), 20);
    assert_memory_equal(d->rows[3].type_ids, ((int32_t[]){0, 0, 0, 1, 1}), 20);
    assert_null(d->rows[0].type_ids);
    /* sorted by name */
    assert_int_equal(d->rows[0].label, 2);
    assert_int_equal(d->rows[1].label, 0);
    assert_int_equal(d->rows[3].label, 1);
    assert_true(labels.from_strings);
    dataset_free(d);
    /* an evaluation file obeys, also when it lacks a class */
    rc = load("{\"sentence\": \"b\", \"y\": \"pos\"}\n",
              &(struct data_spec){.text_column = "sentence", .label_column = "y"}, t,
              &labels, &d, NULL, NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(d->rows[0].label, 2);
    dataset_free(d);
    struct err err = ERR_INIT;
    rc =
        load("{\"text\": \"b\", \"label\": \"new\"}\n", NULL, t, &labels, &d, NULL, &err);
    assert_int_equal(rc, -ERR_PARSE);
    assert_non_null(strstr(err.msg, "line 1: label 'new' does not occur"));
    assert_non_null(strstr(err.msg, "(neg, odd, pos)"));
    assert_int_equal(labels.count, 3); /* a failed evaluation file leaves the classes */
    labels_release(&labels);
    tokenizer_free(t);
}

static void test_num_labels(void **state)
{
    (void)state;
    const char *text = "{\"input_ids\": [1], \"label\": 1}\n";
    struct labels labels = {0};
    struct dataset *d;
    struct err err = ERR_INIT;
    assert_int_equal(
        load(text, &(struct data_spec){.num_labels = 4}, NULL, &labels, &d, NULL, NULL),
        0);
    assert_int_equal(labels.count, 4);
    dataset_free(d);
    labels_release(&labels);
    assert_int_equal(
        load(text, &(struct data_spec){.num_labels = 1}, NULL, &labels, &d, NULL, &err),
        -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "2 classes, but num_labels is 1"));
    assert_int_equal(labels.count, 0);
}

static void test_messages(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"", "no rows"},
        {"{\"input_ids\": [1], \"label\": 1}\n{\"input_ids\": [1}\n", "line 2, column"},
        {"\n[1]\n", "line 2: a JSON object expected"},
        {"{\"input_ids\": [1]}", "line 1: no key 'label'"},
        {"{\"input_ids\": [1], \"labels\": 1}", "did you mean 'labels'?"},
        {"{\"txt\": \"a\", \"label\": 1}", "no key 'text' (did you mean 'txt'?)"},
        {"{\"text\": 5, \"label\": 1}", "'text' must be text"},
        {"{\"text\": \"a\", \"text_pair\": 5, \"label\": 1}", "'text_pair' must be text"},
        {"{\"text\": \"a\", \"label\": 1}", "no tokenizer.json"},
        {"{\"input_ids\": [], \"label\": 1}", "at least one integer"},
        {"{\"input_ids\": 7, \"label\": 1}", "at least one integer"},
        {"{\"input_ids\": [1, -1], \"label\": 1}", "'input_ids'[1] must be an integer"},
        {"{\"input_ids\": [10], \"label\": 1}", "in 0..9"},
        {"{\"input_ids\": [1.5], \"label\": 1}", "must be an integer"},
        {"{\"input_ids\": [1], \"token_type_ids\": [0, 0], \"label\": 1}",
         "2 token_type_ids for 1 input_ids"},
        {"{\"input_ids\": [1], \"label\": -1}", "label -1 is negative"},
        {"{\"input_ids\": [1], \"label\": 1}\n{\"input_ids\": [1], \"label\": null}",
         "line 2: the label is missing (null)"},
        {"{\"input_ids\": [1], \"label\": \"a\"}\n{\"input_ids\": [1], \"label\": \" \"}",
         "line 2: the label is missing (an empty text)"},
        {"{\"input_ids\": [1], \"label\": NaN}", "line 1"},
        {"{\"input_ids\": [1], \"label\": 1.5}", "not a fraction"},
        {"{\"input_ids\": [1], \"label\": true}", "integer or text"},
        {"{\"input_ids\": [1], \"label\": 100000}", "more than 100000 classes"},
        {"{\"input_ids\": [1], \"label\": 1}\n{\"input_ids\": [1], \"label\": \"1\"}",
         "line 2: labels are integers in some rows and text in others"},
        {"{\"input_ids\": [1], \"label\": \"1\"}\n{\"input_ids\": [1], \"label\": 1}",
         "line 2: labels are integers in some rows and text in others"},
        {"{\"input_ids\": [1], \"label\": \"\xff\"}", "line 1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct labels labels = {0};
        struct dataset *d;
        struct err err = ERR_INIT;
        int rc = load(bad[i].text, &(struct data_spec){.vocab_size = 10}, NULL, &labels,
                      &d, NULL, &err);
        assert_int_equal(rc, -ERR_PARSE);
        assert_null(d);
        assert_int_equal(labels.count, 0);
        assert_non_null(strstr(err.msg, path));
        if (!strstr(err.msg, bad[i].message))
            fail_msg("'%s' lacks '%s'", err.msg, bad[i].message);
    }
    struct labels labels = {0};
    struct dataset *d;
    struct err err = ERR_INIT;
    assert_int_equal(dataset_load("/nonexistent.jsonl", &(struct data_spec){0}, NULL,
                                  &labels, &d, NULL, &err),
                     -ERR_NOINPUT);
}

/* The first N of one permutation of the file: 3 rows are among the 7 of the same seed. */
static void test_subset(void **state)
{
    (void)state;
    char text[2048] = "";
    for (int i = 0; i < 20; i++)
        sprintf(text + strlen(text), "{\"input_ids\": [%d], \"label\": %d}\n", i, i % 3);
    struct dataset *d[4];
    const struct data_spec specs[] = {{.max_samples = 3, .seed = 1},
                                      {.max_samples = 7, .seed = 1},
                                      {.max_samples = 7, .seed = 2},
                                      {.max_samples = 99, .seed = 1}};
    for (size_t i = 0; i < 4; i++) {
        struct labels labels = {0};
        assert_int_equal(load(text, &specs[i], NULL, &labels, &d[i], NULL, NULL), 0);
        assert_int_equal(labels.count, 3); /* the whole file teaches the classes */
        labels_release(&labels);
    }
    assert_int_equal(d[0]->count, 3);
    assert_int_equal(d[1]->count, 7);
    assert_int_equal(d[3]->count, 20);
    bool same = true, seen[20] = {false};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(d[0]->rows[i].ids[0], d[1]->rows[i].ids[0]);
    for (size_t i = 0; i < 7; i++)
        same = same && d[1]->rows[i].ids[0] == d[2]->rows[i].ids[0];
    assert_false(same);
    for (size_t i = 0; i < 20; i++)
        seen[d[3]->rows[i].ids[0]] = true;
    for (size_t i = 0; i < 20; i++)
        assert_true(seen[i]);
    for (size_t i = 0; i < 4; i++)
        dataset_free(d[i]);
}

/* The sides of a split have every row once, whatever the trial's seed. */
static void test_held_out(void **state)
{
    (void)state;
    char text[2048] = "";
    for (int i = 0; i < 20; i++)
        sprintf(text + strlen(text), "{\"input_ids\": [%d], \"label\": %d}\n", i, i % 3);
    const struct data_spec specs[] = {
        {.held_out_share = 0.25, .held_out = true},
        {.held_out_share = 0.25, .seed = 3},
        {.held_out_share = 0.25, .held_out = true, .split_seed = 1},
        {.held_out_share = 0.25, .max_samples = 4},
        {.held_out_share = 0.001, .held_out = true},
    };
    static const size_t counts[] = {5, 15, 5, 4, 1};
    struct dataset *d[ARRAY_LEN(specs)];
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        struct labels labels = {0};
        assert_int_equal(load(text, &specs[i], NULL, &labels, &d[i], NULL, NULL), 0);
        assert_int_equal(labels.count, 3);
        assert_int_equal(d[i]->count, counts[i]);
        labels_release(&labels);
    }
    bool seen[20] = {false}, same = true;
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < d[i]->count; k++) {
            const int32_t id = d[i]->rows[k].ids[0];
            assert_false(seen[id]);
            seen[id] = true;
            assert_true(k == 0 || id > d[i]->rows[k - 1].ids[0]); /* file order */
        }
    for (size_t k = 0; k < 5; k++)
        same = same && d[0]->rows[k].ids[0] == d[2]->rows[k].ids[0];
    assert_false(same);
    for (size_t k = 0; k < 4; k++) /* the subset is of the training side */
        for (size_t h = 0; h < 5; h++)
            assert_int_not_equal(d[3]->rows[k].ids[0], d[0]->rows[h].ids[0]);
    for (size_t i = 0; i < ARRAY_LEN(specs); i++)
        dataset_free(d[i]);
    struct labels labels = {0};
    struct dataset *one;
    struct err err = ERR_INIT;
    assert_int_equal(load("{\"input_ids\": [1], \"label\": 0}\n", &specs[0], NULL,
                          &labels, &one, NULL, &err),
                     -ERR_PARSE);
    assert_non_null(strstr(err.msg, "one row cannot be split"));
}

static const float *first_targets(const char *text, enum label_kind p, int32_t num_labels,
                                  size_t count, struct dataset **d)
{
    struct labels labels = {0};
    struct err err = ERR_INIT;
    const struct data_spec spec = {.labels = p, .num_labels = num_labels};
    if (load(text, &spec, NULL, &labels, d, NULL, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(labels.count, count);
    labels_release(&labels);
    return (*d)->rows[0].targets;
}

/* Numbers and lists of labels instead of classes. */
static void test_targets(void **state)
{
    (void)state;
    struct dataset *d;
    const float *t = first_targets("{\"input_ids\": [1], \"label\": -0.5}\n"
                                   "{\"input_ids\": [1], \"label\": 2}\n",
                                   LABEL_numbers, 1, 1, &d);
    assert_float_equal(t[0], -0.5, 0);
    assert_float_equal(d->rows[1].targets[0], 2, 0);
    dataset_free(d);
    t = first_targets("{\"input_ids\": [1], \"label\": [1.5, 3]}\n", LABEL_numbers, 0, 2,
                      &d);
    assert_float_equal(t[1], 3, 0);
    dataset_free(d);
    t = first_targets("{\"input_ids\": [1], \"label\": [0, 1, 0.25]}\n", LABEL_set, 0, 3,
                      &d);
    assert_float_equal(t[2], 0.25, 0);
    dataset_free(d);
    t = first_targets("{\"input_ids\": [1], \"label\": [\"b\", \"c\"]}\n"
                      "{\"input_ids\": [1], \"label\": []}\n"
                      "{\"input_ids\": [1], \"label\": [\"a\"]}\n",
                      LABEL_set, 4, 4, &d);
    assert_memory_equal(t, ((float[]){0, 1, 1, 0}), 16);
    assert_memory_equal(d->rows[1].targets, ((float[]){0, 0, 0, 0}), 16);
    dataset_free(d);
}

static void test_targets_refused(void **state)
{
    (void)state;
    static const struct {
        enum label_kind problem;
        int32_t num_labels;
        const char *first, *second, *part;
    } cases[] = {
        {LABEL_numbers, 0, "\"x\"", "1", "line 1: the label of a regression must be"},
        {LABEL_numbers, 0, "[]", "1", "line 1: the label of a regression must be"},
        {LABEL_numbers, 0, "1", "[1, 2]", "line 2: 2 numbers, but 1 in the rows before"},
        {LABEL_numbers, 3, "[1, 2]", "[1, 2]",
         "line 1: 2 numbers in the label, but there are 3"},
        {LABEL_numbers, 1, "[1, 2]", "[1, 2]", "2 classes, but num_labels is 1"},
        {LABEL_numbers, 0, "1e300", "1", "line 1: label 1e+300 is out of range"},
        {LABEL_set, 0, "1", "[1]", "line 1: the label must be a list"},
        {LABEL_set, 0, "[0, 2]", "[0, 1]", "line 1: label 2 is out of range"},
        {LABEL_set, 0, "[\"a\"]", "[0, 1]", "line 2: labels are numbers in some rows"},
        {LABEL_set, 0, "[\"a\",1]", "[\"a\"]", "line 1: the label must be a list"},
        {LABEL_set, 0, "[0, 1]", "[\"a\"]", "line 2: labels are integers in some rows"},
        {LABEL_set, 0, "[]", "[]", "no row has a label"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct labels labels = {0};
        struct dataset *d;
        struct err err = ERR_INIT;
        const struct data_spec spec = {.labels = cases[i].problem,
                                       .num_labels = cases[i].num_labels};
        char text[200];
        snprintf(text, sizeof text,
                 "{\"input_ids\": [1], \"label\": %s}\n{\"input_ids\": [1], \"label\": "
                 "%s}\n",
                 cases[i].first, cases[i].second);
        assert_true(load(text, &spec, NULL, &labels, &d, NULL, &err) < 0);
        assert_null(d);
        if (!strstr(err.msg, cases[i].part))
            fail_msg("'%s' lacks '%s'", err.msg, cases[i].part);
    }
}

static void test_order(void **state)
{
    (void)state;
    const struct dataset d = {.count = 50};
    uint32_t plain[50], first[50], again[50], second[50], other[50];
    dataset_order(&d, false, 1, 3, plain);
    dataset_order(&d, true, 1, 0, first);
    dataset_order(&d, true, 1, 0, again);
    dataset_order(&d, true, 1, 1, second);
    dataset_order(&d, true, 2, 0, other);
    bool seen[50] = {false};
    for (uint32_t i = 0; i < 50; i++) {
        assert_int_equal(plain[i], i);
        assert_true(first[i] < 50 && !seen[first[i]]);
        seen[first[i]] = true;
    }
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, plain, sizeof first);
    assert_memory_not_equal(first, second, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_num_labels),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_subset),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_held_out),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_targets_refused),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
