/* runner/generate/spelling.c - see spelling.h. */
#include "runner/generate/spelling.h"
#include "lib/mem.h"
#include <stdlib.h>
#include <string.h>

/* U+FFFD, as bytes that are no character (yet) are decoded. Of one that is to come there are
 * three at most. */
static const char unknown[] = "\xef\xbf\xbd";
enum { UNKNOWN_BYTES = 3, UNKNOWN_MOST = 3 };

void spelling_init(struct spelling *p, const struct tokenizer *tokenizer,
                   const char *const *stops, size_t n_stops)
{
    *p = (struct spelling){.tokenizer = tokenizer,
                           .stops = stops,
                           .n_stops = n_stops,
                           .text = BUF_INIT,
                           .known = BUF_INIT,
                           .now = BUF_INIT};
}

void spelling_release(struct spelling *p)
{
    buf_release(&p->text);
    buf_release(&p->known);
    buf_release(&p->now);
    free(p->ids);
    *p = (struct spelling){0};
}

static void decode(const struct spelling *p, size_t first, size_t n, struct buf *out)
{
    buf_clear(out);
    tokenizer_decode(p->tokenizer, p->ids + first, n, true, out, NULL);
}

/* Without the trailing bytes that may become a character. */
static size_t settled(const struct buf *b)
{
    size_t n = b->len;
    for (int k = 0; k < UNKNOWN_MOST && n >= UNKNOWN_BYTES; k++, n -= UNKNOWN_BYTES)
        if (memcmp(b->data + n - UNKNOWN_BYTES, unknown, UNKNOWN_BYTES) != 0)
            break;
    return n;
}

/* Text was added behind `from`: the first stop string in it ends the text. */
static void look_for_stops(struct spelling *p, size_t from)
{
    size_t found = p->text.len;
    for (size_t i = 0; i < p->n_stops; i++) {
        const size_t n = strlen(p->stops[i]), back = from < n - 1 ? from : n - 1;
        const char *at = p->text.len ? memmem(p->text.data + from - back,
                                              p->text.len - from + back, p->stops[i], n)
                                     : NULL;
        if (at && (size_t)(at - p->text.data) <= found) {
            found = (size_t)(at - p->text.data);
            p->stopped = true;
        }
    }
    if (p->stopped && p->text.len) {
        p->text.len = found;
        p->text.data[found] = '\0';
    }
}

/* What is behind `whole` tokens has no unfinished character: it is what the next token is
 * decoded behind, and those before are not needed any more. */
static void move_on(struct spelling *p)
{
    p->n -= p->whole;
    memmove(p->ids, p->ids + p->whole, p->n * sizeof *p->ids);
    p->whole = p->n;
    decode(p, 0, p->n, &p->known);
}

/* Some decoders take back what they said (a run of bytes as a whole is a text or none):
 * then the new tokens alone are decoded; where all are new, what was said stays. */
static void begin_anew(struct spelling *p)
{
    const bool all_new = !p->whole;
    p->n -= p->whole;
    memmove(p->ids, p->ids + p->whole, p->n * sizeof *p->ids);
    p->whole = 0;
    buf_clear(&p->known);
    decode(p, 0, p->n, &p->now);
    if (all_new)
        buf_add(&p->known, buf_str(&p->now), p->now.len);
}

static void take(struct spelling *p, bool last, bool looks_for_stops)
{
    const size_t before = p->text.len;
    decode(p, 0, p->n, &p->now);
    if (p->now.len < p->known.len ||
        memcmp(buf_str(&p->now), buf_str(&p->known), p->known.len) != 0)
        begin_anew(p);
    const size_t until = last ? p->now.len : settled(&p->now);
    if (until <= p->known.len)
        return;
    buf_add(&p->text, p->now.data + p->known.len, until - p->known.len);
    if (looks_for_stops)
        look_for_stops(p, before);
    if (until == p->now.len)
        move_on(p);
    else
        buf_add(&p->known, p->now.data + p->known.len, until - p->known.len);
}

void spelling_add(struct spelling *p, int32_t id, bool looks_for_stops)
{
    if (p->stopped)
        return;
    if (tokenizer_is_added(p->tokenizer, id)) { /* is it one without text? */
        buf_clear(&p->now);
        tokenizer_decode(p->tokenizer, &id, 1, true, &p->now, NULL);
        if (!p->now.len)
            return;
    }
    p->ids = xgrow(p->ids, &p->cap, p->n + 1, sizeof *p->ids);
    p->ids[p->n++] = id;
    take(p, false, looks_for_stops);
}

void spelling_end(struct spelling *p)
{
    if (!p->stopped && p->n)
        take(p, true, true);
    p->n_stops = 0;
}

size_t spelling_ready(const struct spelling *p)
{
    size_t held = 0;
    for (size_t i = 0; i < p->n_stops && !p->stopped; i++) {
        size_t n = strlen(p->stops[i]) - 1;
        if (n > p->text.len)
            n = p->text.len;
        while (n > held && memcmp(p->text.data + p->text.len - n, p->stops[i], n) != 0)
            n--;
        held = n > held ? n : held;
    }
    return p->text.len - held;
}
