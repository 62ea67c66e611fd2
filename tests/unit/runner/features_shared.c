/* tests/unit/runner/features_shared.c - what frozen layers gave in one trial is put in place
 * in others, and no bit of theirs changes; never where anything below is another's. */
#include "tests/unit/support/feature_trials.h"
#include "runner/cache/entries.h"

static char *cache;

static void begin_cache(void)
{
    cache = fs_join(dir, "cache");
    setenv("PEFTLAB_CACHE", cache, 1);
}

static void end_cache(void)
{
    if (fs_exists(cache))
        assert_int_equal(fs_remove_tree(cache, NULL), 0);
    setenv("PEFTLAB_CACHE", "off", 1);
    free(cache);
}

/* Of entries of features; with `damage` a byte of each is another afterwards. */
static int count_entries(bool damage)
{
    struct cache_file *files;
    const size_t count = cache_folder_list(cache, &files);
    int found = 0;
    for (size_t i = 0; i < count; i++) {
        if (!strstr(files[i].path, "/features-"))
            continue;
        FILE *f = damage ? fopen(files[i].path, "r+b") : NULL;
        int byte = f ? fgetc(f) : 0;
        found++;
        if (!f)
            continue;
        rewind(f);
        fputc(byte ^ 1, f);
        fclose(f);
    }
    cache_folder_free(files, count);
    return found;
}

enum { ALL = 100 };

/* With the keys: the bits are those of computing everything, and so many per cent of the
 * tokens at least (ALL: each) did not go through the layers below the cut. */
static void must_reuse(const char *text, const char *keys, int per_cent)
{
    char *without = xasprintf("cache_features: off, %s", keys),
         *with = xasprintf("cache_features: on, %s", keys);
    struct outcome off, on;
    must_run(text, without, &off);
    must_run(text, with, &on);
    must_equal(text, &off, &on);
    const int64_t tokens = whole(&on, "train", "tokens"),
                  reused = whole(&on, "train", "reused_tokens"),
                  kept = whole(&on, "mem", "features_bytes");
    assert_true(kept > 0);
    assert_true(whole(&on, "mem", "shared_bytes") >= kept);
    assert_int_equal(whole(&on, "mem", "allocated_bytes"),
                     whole(&on, "mem", "planned_bytes"));
    if (reused * 100 < tokens * per_cent || (reused == tokens && per_cent < ALL))
        fail_msg("%s, %s: %lld of %lld tokens are reused", text, keys, (long long)reused,
                 (long long)tokens);
    outcome_release(&off);
    outcome_release(&on);
    free(without);
    free(with);
}

/* What is above the cut, the seed and the order of rows may be another's. */
static const struct {
    const char *first, *second;
} sharing[] = {
    {"model: bert, method: head, learning_rate: 0.05, eval_steps: 4, seed: 1",
     "model: bert, method: head, learning_rate: 0.2, seed: 2, shuffle: false"},
    {"model: bert, method: lora, " UPPER "seed: 1",
     "model: bert, method: lora, " UPPER
     "rank: 4, target_modules: [key], lora_dropout: 0.2, seed: 2"},
    {"model: bert, method: lora, " UPPER "seed: 1",
     "model: bert, method: pissa, " UPPER "rank: 4, seed: 2"},
    {"model: bert, method: lora, " UPPER "dtype: bfloat16, seed: 1",
     "model: bert, method: lora, " UPPER "dtype: bfloat16, seed: 2, rank: 2"},
    {"model: bert, method: qlora, " UPPER "seed: 1",
     "model: bert, method: qlora, " UPPER "seed: 3, gradient_checkpointing: true"},
    {"model: bert, method: dora, " UPPER "seed: 1",
     "model: bert, method: dora, " UPPER "seed: 2, gradient_accumulation_steps: 3"},
    {"model: bert, method: vera, " UPPER "seed: 1",
     "model: bert, method: vera, " UPPER "seed: 2, rank: 4"},
    {"model: llama, method: lora, " UPPER "seed: 1",
     "model: llama, method: lora, " UPPER "seed: 2, packing: bfd, batch_size: 2"},
    {"model: llama-cls, method: head, learning_rate: 0.05, seed: 1",
     "model: llama-cls, method: head, learning_rate: 0.01, seed: 2"},
};

static void test_between_trials(void **state)
{
    (void)state;
    static const char *const backends[] = {"ref", "cpu"};
    for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
        setenv("PEFTLAB_BACKEND", backends[b], 1);
        for (size_t i = 0; i < ARRAY_LEN(sharing); i++) {
            begin_cache();
            must_reuse(sharing[i].first, "weight_decay: 0", 40);
            const int made = count_entries(false);
            assert_in_range(made, 2, 3);
            must_reuse(sharing[i].second, "weight_decay: 0", ALL);
            assert_int_equal(count_entries(false), made);
            end_cache();
        }
    }
    unsetenv("PEFTLAB_BACKEND");
}

static int64_t reused(const char *text, const char *keys)
{
    struct outcome o;
    must_run(text, keys, &o);
    const int64_t tokens = whole(&o, "train", "reused_tokens");
    outcome_release(&o);
    return tokens;
}

/* The rows are computed once, before the first batch instead of with each of them; by a
 * trial that ends before it has seen all of them, those that it sees. */
static void test_each_row_once(void **state)
{
    static const char text[] = "model: bert, method: head, learning_rate: 0.05";
    (void)state;
    const int64_t within = reused(text, "cache_features: on");
    assert_true(within > 0);
    begin_cache();
    assert_int_equal(reused(text, "cache_features: on"), within);
    end_cache();
    begin_cache();
    assert_int_equal(reused(text, "cache_features: on, max_steps: 3"), 0);
    must_reuse(text, "seed: 4", 40);
    end_cache();
}

/* Other rows, other values of the base, another processor's vectors are other entries;
 * and what is damaged is computed again. */
static void test_not_another_s(void **state)
{
    static const char text[] = "model: bert, method: head, learning_rate: 0.05";
    (void)state;
    begin_cache();
    must_reuse(text, "weight_decay: 0", 40);
    assert_int_equal(count_entries(false), 2);
    must_reuse(text, "max_train_samples: 12", 40);
    assert_int_equal(count_entries(false), 3);
    write_rows("rows_eval.jsonl", 9, 5, true);
    must_reuse(text, "weight_decay: 0", ALL); /* of the training's */
    assert_int_equal(count_entries(false), 4);
    must_reuse(text, "base_dtype: bfloat16", 40);
    assert_int_equal(count_entries(false), 6);
    must_reuse(text, "dtype: bfloat16", 40);
    assert_int_equal(count_entries(false), 8);
    setenv("PEFTLAB_BACKEND", "ref", 1);
    must_reuse(text, "weight_decay: 0", 40);
    unsetenv("PEFTLAB_BACKEND");
    assert_int_equal(count_entries(true), 10);
    must_reuse(text, "weight_decay: 0", 40);
    must_reuse(text, "weight_decay: 0", ALL);
    assert_int_equal(count_entries(false), 10);
    end_cache();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_between_trials),
        cmocka_unit_test(test_each_row_once),
        cmocka_unit_test(test_not_another_s),
    };
    int rc = cmocka_run_group_tests(tests, setup, teardown);
    buf_release(&seen.numbers);
    return rc;
}
