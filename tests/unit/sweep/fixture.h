/* tests/unit/sweep/fixture.h - what tests that plan or run sweeps share. */
#ifndef TESTS_SWEEP_FIXTURE_H
#define TESTS_SWEEP_FIXTURE_H

#include "lib/buf.h"
#include "lib/hash.h"
#include "lib/json.h"

/* A key as the trainer makes it: everything but the seed. */
static void key_of(const json_t *resolved, char key[65])
{
    struct buf text = BUF_INIT;
    json_t *copy = json_copy((json_t *)resolved);
    json_object_del(copy, "seed");
    json_canonical(&text, copy);
    sha256_hex(buf_str(&text), text.len, key);
    json_decref(copy);
    buf_release(&text);
}

#endif
