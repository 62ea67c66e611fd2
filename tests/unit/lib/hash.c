/* SHA-256, FNV-1a, the string table, Philox and what is drawn from it. */
#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void sha256(void **state)
{
    (void)state;
    char hex[SHA256_HEX];
    sha256_hex("", 0, hex);
    assert_string_equal(
        hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_hex("abc", 3, hex);
    assert_string_equal(
        hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    char path[] = "/tmp/lib_hash-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "abc", 3), 3);
    close(fd);
    char again[SHA256_HEX];
    struct err err = ERR_INIT;
    assert_int_equal(sha256_file(path, again, &err), 0);
    assert_string_equal(again, hex);
    unlink(path);
    assert_int_equal(sha256_file(path, again, &err), -ERR_NOINPUT);
}

static void fnv(void **state)
{
    (void)state;
    assert_true(hash64("", 0) == 0xcbf29ce484222325u);
    assert_true(hash64("a", 1) == 0xaf63dc4c8601ec8cu);
    assert_true(hash64("foobar", 6) == 0x85944171f73967e8u);
}

static void string_table(void **state)
{
    (void)state;
    struct strmap *m = strmap_new();
    int64_t v = -1;
    char name[32];
    assert_int_equal(strmap_get(m, "x", 1, &v), 0);
    for (int i = 0; i < 20000; i++) {
        int n = snprintf(name, sizeof name, "key %d", i);
        strmap_put(m, name, (size_t)n, i);
    }
    memset(name, 0, sizeof name);
    assert_int_equal(strmap_count(m), 20000);
    for (int i = 0; i < 20000; i++) {
        int n = snprintf(name, sizeof name, "key %d", i);
        assert_int_equal(strmap_get(m, name, (size_t)n, &v), 1);
        assert_int_equal(v, i);
    }
    strmap_put(m, "key 5", 5, -7);
    assert_int_equal(strmap_count(m), 20000);
    strmap_get(m, "key 5", 5, &v);
    assert_int_equal(v, -7);
    strmap_put(m, "", 0, 1);
    strmap_put(m, "a\0b", 3, 2);
    strmap_put(m, "a", 1, 3);
    assert_int_equal(strmap_get(m, "", 0, &v), 1);
    assert_int_equal(v, 1);
    assert_int_equal(strmap_get(m, "a\0b", 3, &v), 1);
    assert_int_equal(v, 2);
    assert_int_equal(strmap_get(m, "a\0c", 3, &v), 0);
    strmap_free(m);
    strmap_free(NULL);
}

/* kat_vectors of Random123 1.14. */
static void philox_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t ctr[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct philox_key key = {{known[i].key[0], known[i].key[1]}};
        uint32_t out[4];
        philox4x32(&key, known[i].ctr, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

static void streams_differ(void **state)
{
    (void)state;
    struct philox_key a = rng_key(1, "init"), b = rng_key(1, "shuffle"),
                      c = rng_key(2, "init"), again = rng_key(1, "init");
    assert_memory_equal(&a, &again, sizeof a);
    assert_memory_not_equal(&a, &b, sizeof a);
    assert_memory_not_equal(&a, &c, sizeof a);
    assert_true(rng_uniform(&a, 0, 5) != rng_uniform(&a, 1, 5));
    assert_true(rng_uniform(&a, 0, 5) == rng_uniform(&a, 0, 5));
}

/* Moments within five standard errors; the draws are fixed, so this never flickers. */
static void moments(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct philox_key key = rng_key(3, "moments");
    double u = 0, z = 0, z2 = 0, z4 = 0;
    for (uint64_t i = 0; i < N; i++) {
        double x = rng_uniform(&key, 0, i), y = rng_normal(&key, 1, i);
        assert_true(x >= 0 && x < 1);
        u += x;
        z += y;
        z2 += y * y;
        z4 += y * y * y * y;
    }
    double se = 5 / sqrt(N);
    assert_true(fabs(u / N - .5) < se * sqrt(1. / 12));
    assert_true(fabs(z / N) < se);
    assert_true(fabs(z2 / N - 1) < se * sqrt(2));
    assert_true(fabs(z4 / N - 3) < se * sqrt(96));
    assert_true(rng_uniform24(0) == 0);
    assert_true(rng_uniform24(UINT32_MAX) < 1);
    assert_true(rng_uniform24(0x80000000) == .5f);
}

static void below_is_even(void **state)
{
    (void)state;
    struct philox_key key = rng_key(4, "below");
    int hits[7] = {0};
    for (uint64_t i = 0; i < 70000; i++)
        hits[rng_below(&key, 0, i, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_true(abs(hits[i] - 10000) < 500);
    assert_int_equal(rng_below(&key, 0, 0, 1), 0);
}

static void permutations(void **state)
{
    (void)state;
    struct philox_key key = rng_key(5, "shuffle");
    enum { N = 1000 };
    uint32_t p[N], q[N];
    unsigned char seen[N] = {0};
    rng_permutation(&key, 0, N, p);
    rng_permutation(&key, 1, N, q);
    assert_memory_not_equal(p, q, sizeof p);
    for (int i = 0; i < N; i++) {
        assert_true(p[i] < N && !seen[p[i]]);
        seen[p[i]] = 1;
    }
    /* All six orders of three come about equally often. */
    int orders[6] = {0};
    for (uint64_t s = 0; s < 6000; s++) {
        uint32_t r[3];
        rng_permutation(&key, s, 3, r);
        orders[r[0] * 2 + (r[1] > r[2])]++;
    }
    for (int i = 0; i < 6; i++)
        assert_true(abs(orders[i] - 1000) < 150);
    rng_permutation(&key, 0, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256),         cmocka_unit_test(fnv),
        cmocka_unit_test(string_table),   cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(streams_differ), cmocka_unit_test(moments),
        cmocka_unit_test(below_is_even),  cmocka_unit_test(permutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
