/* runner/text/precompiled.c - the Precompiled normaliser: sentencepiece's map of
 * characters, as T5, XLM-R and CamemBERT come with it (tokenizers
 * normalizers/precompiled.rs, crate spm_precompiled).
 *
 * The map is base64 of: u32 n, n bytes of a double-array trie (Darts: units of 32 bits),
 * then the texts that it points to, each ended by a zero byte. Per grapheme, and where
 * that has six bytes or more or is not in the trie, per character: the text of its
 * SHORTEST prefix in the trie takes the place of all of it. That looks wrong for a letter
 * with a mark that are two characters, but is what the reference does. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define GROWN_MAX      ((size_t)1 << 24)
#define GRAPHEME_BYTES 6 /* from here on character by character */

struct precompiled {
    unsigned char *data; /* owner of both */
    const unsigned char *units;
    size_t unit_count;
    const char *texts;
    size_t text_bytes;
};

static uint32_t unit_at(const struct precompiled *p, size_t i)
{
    const unsigned char *u = p->units + 4 * i;
    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 |
           (uint32_t)u[3] << 24;
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* The text for the shortest prefix of `key` that the trie has; NULL: it has none. */
static const char *find(const struct precompiled *p, const unsigned char *key, size_t n)
{
    size_t at = p->unit_count ? offset_of(unit_at(p, 0)) : 0;
    for (size_t i = 0; i < n && key[i]; i++) {
        at ^= key[i];
        if (at >= p->unit_count)
            return NULL;
        const uint32_t unit = unit_at(p, at);
        if ((unit & (1u << 31 | 0xff)) != key[i])
            return NULL;
        at ^= offset_of(unit);
        if (at >= p->unit_count)
            return NULL;
        if (unit >> 8 & 1) {
            const size_t value = unit_at(p, at) & ~(1u << 31);
            return value < p->text_bytes ? p->texts + value : NULL;
        }
    }
    return NULL;
}

/* `old` characters become those of `text` (UTF-8, checked when the map was read). */
static void replace(struct rewrite *r, size_t old, const char *text)
{
    const size_t first = r->n, bytes = strlen(text);
    for (size_t i = 0; i < bytes;) {
        int32_t cp;
        i += (size_t)utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                      (utf8proc_ssize_t)(bytes - i), &cp);
        rewrite_add(r, cp, r->n - first < old ? 0 : 1);
    }
    const size_t count = r->n - first;
    if (count < old && r->n)
        r->at[r->n - 1].change -= (int)(old - count);
}

static size_t grapheme_end(const struct text *t, size_t from)
{
    utf8proc_int32_t state = 0;
    size_t end = from + 1;
    while (end < t->n &&
           !utf8proc_grapheme_break_stateful(t->at[end - 1].cp, t->at[end].cp, &state))
        end++;
    return end;
}

static void apply(const void *config, struct text *t, struct err *err)
{
    const struct precompiled *p = config;
    struct rewrite r = {0};
    struct buf bytes = BUF_INIT;
    for (size_t i = 0, end; i < t->n && r.n <= GROWN_MAX; i = end) {
        end = grapheme_end(t, i);
        buf_clear(&bytes);
        utf8_append(&bytes, t->at + i, end - i);
        const char *whole =
            bytes.len < GRAPHEME_BYTES
                ? find(p, (const unsigned char *)buf_str(&bytes), bytes.len)
                : NULL;
        if (whole)
            replace(&r, end - i, whole);
        for (size_t k = i; k < end && !whole; k++) {
            buf_clear(&bytes);
            utf8_append(&bytes, t->at + k, 1);
            const char *one = find(p, (const unsigned char *)buf_str(&bytes), bytes.len);
            if (one)
                replace(&r, 1, one);
            else
                rewrite_add(&r, t->at[k].cp, 0);
        }
    }
    if (r.n > GROWN_MAX && r.n > t->n)
        (void)err_set(err, ERR_PARSE, "Precompiled: more than %zu characters", GROWN_MAX);
    else
        text_rewrite(t, &r);
    buf_release(&bytes);
    free(r.at);
}

static void release(void *config)
{
    struct precompiled *p = config;
    free(p->data);
    free(p);
}

int precompiled_normalizer(const json_t *json, struct normalizer *out, struct err *err)
{
    const json_t *map = json_object_get(json, "precompiled_charsmap");
    const size_t length = json_string_length(map);
    struct precompiled *p = xcalloc(1, sizeof *p);
    *out = (struct normalizer){p, apply, release};
    p->data = xmalloc(length + 1);
    const int64_t bytes = str_base64_decode(json_string_value(map), length, p->data);
    size_t units = 0;
    for (int i = 3; i >= 0 && bytes >= 4; i--)
        units = units << 8 | p->data[i];
    if (bytes < 4 || units % 4 || units > (size_t)bytes - 4)
        return err_set(err, ERR_PARSE,
                       "normalizer: precompiled_charsmap is no map of characters");
    p->data[bytes] = 0; /* ends the last text, whatever it is */
    p->units = p->data + 4;
    p->unit_count = units / 4;
    p->texts = (const char *)p->data + 4 + units;
    p->text_bytes = (size_t)bytes - 4 - units;
    for (size_t i = 0; i < p->text_bytes;) {
        int32_t cp;
        const utf8proc_ssize_t k =
            utf8proc_iterate((const utf8proc_uint8_t *)p->texts + i,
                             (utf8proc_ssize_t)(p->text_bytes - i), &cp);
        if (k <= 0)
            return err_set(err, ERR_PARSE,
                           "normalizer: precompiled_charsmap is not UTF-8");
        i += (size_t)k;
    }
    return 0;
}
