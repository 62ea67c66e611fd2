/* report/page/verify.h - a page that can be checked: its content as data, and a seal over
 * all of it.
 *
 * The page carries its JSON (report_json and what the store rows are found again by) in a
 * <template>, which browsers neither show nor run: compact, with < > & written as \u003c
 * and so on, so that the bytes between the tags are the data. data-sha256 is their hash.
 * A second hash, in <meta name="peftlab-seal">, is taken of the whole page with 64 zeros
 * in its place: any change of any byte breaks it. It protects against mistakes and later
 * edits, not against somebody who seals again.
 *
 * With a store the rows are read again and their hash compared too. */
#ifndef REPORT_PAGE_VERIFY_H
#define REPORT_PAGE_VERIFY_H

#include "lib/err.h"
#include "report/page/html.h"
#include "tracker/store/store.h"
#include <jansson.h>
#include <stdbool.h>

/* Where the seal will stand; call once, in <head>. */
void verify_write_seal(struct html *h);
void verify_write_data(const json_t *data, struct html *h);
/* Fills the seal in, at the very end. */
void verify_seal(struct html *h);

struct verification {
    bool data, page; /* the hashes hold */
    int store;       /* 1: same rows, 0: others, -1: no store was given */
    char rows_sha256[65];
    json_t *content; /* the embedded JSON; owned */
};
/* ERR_PARSE when the text is no peftlab page. `store` may be NULL. */
int verify_page(const char *page, size_t len, struct store *store,
                struct verification *out, struct err *err);
void verification_release(struct verification *v);

#endif
