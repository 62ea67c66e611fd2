/* tests/unit/kernels/ref.c - the judge judged: ref against values known in closed form,
 * and its backward ops against finite differences of its forward ops. */
#include "tests/unit/kernels/call.h"
#include "kernels/dropout.h"

/* ------------------------------------------------------------------ finite differences
 * Loss = sum of dy * y with y the forward op's out[0] and dy random. Each element of an
 * input is moved by h and 2h both ways; the five-point rule is exact to h^4. */

/* Which backward op gives which gradient. `in` names the backward op's inputs: 'y' is dy,
 * a digit the forward's input, 'a' and 'b' its outputs. `of` names the forward input that
 * each output is the gradient of. */
static const struct gradient {
    enum op forward, backward;
    const char *in, *of;
} gradients[] = {
    {OP_embed, OP_embed_bwd, "y012", "3456"},
    {OP_layernorm, OP_layernorm_bwd, "y01b", "012"},
    {OP_rmsnorm, OP_rmsnorm_bwd, "y01b", "01"},
    {OP_rope, OP_rope, "y1", "0"},
    {OP_gated_act, OP_gated_act_bwd, "y01", "01"},
    {OP_linear, OP_linear_dx, "y1", "0"},
    {OP_linear, OP_linear_dw, "y0", "1"},
    {OP_linear, OP_colsum, "y", "2"},
    {OP_act, OP_act_bwd, "y0", "0"},
    {OP_dropout, OP_dropout, "y", "0"},
    {OP_scale, OP_scale, "y", "0"},
    {OP_add, OP_copy, "y", "0"},
    {OP_add, OP_copy, "y", "1"},
    {OP_colscale, OP_colscale_bwd, "y01", "01"},
    {OP_colscale, OP_colsum, "y", "2"},
    {OP_copy, OP_copy, "y", "0"},
    {OP_attention, OP_attention_bwd, "y012ab345", "01245"},
    {OP_gather, OP_gather_bwd, "y1", "0"},
    {OP_cross_entropy, OP_cross_entropy_bwd, "012", "0"},
    {OP_target_loss, OP_target_loss_bwd, "01", "0"},
};

/* Cases that are worth differences: small, with unquantised weights. */
static int suits_differences(const struct op_case *c)
{
    int rows = c->T > c->O ? c->T : c->O;
    return c->D > 1 && (rows > c->N ? rows : c->N) * c->D <= 400 && c->form == PLAIN &&
           !c->bf16 && c->P <= 400 && c->spread <= 4 && !c->absent_in && !c->absent_out;
}

static const struct backend *ref;

static bool is_loss(enum op op)
{
    return op == OP_cross_entropy || op == OP_target_loss;
}

/* A loss is its own sum, times loss_scale; others are weighted by dy. */
static double loss_of(const struct call *f, const struct host_tensor *dy)
{
    struct outcome o;
    double loss = 0;
    call_run(f, ref, 0, &o);
    const struct host_tensor *y = &f->out[0];
    for (int64_t r = 0; r < y->view.rows; r++)
        for (int64_t c = 0; c < y->view.cols; c++) {
            double weight = is_loss(f->c->op) ? f->args.step.loss_scale
                                              : element(dy, dy->bytes, r, c);
            loss += weight * element(y, o.out[0], r, c);
        }
    outcome_free(&o);
    return loss;
}

static double slope(const struct call *f, const struct host_tensor *dy, float *x)
{
    static const struct {
        float step;
        double weight;
    } points[] = {{-2, 1}, {-1, -8}, {1, 8}, {2, -1}};
    const float h = 0x1p-5f, x0 = *x;
    double sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        *x = x0 + points[i].step * h;
        sum += points[i].weight * loss_of(f, dy);
    }
    *x = x0;
    return sum / (12 * h);
}

static struct host_tensor backward_input(const struct call *f, const struct outcome *o,
                                         const struct host_tensor *dy, char name)
{
    if (name == 'y')
        return host_tensor_copy(dy);
    if (name >= '0' && name <= '9')
        return host_tensor_copy(&f->in[name - '0']);
    struct host_tensor t = host_tensor_copy(&f->out[name - 'a']);
    memcpy(t.bytes, o->out[name - 'a'], t.size);
    return t;
}

/* Compares output i of the backward op with slopes in forward input `of`. */
static void check_gradient(const struct call *f, const struct host_tensor *dy,
                           const struct call *b, const struct outcome *o, int i, int of)
{
    const struct host_tensor *x = &f->in[of], *dx = &b->out[i];
    double difference = 0, size = 0;
    for (int64_t r = 0; r < x->view.rows; r++)
        for (int64_t c = 0; c < x->view.cols; c++) {
            double want = slope(f, dy, (float *)x->view.data + r * x->view.ld + c);
            double ours = element(dx, o->out[i], r, c);
            difference += (ours - want) * (ours - want);
            size += want * want;
        }
    assert_true(size > 0);
    double e = sqrt(difference / size);
    if (!(e < 1e-4))
        fail_msg("%s: gradient of input %d is off by %.2e: %s", op_info[b->c->op].name,
                 of, e, case_name(f->c));
}

/* Keeps numbers away from relu's corner. */
static void avoid_corner(struct call *f)
{
    float *x = (float *)f->in[0].bytes;
    for (size_t i = 0; f->c->act == ACT_relu && i < f->in[0].size / sizeof *x; i++)
        x[i] += x[i] < 0 ? -0.25f : 0.25f;
}

static void check_row(const struct gradient *g, const struct op_case *c)
{
    struct op_case bc = *c;
    struct call f, b = {.c = &bc};
    struct outcome forward, backward;
    bc.op = g->backward;
    call_new(&f, c);
    if (c->op == OP_act || c->op == OP_gated_act)
        avoid_corner(&f);
    struct host_tensor dy = host_tensor_new(c, shapes[c->op].out[0], 55);
    call_run(&f, ref, 0, &forward);
    b.args = f.args;
    b.args.accumulate = 0;
    b.args.attr.inverse = !f.args.attr.inverse; /* rope */
    for (int i = 0; g->in[i]; i++)
        b.in[i] = backward_input(&f, &forward, &dy, g->in[i]);
    for (int i = 0; g->of[i]; i++)
        b.out[i] = host_tensor_copy(&f.in[g->of[i] - '0']);
    call_run(&b, ref, 0, &backward);
    for (int i = 0; g->of[i]; i++)
        if (b.out[i].view.data)
            check_gradient(&f, &dy, &b, &backward, i, g->of[i] - '0');
    outcome_free(&forward);
    outcome_free(&backward);
    free(dy.bytes);
    call_free(&f);
    call_free(&b);
}

static void backward_ops(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(gradients); k++) {
        int n = 0;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
            if (cases[i].op == gradients[k].forward && suits_differences(&cases[i])) {
                check_row(&gradients[k], &cases[i]);
                n++;
            }
        if (!n)
            fail_msg("no small case for '%s'", op_info[gradients[k].forward].name);
    }
}

static void every_backward_op_is_checked(void **state)
{
    (void)state;
    for (int op = 0; op < OP_COUNT; op++) {
        const char *suffix = strrchr(op_info[op].name, '_');
        int backward = suffix && (!strcmp(suffix, "_bwd") || !strcmp(suffix, "_dx") ||
                                  !strcmp(suffix, "_dw"));
        for (size_t k = 0; k < ARRAY_LEN(gradients); k++)
            backward &= gradients[k].backward != (enum op)op;
        if (backward)
            fail_msg("gradients lacks '%s'", op_info[op].name);
    }
}

/* -------------------------------------------------------------------- known values */

static struct tensor matrix(float *x, int rows, int cols)
{
    return (struct tensor){x, DT_F32, rows, cols, cols, NULL};
}

static struct tensor indices(int32_t *x, int rows)
{
    return (struct tensor){x, DT_I32, rows, 1, 1, NULL};
}

static void known_acts(void **state)
{
    (void)state;
    static const struct {
        enum act act;
        float x;
        double y;
    } rows[] = {
        {ACT_gelu, 0, 0},
        {ACT_gelu, 1, 0.8413447460685429},
        {ACT_gelu, -2, -0.04550026389635842},
        {ACT_gelu_tanh, 1, 0.8411919906082768},
        {ACT_gelu_tanh, -2, -0.04540230591222},
        {ACT_relu, 3, 3},
        {ACT_relu, -3, 0},
        {ACT_tanh, 0.5f, 0.46211715726000976},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        float x = rows[i].x, y = 77;
        struct op_args a = {.in = {matrix(&x, 1, 1)}, .out = {matrix(&y, 1, 1)}};
        a.attr.act = rows[i].act;
        ref->ops[OP_act](&a);
        assert_true(fabs(y - rows[i].y) < 1e-7);
    }
}

static void known_rmsnorm(void **state)
{
    (void)state; /* mean square 12.5 */
    float x[2] = {3, 4}, gamma[2] = {1, 2}, y[2], rstd;
    struct op_args a = {.in = {matrix(x, 1, 2), matrix(gamma, 1, 2)},
                        .out = {matrix(y, 1, 2), matrix(&rstd, 1, 1)}};
    ref->ops[OP_rmsnorm](&a);
    assert_true(fabs(rstd - 1 / sqrt(12.5)) < 1e-7);
    assert_true(fabs(y[0] - 3 / sqrt(12.5)) < 1e-6 && fabs(y[1] - 8 / sqrt(12.5)) < 1e-6);
}

/* A quarter turn, a half turn, and a column that passes; back again. */
static void known_rope(void **state)
{
    (void)state;
    int32_t position[1] = {1};
    float f[2] = {(float)M_PI_2, (float)M_PI}, table[4], x[5] = {1, 2, 3, 4, 5}, y[5];
    struct op_args t = {.in = {indices(position, 1), matrix(f, 1, 2)},
                        .out = {matrix(table, 1, 4)},
                        .attr.scale = 2};
    ref->ops[OP_rope_table](&t);
    struct op_args a = {.in = {matrix(x, 1, 5), matrix(table, 1, 4)},
                        .out = {matrix(y, 1, 5)},
                        .attr.heads = 1};
    ref->ops[OP_rope](&a);
    const float want[5] = {-6, -4, 2, -8, 5};
    for (int i = 0; i < 5; i++)
        assert_float_equal(y[i], want[i], 1e-5);
    a.in[0].data = y;
    a.attr.inverse = 1;
    ref->ops[OP_rope](&a);
    for (int i = 0; i < 4; i++)
        assert_float_equal(y[i], 4 * x[i], 1e-5);
}

static void known_layernorm(void **state)
{
    (void)state; /* mean 4, variance 8 / 3 */
    float x[3] = {2, 4, 6}, gamma[3] = {1, 1, 2}, beta[3] = {0, 1, 0}, y[3], stats[2];
    struct op_args a = {.in = {matrix(x, 1, 3), matrix(gamma, 1, 3), matrix(beta, 1, 3)},
                        .out = {matrix(y, 1, 3), matrix(stats, 1, 2)}};
    ref->ops[OP_layernorm](&a);
    double rstd = sqrt(3.0 / 8);
    assert_true(stats[0] == 4 && fabs(stats[1] - rstd) < 1e-7);
    assert_true(fabs(y[0] + 2 * rstd) < 1e-6 && y[1] == 1);
    assert_true(fabs(y[2] - 4 * rstd) < 1e-6);
}

/* Key 65536 + j of a head once had the mask of key j of the next head. */
static void known_attention_columns(void **state)
{
    (void)state;
    const struct op_step step = {.seed = 7, .step = 1};
    const uint32_t last = (1u << 22) - 1;
    int same = 0;
    for (uint32_t j = 0; j < 4096; j++)
        same += dropout_keep(&step, 2, 0.5f, 3, DROPOUT_COL(0, 65536 + j)) ==
                dropout_keep(&step, 2, 0.5f, 3, DROPOUT_COL(1, j));
    assert_true(abs(same - 2048) < 5 * 32); /* sigma of independent masks is 32 */
    assert_int_equal(DROPOUT_COL(5, 65535), 5 * 65536 + 65535); /* as it always was */
    assert_int_equal(DROPOUT_COL(1023, last), 0xffffffff);
    assert_int_not_equal(DROPOUT_COL(0, last), DROPOUT_COL(1, last - 65536));
}

/* Equal keys: the mean of the values seen; log-sum-exp = score + log(count). */
static void known_attention(void **state)
{
    (void)state;
    float q[6] = {1, 2, 3, 4, 5, 6}, k[6] = {1, 0, 1, 0, 1, 0};
    float v[6] = {1, 2, 3, 4, 10, 20}, pk[2] = {1, 0}, pv[2] = {7, 8}, o[6], lse[3];
    int32_t seq[3] = {0, 2, 3};
    struct op_args a = {.in = {matrix(q, 3, 2), matrix(k, 3, 2), matrix(v, 3, 2),
                               indices(seq, 3), matrix(pk, 1, 2), matrix(pv, 1, 2)},
                        .out = {matrix(o, 3, 2), matrix(lse, 3, 1)}};
    a.attr.scale = 0.5f;
    a.attr.heads = 1;
    ref->ops[OP_attention](&a);
    const double want[6] = {11 / 3.0, 14 / 3.0, 11 / 3.0, 14 / 3.0, 8.5, 14};
    for (int i = 0; i < 6; i++)
        assert_true(fabs(o[i] - want[i]) < 1e-5);
    assert_true(fabs(lse[0] - (0.5 + log(3))) < 1e-6);
    assert_true(fabs(lse[2] - (2.5 + log(2))) < 1e-6);
    a.attr.causal = 1;
    ref->ops[OP_attention](&a);
    assert_true(fabs(o[0] - 4) < 1e-6 && fabs(o[2] - 11 / 3.0) < 1e-5);
    a.attr.window = 2; /* the second query sees the prefix no more */
    ref->ops[OP_attention](&a);
    assert_true(fabs(o[0] - 4) < 1e-6 && fabs(o[2] - 2) < 1e-6 &&
                fabs(o[4] - 8.5) < 1e-6);
    a.attr.window = 1;
    ref->ops[OP_attention](&a);
    assert_true(fabs(lse[0] - 0.5) < 1e-6 && fabs(lse[2] - 2.5) < 1e-6);
    for (int i = 0; i < 6; i++)
        assert_true(fabs(o[i] - v[i]) < 1e-6);
    a.attr.softcap = 0.25f;
    ref->ops[OP_attention](&a);
    assert_true(fabs(lse[0] - 0.25 * tanh(2)) < 1e-6);
}

static void known_cross_entropy(void **state)
{
    (void)state;
    float logits[9] = {1, 1, 1, 1000, 0, 0, 1, 2, 3}, loss[3];
    int32_t labels[3] = {2, 1, -1};
    struct op_args a = {.in = {matrix(logits, 3, 3), indices(labels, 3)},
                        .out = {matrix(loss, 3, 1)}};
    ref->ops[OP_cross_entropy](&a);
    assert_true(fabs(loss[0] - log(3)) < 1e-6 && loss[1] == 1000 && loss[2] == 0);
    a.attr.smoothing = 0.25f; /* (1 - e) 1000 + e (0 + 1000 + 1000) / 3 */
    ref->ops[OP_cross_entropy](&a);
    assert_true(fabs(loss[1] - (750 + 500 / 3.0)) < 1e-3 && loss[2] == 0);
    /* torch: sum of w[c] (1000 - x[c]) / 3 for the smoothed part */
    float weights[3] = {0.5f, 2, 3};
    a.in[2] = matrix(weights, 1, 3);
    ref->ops[OP_cross_entropy](&a);
    assert_true(fabs(loss[1] - (0.75 * 2 * 1000 + 0.25 * 5000 / 3.0)) < 1e-3);
    assert_true(fabs(loss[0] - (0.75 * 3 + 0.25 * 5.5 / 3) * log(3)) < 1e-5);
}

static void known_target_loss(void **state)
{
    (void)state;
    float x[4] = {1, 3, 0, 1000}, y[4] = {0, 1, 1, 0}, loss[2], dx[4];
    struct op_args a = {.in = {matrix(x, 2, 2), matrix(y, 2, 2)},
                        .out = {matrix(loss, 2, 1)}};
    ref->ops[OP_target_loss](&a);
    assert_true(loss[0] == 2.5f && loss[1] == 500000.5f);
    a.attr.loss = LOSS_bce; /* log(1 + e) and log(1 + e^-3); log 2 and 1000 */
    ref->ops[OP_target_loss](&a);
    assert_true(fabs(loss[0] - (log(1 + exp(1)) + log(1 + exp(-3))) / 2) < 1e-6);
    assert_true(fabs(loss[1] - (log(2) + 1000) / 2) < 1e-4);
    a.out[0] = matrix(dx, 2, 2);
    a.step.loss_scale = 2;
    ref->ops[OP_target_loss_bwd](&a);
    assert_true(fabs(dx[0] - 1 / (1 + exp(-1))) < 1e-6 && dx[2] == -0.5f && dx[3] == 1);
}

/* One step from zero moments goes lr against the sign of the gradient; then by hand. */
static void known_optimisers(void **state)
{
    (void)state;
    float g[2] = {4, -0.01f}, p[2] = {1, 1}, m[2] = {0}, v[2] = {0};
    struct op_args a = {.in = {matrix(g, 1, 2)},
                        .out = {matrix(p, 1, 2), matrix(m, 1, 2), matrix(v, 1, 2)}};
    a.attr = (struct op_attr){.lr = 0.1f,
                              .beta1 = 0.9f,
                              .beta2 = 0.999f,
                              .eps = 1e-8f,
                              .weight_decay = 0.5f,
                              .grad_scale = 0.5f,
                              .t = 1};
    ref->ops[OP_adamw](&a);
    assert_true(fabs(p[0] - (0.95 - 0.1)) < 1e-6 && fabs(p[1] - (0.95 + 0.1)) < 1e-6);
    assert_true(fabs(m[0] - 0.2) < 1e-6 && fabs(v[0] - 0.004) < 1e-7);
    float q[2] = {1, 1};
    a.out[0].data = q;
    ref->ops[OP_sgd](&a);
    assert_true(fabs(q[0] - (1 - 0.1 * (2 + 0.5))) < 1e-6);
}

/* Values: kept ones are x / (1 - p), their share is near 1 - p; the mask goes with the
 * token, not with the row. */
static void known_dropout(void **state)
{
    (void)state;
    enum { T = 64, D = 96 };
    static float x[T * D], y[T * D], tail[T * D];
    for (int i = 0; i < T * D; i++)
        x[i] = 1;
    struct op_args a = {.in = {matrix(x, T, D)}, .out = {matrix(y, T, D)}};
    a.attr.p = 0.25f;
    a.attr.site = 3;
    a.step = (struct op_step){.seed = 1ull << 40 | 9, .step = 2, .token_base = 100};
    ref->ops[OP_dropout](&a);
    int kept = 0;
    for (int i = 0; i < T * D; i++) {
        assert_true(y[i] == 0 || fabs(y[i] - 4 / 3.0) < 1e-6);
        assert_int_equal(y[i] != 0, dropout_keep(&a.step, 3, 0.25f, i / D, i % D));
        kept += y[i] != 0;
    }
    double share = kept / (double)(T * D), sigma = sqrt(0.75 * 0.25 / (T * D));
    assert_true(fabs(share - 0.75) < 4 * sigma);
    a.out[0].data = tail;
    a.step.token_base += 10;
    ref->ops[OP_dropout](&a);
    assert_memory_equal(tail, y + 10 * D, (T - 10) * D * sizeof(float));
    struct op_step *s = &a.step;
    const uint64_t seed = s->seed;
    uint32_t *words[] = {&s->step, &a.attr.site, (uint32_t *)&s->seed,
                         (uint32_t *)&s->seed + 1};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) { /* each makes another mask */
        s->seed = seed;
        *words[i] ^= 1;
        ref->ops[OP_dropout](&a);
        assert_memory_not_equal(tail, y + 10 * D, (T - 10) * D * sizeof(float));
    }
}

/* From A and B alone: the norms of W + s B A, written out. */
static void known_dora_norm(void **state)
{
    (void)state;
    enum { OUT = 3, IN = 4, R = 2 };
    float w[OUT * IN], a[R * IN], b[OUT * R], w2[OUT] = {0}, p[R * OUT] = {0},
                                              g[R * R] = {0}, norm[OUT];
    const struct philox_key key = rng_key(1, "dora");
    for (int i = 0; i < OUT * IN; i++)
        w[i] = (float)rng_normal(&key, 0, (uint64_t)i);
    for (int i = 0; i < R * IN; i++)
        a[i] = (float)rng_normal(&key, 1, (uint64_t)i);
    for (int i = 0; i < OUT * R; i++)
        b[i] = (float)rng_normal(&key, 2, (uint64_t)i);
    for (int j = 0; j < IN; j++)
        for (int k = 0; k < R; k++) {
            for (int i = 0; i < OUT; i++)
                p[k * OUT + i] += a[k * IN + j] * w[i * IN + j];
            for (int l = 0; l < R; l++)
                g[k * R + l] += a[k * IN + j] * a[l * IN + j];
        }
    for (int i = 0; i < OUT * IN; i++)
        w2[i / IN] += w[i] * w[i];
    struct op_args args = {
        .in = {matrix(w2, 1, OUT), matrix(p, R, OUT), matrix(g, R, R), matrix(b, OUT, R)},
        .out = {matrix(norm, 1, OUT)},
        .attr.scale = 2};
    ref->ops[OP_dora_norm](&args);
    for (int i = 0; i < OUT; i++) {
        double square = 0;
        for (int j = 0; j < IN; j++) {
            double v = w[i * IN + j];
            for (int k = 0; k < R; k++)
                v += 2.0 * b[i * R + k] * a[k * IN + j];
            square += v * v;
        }
        assert_true(fabs(norm[i] * sqrt(square) - 1) < 1e-5);
    }
}

static void known_sumsq(void **state)
{
    (void)state;
    enum { N = 10000 };
    static float x[N];
    double sum = 5;
    for (int i = 0; i < N; i++)
        x[i] = 3;
    struct op_args a = {.in = {matrix(x, 1, N)}, .out = {{&sum, DT_F64, 1, 1, 1, NULL}}};
    ref->ops[OP_sumsq](&a);
    assert_true(sum == 9.0 * N);
    a.accumulate = 1;
    ref->ops[OP_sumsq](&a);
    assert_true(sum == 18.0 * N);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_acts),
        cmocka_unit_test(known_layernorm),
        cmocka_unit_test(known_rmsnorm),
        cmocka_unit_test(known_rope),
        cmocka_unit_test(known_attention),
        cmocka_unit_test(known_attention_columns),
        cmocka_unit_test(known_cross_entropy),
        cmocka_unit_test(known_target_loss),
        cmocka_unit_test(known_optimisers),
        cmocka_unit_test(known_dropout),
        cmocka_unit_test(known_dora_norm),
        cmocka_unit_test(known_sumsq),
        cmocka_unit_test(every_backward_op_is_checked),
        cmocka_unit_test(backward_ops),
    };
    ref = backend_get("ref", NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
