/* tests/unit/runner/writer_thread.c - the writer as those who ask know it: a text's ends, what
 * is told of its tokens, what a slot remembers, refusals, adapters that come and go. On a
 * tiny model and two adapters of tests/golden; nothing here depends on time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/generate/generator.h"
#include "runner/serve/write/writer.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "tests/golden/models/llama"

enum { NEW = 12, CAPACITY = 40, MANY = 24 };

static const int32_t prompt[] = {9, 8, 7, 6, 5, 4, 3, 10, 11};
static const int32_t n_prompt = ARRAY_LEN(prompt);
static const char *const adapters[][2] = {
    {"lora", "tests/golden/cases/llama-lora-qv/expected/adapter"},
    {"prefix", "tests/golden/cases/llama-prefix/expected/adapter"},
    {"none", "tests/golden/cases"}};

struct opened {
    struct serve_base base;
    struct shelf shelf;
    struct writer *writer;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int done;
    bool held, hold; /* the writer's thread waits in `heard` */
};

static void open_writer(struct opened *o, int32_t sequences,
                        const struct writer_options *options)
{
    struct err err = ERR_INIT;
    const struct serve_options base = {.decode = {sequences, CAPACITY, 16}};
    *o = (struct opened){.done = 0};
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->changed, NULL);
    if (serve_base_open(&o->base, MODEL, &base, &err))
        fail_msg("%s", err.msg);
    shelf_init(&o->shelf, &o->base, 1); /* whatever is not in use is closed */
    for (size_t i = 0; i < ARRAY_LEN(adapters); i++)
        assert_int_equal(
            shelf_add(&o->shelf, adapters[i][0], adapters[i][1], false, &err), 0);
    if (writer_start(&o->writer, &o->shelf, options, &err))
        fail_msg("%s", err.msg);
}

static void close_writer(struct opened *o)
{
    writer_stop(o->writer);
    writer_free(o->writer);
    shelf_release(&o->shelf);
    serve_base_close(&o->base);
    pthread_mutex_destroy(&o->lock);
    pthread_cond_destroy(&o->changed);
}

static void on_done(struct writer_request *r)
{
    struct opened *o = r->ctx;
    pthread_mutex_lock(&o->lock);
    o->done++;
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

static struct writer_request request(struct opened *o, uint64_t stream)
{
    return (struct writer_request){.prompt = prompt,
                                   .n_prompt = n_prompt,
                                   .most = NEW,
                                   .how = {1.5, 0, 1, 1, 11},
                                   .stream = stream,
                                   .top = -1,
                                   .done = on_done,
                                   .ctx = o};
}

static void put(struct opened *o, struct writer_request *r)
{
    struct err err = ERR_INIT;
    double retry_s;
    if (writer_put(o->writer, r, &retry_s, &err))
        fail_msg("%s", err.msg);
}

static void wait_done(struct opened *o, int count)
{
    pthread_mutex_lock(&o->lock);
    while (o->done < count)
        pthread_cond_wait(&o->changed, &o->lock);
    o->done = 0;
    pthread_mutex_unlock(&o->lock);
}

static void write_one(struct opened *o, struct writer_request *r)
{
    put(o, r);
    wait_done(o, 1);
}

/* What the generator makes of it; `logits`: behind the prompt. */
static void write_alone(uint64_t stream, int32_t ids[NEW], float *logits)
{
    struct err err = ERR_INIT;
    struct session s;
    struct generator g;
    json_t *given = json_pack("{s:s, s:s}", "model", MODEL, "task", "causal-lm"),
           *resolved = NULL;
    const struct sampling how = {1.5, 0, 1, 1, 11};
    struct generation text = {
        .prompt = prompt, .n_prompt = n_prompt, .most = NEW, .stream = stream};
    if (trial_resolve_use(given, &resolved, &err) ||
        session_open_decoder(&s, resolved, ".", NULL, &err))
        fail_msg("%s", err.msg);
    s.decode = (struct decode_size){1, CAPACITY, 16};
    if (session_plan_memory(&s, &err) || session_allocate(&s, &err))
        fail_msg("%s", err.msg);
    generator_init(&g, &s, &how, NULL, 0);
    text.most = logits ? 1 : NEW;
    assert_int_equal(generator_run(&g, &text, 1, NULL, NULL, &err), 0);
    memcpy(ids, text.ids, (size_t)text.n * sizeof *ids);
    if (logits)
        memcpy(logits, g.logits, (size_t)s.goal.num_labels * sizeof *logits);
    generation_release(&text);
    generator_release(&g);
    session_close(&s);
    json_decref(given);
    json_decref(resolved);
}

static void many_at_once(void **state)
{
    (void)state;
    struct opened o;
    struct writer_request r[MANY];
    struct writer_counts c;
    int32_t want[NEW];
    open_writer(&o, 3, &(struct writer_options){.most_waiting = MANY});
    for (int k = 0; k < MANY; k++) {
        r[k] = request(&o, (uint64_t)k);
        put(&o, &r[k]);
    }
    wait_done(&o, MANY);
    writer_count(o.writer, &c);
    assert_int_equal(c.texts, MANY);
    assert_int_equal(c.new_tokens, MANY * NEW);
    assert_int_equal(c.prompt_tokens, MANY * n_prompt);
    assert_int_equal(c.waiting + c.writing + (size_t)c.failed, 0);
    assert_int_equal(c.cache_bytes, 3 * CAPACITY * 2 * 2 * 2 * 16 * sizeof(float));
    for (int k = 0; k < MANY; k++) {
        assert_int_equal(r[k].rc, 0);
        assert_int_equal(r[k].end, WRITER_LENGTH);
        if (k % 8 == 0) {
            write_alone((uint64_t)k, want, NULL);
            assert_memory_equal(r[k].ids, want, sizeof want);
        }
        assert_true(r[k].put_s <= r[k].begin_s && r[k].begin_s <= r[k].first_s &&
                    r[k].first_s <= r[k].end_s);
        writer_request_release(&r[k]);
    }
    close_writer(&o);
}

/* The next turn: what the slot holds of the prompt, and of what was written, is not read
 * again; to another adapter it is nothing. */
static void slots_remember(void **state)
{
    (void)state;
    struct opened o;
    int32_t turn[ARRAY_LEN(prompt) + NEW + 1];
    struct writer_request first, next, other, fresh;
    open_writer(&o, 1, &(struct writer_options){.most_waiting = 4});
    first = request(&o, 0);
    write_one(&o, &first);
    assert_int_equal(first.reused, 0);
    memcpy(turn, prompt, sizeof prompt);
    memcpy(turn + n_prompt, first.ids, NEW * sizeof *turn);
    turn[n_prompt + NEW] = 42;
    next = request(&o, 1);
    next.prompt = turn;
    next.n_prompt = n_prompt + NEW + 1;
    write_one(&o, &next);
    assert_int_equal(next.reused, n_prompt + NEW - 1); /* the last one was not read */
    other = request(&o, 1);
    other.prompt = turn;
    other.n_prompt = next.n_prompt;
    other.adapter = shelf_want(&o.shelf, "prefix", 1);
    write_one(&o, &other);
    assert_int_equal(other.rc, 0);
    assert_int_equal(other.reused, 0);
    assert_true(other.cold);
    fresh = request(&o, 1);
    fresh.prompt = turn;
    fresh.n_prompt = next.n_prompt;
    write_one(&o, &fresh);
    assert_int_equal(fresh.reused, 0);
    assert_memory_equal(fresh.ids, next.ids, NEW * sizeof *turn);
    assert_memory_not_equal(fresh.ids, other.ids, NEW * sizeof *turn);
    writer_request_release(&first), writer_request_release(&next);
    writer_request_release(&other), writer_request_release(&fresh);
    close_writer(&o);
}

static bool three(struct writer_request *r, const struct writer_token *t)
{
    assert_int_equal(t->id, r->ids[r->n - 1]);
    return r->n < 3;
}

static int32_t first_of(const int32_t *ids, int32_t id)
{
    int32_t i = 0;
    while (ids[i] != id)
        i++;
    return i;
}

static void texts_end(void **state)
{
    (void)state;
    struct opened o;
    int32_t ids[NEW];
    write_alone(5, ids, NULL);
    const int32_t stop = ids[4], at = first_of(ids, stop);
    open_writer(
        &o, 2, &(struct writer_options){.most_waiting = 4, .stops = &stop, .n_stops = 1});
    struct writer_request r = request(&o, 5);
    write_one(&o, &r);
    assert_int_equal(r.end, WRITER_STOP);
    assert_int_equal(r.n, at + 1);
    assert_int_equal(r.ids[at], stop);
    writer_request_release(&r);

    r = request(&o, 5);
    r.ignores_end = true;
    write_one(&o, &r);
    assert_int_equal(r.end, WRITER_LENGTH);
    assert_memory_equal(r.ids, ids, sizeof ids);
    writer_request_release(&r);

    r = request(&o, 5);
    r.least = NEW;
    write_one(&o, &r);
    assert_int_equal(r.end, WRITER_LENGTH);
    for (int k = 0; k < NEW; k++)
        assert_int_not_equal(r.ids[k], stop);
    writer_request_release(&r);

    r = request(&o, 5);
    r.ignores_end = true;
    r.heard = three;
    write_one(&o, &r);
    assert_int_equal(r.end, WRITER_TOLD);
    assert_int_equal(r.n, 3);
    writer_request_release(&r);

    r = request(&o, 5);
    r.ignores_end = true;
    r.most = 0; /* all that there is room for */
    write_one(&o, &r);
    assert_int_equal(r.end, WRITER_LENGTH);
    assert_int_equal(r.n, CAPACITY - n_prompt);
    writer_request_release(&r);

    r = request(&o, 5);
    r.unwanted = true;
    write_one(&o, &r);
    assert_int_equal(r.end, WRITER_TOLD);
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.n, 0);
    close_writer(&o);
}

static struct writer_token told;

static bool note(struct writer_request *r, const struct writer_token *t)
{
    told = *t;
    return r->n < 1;
}

static void likely_tokens_are_told(void **state)
{
    (void)state;
    struct opened o;
    int32_t ids[NEW];
    float logits[160];
    double sum = 0;
    write_alone(3, ids, logits);
    for (size_t i = 0; i < ARRAY_LEN(logits); i++)
        sum += exp((double)logits[i]);
    open_writer(&o, 1, &(struct writer_options){.most_waiting = 4});
    struct writer_request r = request(&o, 3);
    r.heard = note;
    r.top = 5;
    write_one(&o, &r);
    assert_int_equal(told.id, ids[0]);
    assert_float_equal(told.logprob, (double)logits[ids[0]] - log(sum), 1e-5);
    assert_int_equal(told.n_top, 5);
    for (int k = 0; k < 5; k++) {
        int better = 0; /* than this one, in all */
        for (size_t i = 0; i < ARRAY_LEN(logits); i++)
            better += logits[i] > logits[told.top[k].id];
        assert_int_equal(better, k);
        assert_float_equal(told.top[k].logprob, (double)logits[told.top[k].id] - log(sum),
                           1e-5);
    }
    writer_request_release(&r);
    close_writer(&o);
}

/* The thread waits in here until it is let go. */
static bool hold(struct writer_request *r, const struct writer_token *t)
{
    struct opened *o = r->ctx;
    (void)t;
    pthread_mutex_lock(&o->lock);
    o->held = true;
    pthread_cond_broadcast(&o->changed);
    while (o->hold)
        pthread_cond_wait(&o->changed, &o->lock);
    pthread_mutex_unlock(&o->lock);
    return true;
}

static void too_many_are_refused(void **state)
{
    (void)state;
    struct opened o;
    struct err err = ERR_INIT;
    struct writer_counts c;
    double retry_s;
    open_writer(&o, 1, &(struct writer_options){.most_waiting = 1});
    struct writer_request first = request(&o, 0), second = request(&o, 1),
                          third = request(&o, 2);
    o.hold = true;
    first.heard = hold;
    put(&o, &first);
    pthread_mutex_lock(&o.lock);
    while (!o.held)
        pthread_cond_wait(&o.changed, &o.lock);
    pthread_mutex_unlock(&o.lock);
    put(&o, &second);
    assert_int_equal(writer_put(o.writer, &third, &retry_s, &err), -ERR_BUSY);
    writer_count(o.writer, &c);
    assert_int_equal(c.refused, 1);
    assert_int_equal(c.writing, 1);
    assert_int_equal(c.waiting, 1);
    second.unwanted = true; /* whoever asked has gone meanwhile */
    pthread_mutex_lock(&o.lock);
    o.hold = false;
    pthread_cond_broadcast(&o.changed);
    pthread_mutex_unlock(&o.lock);
    wait_done(&o, 2);
    assert_int_equal(first.n, NEW);
    assert_int_equal(second.n, 0);
    writer_request_release(&first);
    close_writer(&o);
}

static void what_cannot_be_is_told(void **state)
{
    (void)state;
    static const int32_t long_prompt[CAPACITY] = {5}, strange[] = {5, 160};
    struct opened o;
    double retry_s;
    open_writer(&o, 1, &(struct writer_options){.most_waiting = 1});
    assert_int_equal(writer_room(&o.base), CAPACITY);
    for (int k = 0; k < 3; k++) {
        struct err err = ERR_INIT;
        struct writer_request r = request(&o, 0);
        r.prompt = k ? strange : long_prompt;
        r.n_prompt = k == 0 ? CAPACITY : k == 1 ? 2 : 0;
        assert_int_equal(writer_put(o.writer, &r, &retry_s, &err), -ERR_CONFIG);
    }
    struct writer_request r = request(&o, 0);
    r.prompt = long_prompt;
    r.n_prompt = CAPACITY - 2; /* room for it, but for the prefix */
    r.adapter = shelf_want(&o.shelf, "prefix", 1);
    write_one(&o, &r);
    assert_int_equal(r.rc, -ERR_CONFIG);
    assert_non_null(strstr(r.err.msg, "prefix"));
    r = request(&o, 0);
    r.adapter = shelf_want(&o.shelf, "none", 1);
    write_one(&o, &r);
    assert_int_not_equal(r.rc, 0);
    assert_non_null(strstr(r.err.msg, "tests/golden/cases"));
    close_writer(&o);
}

/* No room for any: those that are in use stay, then go. */
static void adapters_in_use_stay(void **state)
{
    (void)state;
    struct opened o;
    struct shelf_counts c;
    struct writer_request r[6];
    open_writer(&o, 4, &(struct writer_options){.most_waiting = 6});
    for (int k = 0; k < 6; k++) {
        r[k] = request(&o, 0);
        if (k % 3)
            r[k].adapter = shelf_want(&o.shelf, adapters[k % 3 - 1][0], 1);
        put(&o, &r[k]);
    }
    wait_done(&o, 6);
    writer_stop(o.writer);
    shelf_count(&o.shelf, &c);
    assert_int_equal(c.resident, 0);
    assert_int_equal(c.evictions, c.loads);
    for (int k = 0; k < 6; k++) {
        assert_int_equal(r[k].rc, 0);
        assert_memory_equal(r[k].ids, r[k % 3].ids, NEW * sizeof(int32_t));
    }
    assert_memory_not_equal(r[0].ids, r[1].ids, NEW * sizeof(int32_t));
    assert_memory_not_equal(r[1].ids, r[2].ids, NEW * sizeof(int32_t));
    for (int k = 0; k < 6; k++)
        writer_request_release(&r[k]);
    writer_free(o.writer);
    shelf_release(&o.shelf);
    serve_base_close(&o.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(slots_remember),
        cmocka_unit_test(texts_end),
        cmocka_unit_test(likely_tokens_are_told),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(what_cannot_be_is_told),
        cmocka_unit_test(adapters_in_use_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
