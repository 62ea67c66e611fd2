/* runner/text/byte_level.c - ByteLevel (Radford et al. 2019; tokenizers
 * pre_tokenizers/byte_level.rs): text as bytes, each byte shown as one printable
 * character, so that a BPE model never meets an unknown one. Pre-tokeniser, decoder, and
 * how places are trimmed. */
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/regex.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* GPT-2's expression for words, with White_Space for Oniguruma's \s. */
#define WORDS                                                                            \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+|"    \
    "\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+"

#define BLANK 0x120 /* how the byte of a blank is shown */

/* Printable Latin-1 stands for itself; the other bytes, 0..20, 7F..A0 and AD, follow from
 * U+0100 on. */
static int32_t char_of(uint8_t byte)
{
    return byte <= 0x20                   ? 0x100 + byte
           : byte >= 0x7f && byte <= 0xa0 ? 0x121 + byte - 0x7f
           : byte == 0xad                 ? 0x143
                                          : byte;
}

/* The byte that a character shows, or -1. */
static int byte_of(int32_t cp)
{
    const int byte = cp < 0x100    ? cp
                     : cp <= 0x120 ? cp - 0x100
                     : cp <= 0x142 ? cp - 0x121 + 0x7f
                     : cp == 0x143 ? 0xad
                                   : -1;
    return byte >= 0 && char_of((uint8_t)byte) == cp ? byte : -1;
}

/* ---- pre-tokeniser ----------------------------------------------------------------- */

struct byte_level {
    bool add_prefix_space;
    struct regex *words; /* NULL: not cut */
};

static void prepend_blank(const struct place_char *at, size_t n, struct text *out)
{
    if (n && at[0].cp != ' ')
        text_add(out, (struct place_char){' ', at[0].begin, at[0].end});
    for (size_t i = 0; i < n; i++)
        text_add(out, at[i]);
}

/* All bytes of a character have its place. */
static void to_bytes(const struct place_char *at, size_t n, struct text *out)
{
    for (size_t i = 0; i < n; i++) {
        utf8proc_uint8_t b[4];
        const utf8proc_ssize_t k = utf8proc_encode_char(at[i].cp, b);
        for (utf8proc_ssize_t j = 0; j < k; j++)
            text_add(out, (struct place_char){char_of(b[j]), at[i].begin, at[i].end});
    }
}

static void apply(const void *config, struct words *w)
{
    const struct byte_level *c = config;
    if (c->add_prefix_space)
        words_rewrite(w, prepend_blank);
    if (c->words)
        words_split_regex(w, c->words, SPLIT_ISOLATED, false);
    words_rewrite(w, to_bytes);
}

static void release(void *config)
{
    struct byte_level *c = config;
    regex_free(c->words);
    free(c);
}

int byte_level_pre_tokenizer(const json_t *json, struct pre_tokenizer *out,
                             struct err *err)
{
    struct byte_level *c = xcalloc(1, sizeof *c);
    *out = (struct pre_tokenizer){c, apply, release};
    c->add_prefix_space = json_get_bool(json, "add_prefix_space", 1);
    return json_get_bool(json, "use_regex", 1) ? regex_new(WORDS, &c->words, err) : 0;
}

/* ---- places ------------------------------------------------------------------------ */

static bool is_blank(int32_t cp)
{
    return cp == BLANK || unicode_is_space(cp);
}

/* Blanks at both ends of a token, in characters. */
static void count_blanks(const char *token, int32_t *leading, int32_t *trailing)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)token;
    int32_t cp, n = 0, run = 0;
    *leading = 0;
    for (utf8proc_ssize_t k; *p && (k = utf8proc_iterate(p, -1, &cp)) > 0; p += k, n++) {
        run = is_blank(cp) ? run + 1 : 0;
        *leading += run == n + 1;
    }
    *trailing = run;
}

void byte_level_trim(const struct tokenizer *t, struct tokens *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct token *k = &s->at[i];
        int32_t leading = k->leading, trailing = k->trailing;
        if (leading < 0)
            count_blanks(tokenizer_token(t, k->id), &leading, &trailing);
        if (leading && t->post.add_prefix_space && (i == 0 || k->begin == 0))
            leading--; /* it was put there */
        k->begin = k->begin + leading < k->end ? k->begin + leading : k->end;
        if (trailing && k->end >= trailing)
            k->end = k->end - trailing > k->begin ? k->end - trailing : k->begin;
    }
}

/* ---- decoder ----------------------------------------------------------------------- */

/* A token with a character that shows no byte is not byte-level: taken as it is. */
static void append_bytes(const char *token, struct buf *out)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)token;
    const size_t before = out->len;
    int32_t cp;
    for (utf8proc_ssize_t k; *p; p += k) {
        k = utf8proc_iterate(p, -1, &cp);
        const int byte = k > 0 ? byte_of(cp) : -1;
        if (byte < 0) {
            out->len = before;
            buf_str_add(out, token);
            return;
        }
        buf_char(out, (char)byte);
    }
}

/* Length of the character at p, or of the longest start of one (*valid false), at least
 * 1: what becomes one U+FFFD (Unicode 3.9, "maximal subpart"). */
static size_t maximal_part(const uint8_t *p, size_t left, bool *valid)
{
    static const struct {
        uint8_t lead_first, lead_last, second_first, second_last, length;
    } rows[] = {
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2},
        {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
        {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    *valid = false;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (p[0] < rows[i].lead_first || p[0] > rows[i].lead_last)
            continue;
        size_t n = 1;
        while (n < rows[i].length && n < left &&
               p[n] >= (n == 1 ? rows[i].second_first : 0x80) &&
               p[n] <= (n == 1 ? rows[i].second_last : 0xbf))
            n++;
        *valid = n == rows[i].length;
        return n;
    }
    return 1;
}

/* All bytes as one string, where those that are not UTF-8 become U+FFFD. */
void byte_level_decode(const void *config, struct strings *tokens, struct err *err)
{
    (void)config;
    (void)err;
    struct buf bytes = BUF_INIT;
    for (size_t i = 0; i < tokens->n; i++)
        append_bytes(buf_str(&tokens->at[i]), &bytes);
    strings_release(tokens);
    struct buf *clean = strings_add(tokens);
    const uint8_t *p = (const uint8_t *)buf_str(&bytes);
    for (size_t left = bytes.len, n; left; left -= n, p += n) {
        bool valid;
        n = maximal_part(p, left, &valid);
        if (valid)
            buf_add(clean, p, n);
        else
            buf_str_add(clean, "\xef\xbf\xbd");
    }
    buf_release(&bytes);
}
