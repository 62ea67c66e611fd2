/* tracker/view/row_results.c - see row_results.h. */
#include "tracker/view/row_results.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC      "peftrows"
#define VERSION    1
#define HEAD_BYTES 96

enum cell { FLOATS, CLASS, COUNT, BITS }; /* what a column's entries are */
enum { C = 1 << ROW_class, N = 1 << ROW_numbers, S = 1 << ROW_set };
enum { T = 1 << ROW_tokens | 1 << ROW_texts, X = 1 << ROW_texts };

static const struct column {
    unsigned kinds; /* bit k: of enum row_kind k */
    enum cell cell;
    bool wide; /* width of them in a row */
} columns[ROW_COLUMNS] = {
    [COLUMN_loss] = {C | N | S | T, FLOATS, false},
    [COLUMN_predicted] = {C, CLASS, false},
    [COLUMN_label] = {C, CLASS, false},
    [COLUMN_outputs] = {N, FLOATS, true},
    [COLUMN_targets] = {N, FLOATS, true},
    [COLUMN_said] = {S, BITS, true},
    [COLUMN_truth] = {S, BITS, true},
    [COLUMN_tokens] = {T, COUNT, false},
    [COLUMN_right] = {T, COUNT, false},
    [COLUMN_exact] = {X, FLOATS, false},
    [COLUMN_rouge_l] = {X, FLOATS, false},
};

size_t row_column_bytes(enum row_kind kind, size_t width, enum row_column column)
{
    static const size_t bytes[] = {
        [FLOATS] = sizeof(float), [CLASS] = sizeof(uint16_t), [COUNT] = sizeof(uint32_t)};
    const struct column *c = &columns[column];
    if (!(c->kinds >> kind & 1))
        return 0;
    return c->cell == BITS ? (width + 7) / 8 : bytes[c->cell] * (c->wide ? width : 1);
}

static uint64_t file_bytes(enum row_kind kind, size_t width, uint64_t count)
{
    uint64_t n = HEAD_BYTES;
    for (int c = 0; c < ROW_COLUMNS; c++)
        n += count * row_column_bytes(kind, width, c);
    return n;
}

bool row_results_init(struct row_results *r, enum row_kind kind, size_t width,
                      size_t count)
{
    *r = (struct row_results){.kind = kind, .width = (uint32_t)width, .count = count};
    if (width > ROWS_MAX_WIDTH || count > ROWS_MAX ||
        file_bytes(kind, width, count) > ROWS_MAX_BYTES)
        return false;
    for (int c = 0; c < ROW_COLUMNS; c++) {
        const size_t bytes = row_column_bytes(kind, width, c);
        r->columns[c] = bytes ? xcalloc(count + 1, bytes) : NULL;
    }
    return true;
}

void row_results_release(struct row_results *r)
{
    for (int c = 0; c < ROW_COLUMNS; c++)
        free(r->columns[c]);
    *r = (struct row_results){0};
}

void row_results_identify(struct row_results *r, const char *data_sha256,
                          const uint32_t *lines)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "%s\n", data_sha256);
    for (size_t i = 0; i < r->count; i++)
        buf_printf(&b, "%u\n", lines[i]);
    sha256_hex(buf_str(&b), b.len, r->rows_sha256);
    memcpy(r->data_sha256, data_sha256, SHA256_HEX);
    buf_release(&b);
}

/* ---- bytes ---- */

static void put_number(struct buf *out, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buf_char(out, (char)(v >> 8 * i & 255));
}

static uint64_t take_number(const unsigned char *at, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes; i-- > 0;)
        v = v << 8 | at[i];
    return v;
}

static void put_digest(struct buf *out, const char *hex)
{
    for (int i = 0; i < 32; i++) {
        const char digits[] = {hex[2 * i], hex[2 * i + 1], 0};
        buf_char(out, (char)strtoul(digits, NULL, 16));
    }
}

static void take_digest(const unsigned char *at, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = digits[at[i] >> 4];
        hex[2 * i + 1] = digits[at[i] & 15];
    }
    hex[64] = '\0';
}

void row_results_write(const struct row_results *r, struct buf *out)
{
    buf_str_add(out, MAGIC);
    put_number(out, VERSION, 4);
    put_number(out, r->kind, 4);
    put_number(out, r->width, 4);
    put_number(out, 0, 4);
    put_number(out, r->count, 8);
    put_digest(out, r->data_sha256);
    put_digest(out, r->rows_sha256);
    for (int c = 0; c < ROW_COLUMNS; c++)
        if (r->columns[c])
            buf_add(out, r->columns[c],
                    r->count * row_column_bytes(r->kind, r->width, c));
}

static bool is_sound(const struct row_results *r, enum row_column c)
{
    const size_t entries = r->count * (columns[c].wide ? r->width : 1);
    const float *f = r->columns[c];
    const uint16_t *class = r->columns[c];
    for (size_t i = 0; f && columns[c].cell == FLOATS && i < entries; i++)
        if (!isfinite(f[i]))
            return false;
    for (size_t i = 0; class && columns[c].cell == CLASS && i < entries; i++)
        if (class[i] >= r->width)
            return false;
    return true;
}

static bool are_sound(const struct row_results *r)
{
    const uint32_t *tokens = r->columns[COLUMN_tokens], *right = r->columns[COLUMN_right];
    bool sound = true;
    for (int c = 0; c < ROW_COLUMNS; c++)
        sound = sound && is_sound(r, c);
    for (size_t i = 0; tokens && i < r->count; i++)
        sound = sound && right[i] <= tokens[i];
    return sound;
}

int row_results_read(const void *data, size_t n, struct row_results *out, struct err *err)
{
    const unsigned char *at = data;
    *out = (struct row_results){0};
    if (n < HEAD_BYTES || memcmp(at, MAGIC, 8) != 0)
        return err_set(err, ERR_PARSE, "these are no row results");
    const uint64_t version = take_number(at + 8, 4), kind = take_number(at + 12, 4),
                   width = take_number(at + 16, 4), count = take_number(at + 24, 8);
    if (version != VERSION)
        return err_set(err, ERR_PARSE,
                       "row results of version %llu: this program knows version %d",
                       (unsigned long long)version, VERSION);
    if (kind >= ROW_KINDS || take_number(at + 20, 4) || width > ROWS_MAX_WIDTH ||
        count > ROWS_MAX || file_bytes((enum row_kind)kind, width, count) != n ||
        !row_results_init(out, (enum row_kind)kind, width, count))
        return err_set(err, ERR_PARSE,
                       "row results are damaged: %zu bytes are not what "
                       "their head says",
                       n);
    take_digest(at + 32, out->data_sha256);
    take_digest(at + 64, out->rows_sha256);
    at += HEAD_BYTES;
    for (int c = 0; c < ROW_COLUMNS; c++) {
        const size_t bytes = count * row_column_bytes(out->kind, width, c);
        if (bytes)
            memcpy(out->columns[c], at, bytes);
        at += bytes;
    }
    if (are_sound(out))
        return 0;
    row_results_release(out);
    return err_set(err, ERR_PARSE, "row results are damaged: a value is out of range");
}
