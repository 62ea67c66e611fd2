/* tests/unit/kernels/rows.c - on every backend: a row's bits do not depend on its
 * neighbours, and no bits on the number of threads. */
#include "kernels/cuda/sizes.h"
#include "tests/unit/kernels/call.h"
#include "lib/os/pool.h"

static const struct backend *backends[BACKENDS_MAX];
static int backend_count;

/* ----------------------------------------------------------------------- neighbours
 * Ops whose output rows belong to input rows one by one, and by which size. Gradients of
 * parameters are left out: they are sums over rows. */
static const struct {
    enum op op;
    char rows;
    unsigned parameters; /* outputs that are sums over rows */
} by_row[] = {
    {OP_embed, 'T', 0},
    {OP_layernorm, 'T', 0},
    {OP_layernorm_bwd, 'T', 6},
    {OP_linear, 'T', 0},
    {OP_linear_dx, 'T', 0},
    {OP_act, 'T', 0},
    {OP_act_bwd, 'T', 0},
    {OP_dropout, 'T', 0},
    {OP_rmsnorm, 'T', 0},
    {OP_rmsnorm_bwd, 'T', 2},
    {OP_rope_table, 'T', 0},
    {OP_rope, 'T', 0},
    {OP_gated_act, 'T', 0},
    {OP_gated_act_bwd, 'T', 0},
    {OP_scale, 'T', 0},
    {OP_add, 'T', 0},
    {OP_colscale, 'T', 0},
    {OP_colscale_bwd, 'T', 2},
    {OP_copy, 'T', 0},
    {OP_gather, 'N', 0},
    {OP_round_bf16, 'T', 0},
    {OP_cross_entropy, 'N', 0},
    {OP_cross_entropy_bwd, 'N', 0},
    {OP_target_loss, 'N', 0},
    {OP_target_loss_bwd, 'N', 0},
};

static void cut(struct host_tensor *t, char rows_letter, int first, int count)
{
    if (t->rows_letter != rows_letter || !t->view.data)
        return;
    t->view.data = (char *)t->view.data + first * t->view.ld * dtype_bytes(t->view.dtype);
    t->view.rows = count;
}

/* Rows [first, first + count) alone. Shares the buffers of `call`. */
static struct call slice(const struct call *call, char rows_letter, int first, int count)
{
    struct call s = *call;
    for (int i = 0; i < OP_MAX_IN; i++)
        cut(&s.in[i], rows_letter, first, count);
    for (int i = 0; i < OP_MAX_OUT; i++)
        cut(&s.out[i], rows_letter, first, count);
    s.args.step.token_base += first;
    return s;
}

static void same_rows(const struct call *s, const struct backend *b,
                      const struct outcome *part, const struct outcome *whole)
{
    for (int i = 0; i < op_info[s->c->op].n_out; i++) {
        const struct host_tensor *t = &s->out[i];
        if (!t->view.data || !(strchr("TN", t->rows_letter)))
            continue;
        const int64_t width = (int64_t)dtype_bytes(t->view.dtype);
        for (int64_t r = 0; r < t->view.rows; r++) {
            int64_t at = (char *)t->view.data - t->bytes + r * t->view.ld * width;
            if (memcmp(part->out[i] + at, whole->out[i] + at, t->view.cols * width))
                fail_msg("%s %s: %s: row %d of out[%d] has other bits alone", b->name,
                         b->variant, case_name(s->c), (int)r, i);
        }
    }
}

static void check_slices(const struct call *call, char rows_letter,
                         const struct backend *b)
{
    struct outcome whole, part;
    int rows = case_size(call->c, rows_letter);
    const int cuts[][2] = {{0, 1},        {rows - 1, 1}, {rows / 2, 1}, {rows / 3, 2},
                           {rows / 2, 5}, {1, 7},        {0, 13},       {2, 64}};
    call_run(call, b, 0, &whole);
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        if (cuts[i][0] + cuts[i][1] > rows)
            continue;
        struct call s = slice(call, rows_letter, cuts[i][0], cuts[i][1]);
        call_run(&s, b, 0, &part);
        same_rows(&s, b, &part, &whole);
        outcome_free(&part);
    }
    outcome_free(&whole);
}

/* cuBLAS chooses its kernel by the shape of the whole product. */
static int is_exempt(const struct backend *b, const struct op_case *c)
{
    const struct weight_spec quantised = {.quant = QUANT_NF4}, plain = {0};
    const struct tensor w = {.dtype = c->form == PLAIN ? DT_F32 : DT_PREPARED,
                             .rows = c->O,
                             .cols = c->D,
                             .spec = c->form >= NF4 ? &quantised : &plain};
    return !strcmp(b->name, "cuda") &&
           (c->op == OP_linear_dx || (c->op == OP_linear && !cuda_sizes_narrow(&w)));
}

static void rows_stand_alone(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(by_row); k++)
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            if (cases[i].op != by_row[k].op)
                continue;
            struct call call;
            call_new(&call, &cases[i]);
            if (cases[i].op == OP_rope_table)
                call.in[2].view.data = NULL; /* with it sequences stand alone */
            for (int o = 0; o < OP_MAX_OUT; o++)
                if (by_row[k].parameters >> o & 1)
                    call.out[o].view.data = NULL;
            for (int b = 0; b < backend_count; b++)
                if (!is_exempt(backends[b], &cases[i]) &&
                    case_is_taken(backends[b], &cases[i]))
                    check_slices(&call, by_row[k].rows, backends[b]);
            call_free(&call);
        }
}

/* Which input says where sequences begin; -1: none. */
static int sequences_of(enum op op)
{
    return op == OP_attention       ? 3
           : op == OP_attention_bwd ? 6
           : op == OP_rope_table    ? 2
                                    : -1;
}

/* One sequence without the others; prefix gradients are sums over sequences. */
static void check_sequences(const struct call *call, const struct backend *b)
{
    struct outcome whole, part;
    const int seq_input = sequences_of(call->c->op);
    const int32_t *seq = call->in[seq_input].view.data;
    call_run(call, b, 0, &whole);
    for (int n = 0; n < call->c->N; n++) {
        int32_t alone[2] = {0, seq[n + 1] - seq[n]};
        struct call s = slice(call, 'T', seq[n], alone[1]);
        s.in[seq_input].bytes = (char *)alone;
        s.in[seq_input].size = sizeof alone;
        s.in[seq_input].view.data = alone;
        s.in[seq_input].view.rows = 2;
        call_run(&s, b, 0, &part);
        same_rows(&s, b, &part, &whole);
        outcome_free(&part);
    }
    outcome_free(&whole);
}

static void sequences_stand_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const int seq = sequences_of(cases[i].op);
        if (seq < 0 || cases[i].absent_in >> seq & 1)
            continue;
        struct call call;
        call_new(&call, &cases[i]);
        for (int b = 0; b < backend_count; b++)
            check_sequences(&call, backends[b]);
        call_free(&call);
    }
}

/* --- cached_attention: a token's bits do not depend on what else is read at a time --- */

/* The token `t` of sequence n, alone in a run. */
static struct call one_token(const struct call *call, int n, int t, int32_t bounds[2],
                             int32_t number[2])
{
    const int32_t *seq = call->in[3].view.data, *slot = call->in[4].view.data,
                  *past = call->in[5].view.data;
    struct call s = slice(call, 'T', t, 1);
    bounds[0] = 0;
    bounds[1] = 1;
    number[0] = slot[n];
    number[1] = past[n] + t - seq[n];
    for (int i = 3; i < 6; i++) {
        s.in[i].bytes = (char *)(i == 3 ? bounds : number + (i - 4));
        s.in[i].size = (i == 3 ? 2 : 1) * sizeof(int32_t);
        s.in[i].view.data = s.in[i].bytes;
        s.in[i].view.rows = i == 3 ? 2 : 1;
    }
    return s;
}

static void check_tokens(const struct call *call, const struct backend *b)
{
    const int32_t *seq = call->in[3].view.data;
    struct outcome whole, part;
    call_run(call, b, 0, &whole);
    for (int n = 0; n < call->c->N; n++)
        for (int t = seq[n]; t < seq[n + 1]; t++) {
            int32_t bounds[2], number[2];
            struct call s = one_token(call, n, t, bounds, number);
            call_run(&s, b, 0, &part);
            same_rows(&s, b, &part, &whole);
            outcome_free(&part);
        }
    outcome_free(&whole);
}

static void cached_tokens_stand_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (cases[i].op != OP_cached_attention)
            continue;
        struct call call;
        call_new(&call, &cases[i]);
        for (int b = 0; b < backend_count; b++)
            check_tokens(&call, backends[b]);
        call_free(&call);
    }
}

/* --- several calls at once leave what each leaves by itself --- */

enum { SETS = 3 };

/* Rows are those from set's number on, where an op's rows stand alone. */
static struct call one_of(const struct call *call, int set)
{
    const enum op op = call->c->op;
    for (size_t k = 0; k < ARRAY_LEN(by_row) && op != OP_rope_table; k++)
        if (by_row[k].op == op && case_size(call->c, by_row[k].rows) >= SETS)
            return slice(call, by_row[k].rows, set,
                         case_size(call->c, by_row[k].rows) - SETS + 1 - set / 2);
    return *call;
}

static void check_many(const struct call *call, const struct backend *b)
{
    const enum op op = call->c->op;
    struct call sets[SETS];
    struct opened open[SETS];
    struct op_args args[SETS];
    struct outcome want, got;
    for (int s = 0; s < SETS; s++) {
        sets[s] = one_of(call, s);
        call_open(&sets[s], b, &open[s]);
        args[s] = open[s].args;
    }
    backend_call_many(b, op, args, SETS);
    for (int s = 0; s < SETS; s++) {
        call_close(&sets[s], b, &open[s], &got);
        call_run(&sets[s], b, 0, &want);
        for (int i = 0; i < op_info[op].n_out; i++)
            if (want.out[i] && memcmp(want.out[i], got.out[i], sets[s].out[i].size))
                fail_msg("%s %s: %s: out[%d] of call %d has other bits alone", b->name,
                         b->variant, case_name(call->c), i, s);
        outcome_free(&want);
        outcome_free(&got);
    }
}

static void many_as_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct call call;
        call_new(&call, &cases[i]);
        for (int b = 0; b < backend_count; b++)
            if (backends[b]->run_many && case_is_taken(backends[b], &cases[i]))
                check_many(&call, backends[b]);
        call_free(&call);
    }
}

/* -------------------------------------------------------------------------- threads */

static void threads_do_not_matter(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 3, 7};
    static struct outcome first[BACKENDS_MAX][ARRAY_LEN(cases)];
    for (size_t t = 0; t < ARRAY_LEN(counts); t++) {
        pool_stop();
        pool_start(counts[t]);
        assert_int_equal(pool_threads(), counts[t]);
        for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
            struct call call;
            struct outcome o;
            call_new(&call, &cases[k]);
            for (int b = 1; b < backend_count; b++) {
                if (!case_is_taken(backends[b], &cases[k]))
                    continue;
                if (t == 0) {
                    call_run(&call, backends[b], 0, &first[b][k]);
                    continue;
                }
                call_run(&call, backends[b], 0, &o);
                for (int i = 0; i < op_info[cases[k].op].n_out; i++)
                    if (o.out[i] &&
                        memcmp(o.out[i], first[b][k].out[i], call.out[i].size))
                        fail_msg("%s %s: %s: out[%d] has other bits on %d threads",
                                 backends[b]->name, backends[b]->variant,
                                 case_name(&cases[k]), i, counts[t]);
                outcome_free(&o);
            }
            call_free(&call);
        }
    }
    for (int b = 1; b < backend_count; b++)
        for (size_t k = 0; k < ARRAY_LEN(cases); k++)
            outcome_free(&first[b][k]);
    pool_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_stand_alone),
        cmocka_unit_test(sequences_stand_alone),
        cmocka_unit_test(cached_tokens_stand_alone),
        cmocka_unit_test(many_as_each),
        cmocka_unit_test(threads_do_not_matter),
    };
    backend_count = test_backends(backends);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
