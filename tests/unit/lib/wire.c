/* tests/unit/lib/wire.c - checksums, protobuf, TFRecord and LevelDB's logs. */
#include "lib/mem.h"
#include "lib/wire/crc.h"
#include "lib/wire/protobuf.h"
#include "lib/wire/records.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* The check values of the catalogue of CRCs; the masked one is LevelDB's own test. */
static void checksums(void **state)
{
    (void)state;
    assert_int_equal(crc32_ieee(0, "123456789", 9), 0xcbf43926u);
    assert_int_equal(crc32_castagnoli(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(crc32_ieee(crc32_ieee(0, "1234", 4), "56789", 5), 0xcbf43926u);
    assert_int_equal(
        crc32_castagnoli(0,
                         "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                         "\0\0\0\0\0\0",
                         32),
        0x8a9136aau);
    assert_int_equal(crc32_masked(0), 0xa282ead8u);
}

static void a_message_field_by_field(void **state)
{
    (void)state;
    /* 1: 150, 2: "testing", 3: 1.0f, 4: 1.0, 5: {1: -1} */
    static const unsigned char bytes[] =
        "\x08\x96\x01\x12\x07testing\x1d\x00\x00\x80\x3f\x21\x00\x00\x00\x00\x00\x00\xf0"
        "\x3f\x2a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    struct pb p = pb_of(bytes, sizeof bytes - 1), within;
    struct pb_field f;
    assert_true(pb_next(&p, &f) && f.number == 1 && pb_int(&f) == 150);
    assert_true(isnan(pb_double(&f)) && isnan(pb_float(&f)));
    assert_true(pb_next(&p, &f) && f.number == 2 && f.length == 7);
    assert_memory_equal(f.data, "testing", 7);
    assert_int_equal(pb_int(&f), 0);
    assert_true(pb_next(&p, &f) && pb_float(&f) == 1.0);
    assert_true(pb_next(&p, &f) && pb_double(&f) == 1.0);
    within = pb_within(&f);
    assert_false(pb_next(&within, &f) || within.bad); /* a number holds no message */
    assert_true(pb_next(&p, &f) && f.number == 5);
    within = pb_within(&f);
    assert_true(pb_next(&within, &f) && pb_int(&f) == -1);
    assert_false(pb_next(&within, &f) || within.bad);
    assert_false(pb_next(&p, &f) || p.bad);
}

static void what_is_no_message_ends_it(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } bad[] = {
        {"\x12\x05"
         "ab",
         4},             /* longer than what is there */
        {"\x08\xff", 2}, /* half a varint */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, /* too long a one */
        {"\x00\x01", 2},                                          /* number 0 */
        {"\x0b", 1},                                              /* a group */
        {"\x09\x00\x00", 3},                                      /* half a double */
        {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},     /* a huge length */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct pb p = pb_of(bad[i].bytes, bad[i].length);
        struct pb_field f;
        assert_false(pb_next(&p, &f));
        assert_true(p.bad);
        assert_false(pb_next(&p, &f));
    }
}

static void little(struct buf *out, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buf_char(out, (char)(v >> 8 * i & 0xff));
}

static void put_tfrecord(struct buf *out, const char *data, size_t n)
{
    const size_t at = out->len;
    little(out, n, 8);
    little(out, crc32_masked(crc32_castagnoli(0, out->data + at, 8)), 4);
    buf_add(out, data, n);
    little(out, crc32_masked(crc32_castagnoli(0, data, n)), 4);
}

static void tfrecords_pass_over_damage_and_stop_at_a_torn_end(void **state)
{
    (void)state;
    struct buf file = BUF_INIT;
    struct tfrecords r;
    struct record record;
    put_tfrecord(&file, "one", 3);
    put_tfrecord(&file, "", 0);
    put_tfrecord(&file, "three", 5);
    for (size_t cut = 0; cut <= 20; cut++) { /* the third is 21 bytes long */
        tfrecords_init(&r, file.data, file.len - cut);
        assert_true(tfrecords_next(&r, &record) && record.length == 3);
        assert_true(tfrecords_next(&r, &record) && record.length == 0);
        assert_int_equal(tfrecords_next(&r, &record), cut == 0);
        assert_false(tfrecords_next(&r, &record));
        assert_int_equal(r.torn, cut > 0);
        assert_int_equal(r.damaged, 0);
    }
    file.data[12] ^= 1; /* the first record's bytes */
    tfrecords_init(&r, file.data, file.len);
    assert_true(tfrecords_next(&r, &record) && record.length == 0);
    assert_true(tfrecords_next(&r, &record) && record.length == 5);
    assert_int_equal(r.damaged, 1);
    file.data[19] ^= 1; /* the second one's length */
    tfrecords_init(&r, file.data, file.len);
    assert_false(tfrecords_next(&r, &record));
    assert_int_equal(r.damaged, 2);
    buf_release(&file);
}

static void put_chunk(struct buf *out, unsigned char type, char fill, size_t n)
{
    struct buf data = BUF_INIT;
    for (size_t i = 0; i < n; i++)
        buf_char(&data, fill);
    little(
        out,
        crc32_masked(crc32_castagnoli(crc32_castagnoli(0, &type, 1), buf_str(&data), n)),
        4);
    little(out, n, 2);
    little(out, type, 1);
    buf_add(out, buf_str(&data), n);
    buf_release(&data);
}

/* Three blocks: a record within the first, one over all three, one behind it. */
static void make_log(struct buf *file)
{
    enum { BLOCK = 32768, HEAD = 7 };
    put_chunk(file, 1, 'a', 10);
    put_chunk(file, 2, 'b', BLOCK - 2 * HEAD - 10);
    put_chunk(file, 3, 'b', BLOCK - HEAD);
    put_chunk(file, 4, 'b', 5);
    put_chunk(file, 1, 'c', 3);
}

static void a_log_goes_on_in_the_next_block(void **state)
{
    (void)state;
    struct buf file = BUF_INIT;
    struct log_blocks l;
    struct record record;
    make_log(&file);
    log_blocks_init(&l, file.data, file.len, 0, NULL);
    assert_true(log_blocks_next(&l, &record) && record.length == 10);
    assert_true(log_blocks_next(&l, &record) &&
                record.length == 32768 - 24 + 32768 - 7 + 5 && record.data[70] == 'b');
    assert_true(log_blocks_next(&l, &record) && record.length == 3);
    assert_false(log_blocks_next(&l, &record));
    assert_true(l.damaged == 0 && !l.torn);
    log_blocks_release(&l);

    file.data[40000] ^= 1; /* the middle one's second block */
    log_blocks_init(&l, file.data, file.len, 0, NULL);
    assert_true(log_blocks_next(&l, &record) && record.data[0] == 'a');
    assert_true(log_blocks_next(&l, &record));
    assert_true(log_blocks_next(&l, &record) && record.data[0] == 'c');
    assert_true(l.damaged > 0);
    log_blocks_release(&l);
    buf_release(&file);
}

static void a_log_may_end_anywhere(void **state)
{
    (void)state;
    struct buf file = BUF_INIT;
    struct record record;
    make_log(&file);
    for (size_t cut = 1; cut < 30; cut++) {
        struct log_blocks l;
        size_t whole = 0;
        log_blocks_init(&l, file.data, file.len - cut, 0, NULL);
        while (log_blocks_next(&l, &record))
            whole++;
        /* the last chunk is 10 bytes long, the one before 12; cut between, it is no tear */
        assert_int_equal(whole, cut <= 10 ? 2 : 1);
        assert_int_equal(l.torn, cut != 10);
        assert_int_equal(l.damaged, 0);
        log_blocks_release(&l);
    }
    buf_release(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums),
        cmocka_unit_test(a_message_field_by_field),
        cmocka_unit_test(what_is_no_message_ends_it),
        cmocka_unit_test(tfrecords_pass_over_damage_and_stop_at_a_torn_end),
        cmocka_unit_test(a_log_goes_on_in_the_next_block),
        cmocka_unit_test(a_log_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
