/* tests/unit/runner/trial.c - trials on the tiny BERT of tests/golden, on `ref` and on
 * `cpu`: planned against allocated memory, gradients against finite
 * differences, and what must not change the numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/peft/lora.h"
#include "runner/session.h"
#include "runner/train/train.h"
#include "runner/trial.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64]; /* temporary folder with the data */

static const char *const backends[] = {"ref", "cpu"};

/* Every method of the registry, with what makes a small trial of it. */
static const char *const methods[] = {
    "method: head, learning_rate: 0.01",
    "method: full, learning_rate: 0.002",
    "method: lora, rank: 4, alpha: 8, target_modules: [query, value]",
    "method: lora, rank: 3, alpha: 6, target_modules: all-linear, bias: all, "
    "lora_dropout: 0.1",
    "method: lora, rank: 2, target_modules: [dense], modules_to_save: pooler, "
    "rank_pattern: {output.dense: 5}",
    "method: qlora, rank: 4, target_modules: all-linear",
    "method: rslora, rank: 4, layers_to_transform: [1]",
    "method: adapter, reduction_factor: 4",
    "method: adapter, reduction_factor: 2, quantization: nf4, double_quant: false",
    "method: adapter, adapter_type: houlsby, reduction_factor: 4",
    "method: adapter, adapter_type: parallel",
    "method: prefix, num_virtual_tokens: 3",
    "method: prefix, num_virtual_tokens: 3, prefix_projection: true, "
    "encoder_hidden_size: 12, learning_rate: 0.001",
    "method: prompt, num_virtual_tokens: 3, quantization: nf4",
    "method: prompt, num_virtual_tokens: 5, prompt_tuning_init: vocab",
    "method: p-tuning, num_virtual_tokens: 4, encoder_hidden_size: 24",
    "method: bitfit, adam_epsilon: 1.0e-6",
    "method: ln-tuning, learning_rate: 0.01",
    "method: ln-tuning, target_modules: [attention.output.LayerNorm], quantization: nf4",
    "method: ia3, learning_rate: 0.02",
    "method: ia3, target_modules: all-linear, modules_to_save: [pooler]",
    "method: vera, rank: 12, target_modules: [query, value, intermediate.dense], "
    "vera_dropout: 0.1, layers_to_transform: [0]",
    "method: vera, rank: 5, target_modules: all-linear, quantization: nf4",
    "method: adalora, init_r: 6, target_r: 2, tinit: 1, tfinal: 1, learning_rate: 0.02",
    "method: adalora, init_r: 3, target_r: 3, alpha: 0.5, target_modules: all-linear, "
    "lora_dropout: 0.1, quantization: nf4",
    "method: lora, rank: 4, init_lora_weights: gaussian",
    "method: dora, rank: 4, alpha: 8, target_modules: all-linear",
    "method: dora, rank: 3, lora_dropout: 0.2, bias: all, loraplus_lr_ratio: 4",
    "method: qdora, rank: 2, target_modules: [query, dense]",
    "method: pissa, rank: 4, alpha: 8, target_modules: all-linear",
    "method: lora, rank: 4, init_lora_weights: olora, alpha_pattern: {value: 3}",
    "method: dora, rank: 3, adapter_dtype: bfloat16, loraplus_lr_ratio: 4",
    "method: prefix, num_virtual_tokens: 3, adapter_dtype: bfloat16",
};

static const char *const variants[] = {
    "",
    ", gradient_checkpointing: true",
    ", gradient_accumulation_steps: 3",
    ", optim: sgd, shuffle: false",
    ", optim: paged_adamw_32bit, weight_decay: 0.1",
    ", optim: adamw_8bit, class_weights: balanced, eval_steps: 2, "
    "load_best_model_at_end: "
    "true",
    ", hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1, "
    "gradient_checkpointing: true",
};

static json_t *trial(const char *text)
{
    struct err err = ERR_INIT;
    struct conf *c;
    json_t *out;
    char *full =
        xasprintf("{model: '%s/model', train_data: train.jsonl, eval_data: eval.jsonl, "
                  "num_labels: 3, %smax_steps: 5, %s}",
                  dir, strstr(text, "batch_size") ? "" : "batch_size: 4, ", text);
    assert_int_equal(conf_parse(full, strlen(full), "test", 0, &c, &err), 0);
    if (trial_resolve(conf_root(c), &out, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    conf_free(c);
    free(full);
    return out;
}

static void write_rows(const char *name, int rows, unsigned seed)
{
    char *path = fs_join(dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int r = 0; r < rows; r++) {
        const int n = 3 + (int)((seed = seed * 1103515245u + 12345u) >> 16) % 12;
        fputs("{\"input_ids\": [", f);
        for (int i = 0; i < n; i++)
            fprintf(f, "%s%d", i ? ", " : "",
                    (int)((seed = seed * 1103515245u + 12345u) >> 16) % 160);
        fprintf(f, "], \"label\": %d}\n", r % 3);
    }
    fclose(f);
    free(path);
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/peftlab-trial-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    char *here = fs_absolute("tests/golden/models/bert"), *link = fs_join(dir, "model");
    int rc = symlink(here, link);
    free(here);
    free(link);
    here = fs_absolute("tests/golden/cases/bert-prefix/adapter_init");
    link = fs_join(dir, "prefix");
    rc |= symlink(here, link);
    free(here);
    free(link);
    write_rows("train.jsonl", 22, 1);
    write_rows("eval.jsonl", 9, 2);
    return rc;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

static void open_fails(const char *text, const char *part)
{
    struct err err = ERR_INIT;
    struct session s;
    json_t *t = trial(text);
    assert_true(session_open(&s, t, dir, NULL, true, &err) < 0);
    session_close(&s);
    json_decref(t);
    if (!strstr(err.msg, part))
        fail_msg("'%s' lacks '%s'", err.msg, part);
}

static void test_impossible_trials(void **state)
{
    (void)state;
    open_fails("method: lora, target_modules: [query, valeu]", "did you mean 'value'");
    open_fails("method: lora, target_modules: '.*nothing.*'", "matches no linear layer");
    open_fails("method: lora, target_modules: '(query'", "regular expression");
    open_fails("method: lora, target_modules: [query], exclude_modules: [query]",
               "nothing is left");
    open_fails("method: lora, target_modules: [query], rank_pattern: {key: 4}",
               "matches none of the target");
    open_fails("method: lora, modules_to_save: [poler]", "matches no module");
    open_fails("method: lora, layers_to_transform: [2]", "layers 0..1");
    open_fails("method: prefix, num_virtual_tokens: 40", "positions");
    open_fails("method: prompt, num_virtual_tokens: 40", "positions");
    open_fails("method: prefix, num_virtual_tokens: 5, prefix_projection: true, "
               "init_adapter: prefix",
               "has no prompt_encoder.safetensors");
    open_fails("method: adalora, tinit: 3, tfinal: 2", "leave none of the 5 updates");
    open_fails("method: head, init_adapter: nowhere", "no such folder");
    open_fails("method: adapter, reduction_factor: 64", "leaves no feature");
    open_fails("method: ln-tuning, target_modules: [LayerNrm]",
               "did you mean 'LayerNorm'");
    open_fails("method: ia3, target_modules: [key], feedforward_modules: [output.dense]",
               "is not among target_modules");
    open_fails("method: pissa, rank: 33, target_modules: [query]", "rank 33 is more");
}

/* What `plan` says is what `train` takes, for each method and variant on each backend. */
static void test_planned_is_allocated(void **state)
{
    (void)state;
    for (size_t b = 0; b < ARRAY_LEN(backends); b++)
        for (size_t m = 0; m < ARRAY_LEN(methods); m++)
            for (size_t v = 0; v < ARRAY_LEN(variants); v++) {
                struct err err = ERR_INIT;
                struct trial_prediction p;
                setenv("PEFTLAB_BACKEND", backends[b], 1);
                char *text = xasprintf("%s%s", methods[m], variants[v]);
                json_t *t = trial(text);
                if (trial_predict(t, dir, ASSUME_NOTHING, NULL, &p, &err) < 0)
                    fail_msg("%s: %s", text, err.msg);
                char *out = fs_join(dir, "run"), *file = fs_join(out, "result.json");
                struct sink *sink = sink_null();
                if (trial_train(t, dir,
                                &(struct trial_run){.out_dir = out, .overwrite = true},
                                sink, &err) < 0)
                    fail_msg("%s: %s", text, err.msg);
                sink_close(sink, NULL);
                json_t *r = json_read_file(file, &err), *mem = json_object_get(r, "mem");
                for (int c = 0; c < MEM_COUNT; c++) {
                    char key[64];
                    snprintf(key, sizeof key, "%s_bytes", mem_names[c]);
                    assert_int_equal(json_get_int(mem, key, -1), p.bytes[c]);
                }
                assert_int_equal(json_get_int(mem, "allocated_bytes", -1), p.total_bytes);
                assert_int_equal(json_get_int(json_object_get(r, "train"), "tokens", -1),
                                 p.tokens);
                const int64_t bytes =
                    json_get_int(json_object_get(r, "size"), "adapter_bytes", -1);
                if (strstr(text, "adalora")) /* what will be pruned is not known */
                    assert_in_range(bytes, 1, p.adapter_bytes);
                else
                    assert_int_equal(bytes, p.adapter_bytes);
                json_decref(r);
                json_decref(t);
                free(out);
                free(file);
                free(text);
            }
}

/* Mean loss of the first four rows at the present parameters. */
static double loss_now(struct session *s)
{
    const struct op_step step = {.seed = 0, .loss_scale = 0.25f};
    float losses[4];
    double sum = 0;
    const struct extent e = session_load_batch(s, SPLIT_TRAIN, NULL, 0, 4);
    graph_run(&s->train_graph, s->backend, &s->memory, &e, &step);
    const struct tensor t =
        graph_tensor(&s->train_graph, &s->memory, s->train_graph.loss, &e);
    s->backend->download(s->backend->device, losses, t.data, sizeof losses);
    for (int i = 0; i < 4; i++)
        sum += losses[i];
    return sum / 4;
}

/* DoRA's gradient takes the norm n of W + s B A as a constant. So when A or B moves, the
 * magnitude follows it: m = factor * n leaves m / n as it is. factor: sites x out, taken
 * from the present magnitudes where `set`. */
static void hold_dora_factor(struct session *s, const struct param *moved, double *factor,
                             bool set)
{
    for (size_t i = 0; i < s->net.sites.count; i++) {
        const struct linear_site *t = &s->net.sites.items[i];
        const struct param *m = net_site_param(&s->net, t, "lora_magnitude_vector"),
                           *w = net_site_param(&s->net, t, "weight"),
                           *a = net_site_param(&s->net, t, "lora_A.weight"),
                           *b = net_site_param(&s->net, t, "lora_B.weight");
        if (!m || m == moved)
            continue;
        float *values = xmalloc((size_t)param_size(w) * sizeof *values);
        s->backend->weight_unpack(s->backend->device, &w->spec, w->prepared.data, values);
        lora_add(values, t, a->value.data, b->value.data);
        for (int32_t r = 0; r < t->out; r++) {
            double square = 0;
            for (int32_t c = 0; c < t->in; c++)
                square += pow(values[r * t->in + c], 2);
            float *magnitude = (float *)m->value.data + r;
            double *f = &factor[i * 256 + (size_t)r];
            if (set)
                *f = *magnitude / sqrt(square);
            else
                *magnitude = (float)(*f * sqrt(square));
        }
        free(values);
    }
}

/* Derivative along the gradient itself: a central difference of the loss must give |g|^2
 * for each parameter. */
static void check_gradients(const char *text)
{
    struct err err = ERR_INIT;
    struct session s;
    json_t *t = trial(text);
    setenv("PEFTLAB_BACKEND", "ref", 1);
    if (session_open(&s, t, dir, NULL, true, &err) || session_allocate(&s, &err))
        fail_msg("%s: %s", text, err.msg);
    memset(s.arena[MEM_gradients], 0, s.planned[MEM_gradients]);
    loss_now(&s);
    float *g = xmalloc(s.planned[MEM_gradients]);
    double *factor = xcalloc(s.net.sites.count * 256, sizeof *factor);
    hold_dora_factor(&s, NULL, factor, true);
    memcpy(g, s.arena[MEM_gradients], s.planned[MEM_gradients]);
    for (size_t i = 0; i < s.net.params.count; i++) {
        struct param *p = s.net.params.items[i];
        if (!p->trainable)
            continue;
        const float *grad = g + p->offset / sizeof(float);
        float *value = p->value.data;
        const int64_t n = param_size(p);
        double square = 0;
        for (int64_t k = 0; k < n; k++)
            square += (double)grad[k] * grad[k];
        if (square < 1e-8)
            continue; /* key biases and, at the start, A behind B = 0 */
        const double h = 2e-3 / sqrt(square);
        float *keep = xmalloc((size_t)n * sizeof *keep);
        memcpy(keep, value, (size_t)n * sizeof *keep);
        double ends[2];
        for (int side = 0; side < 2; side++) {
            for (int64_t k = 0; k < n; k++)
                value[k] = keep[k] + (float)((side ? h : -h) * grad[k]);
            hold_dora_factor(&s, p, factor, false);
            ends[side] = loss_now(&s);
        }
        memcpy(value, keep, (size_t)n * sizeof *keep);
        hold_dora_factor(&s, NULL, factor, false);
        free(keep);
        const double slope = (ends[1] - ends[0]) / (2 * h);
        if (fabs(slope - square) > 2e-2 * square + 1e-5 * sqrt(square))
            fail_msg("%s: %s: slope %g, |gradient|^2 %g", text, p->name, slope, square);
    }
    free(g);
    free(factor);
    session_close(&s);
    json_decref(t);
}

static void test_gradients(void **state)
{
    (void)state;
    for (size_t m = 0; m < ARRAY_LEN(methods); m++)
        for (size_t v = 0; v < 2; v++) {
            char *text = xasprintf(
                "%s%s, label_smoothing_factor: 0.1%s", methods[m], variants[v],
                strstr(methods[m], "init_lora")  ? ""
                : strstr(methods[m], "ora,")     ? ", init_lora_weights: false"
                : strstr(methods[m], "adapter,") ? ", non_linearity: gelu" /* no kink */
                                                 : "");
            check_gradients(text);
            free(text);
        }
}

/* The trace without its times, and the adapter's bytes, as one text. */
static char *outcome(const char *text)
{
    struct err err = ERR_INIT;
    struct session s;
    struct train_outcome o;
    struct sink *sink = sink_null();
    struct buf out = BUF_INIT;
    json_t *t = trial(text);
    const struct train_place place = {.sink = sink};
    if (session_open(&s, t, dir, NULL, true, &err) || session_allocate(&s, &err) ||
        train_run(&s, &place, &o, &err))
        fail_msg("%s: %s", text, err.msg);
    for (int64_t i = 0; i < o.updates; i++) {
        const struct update_log *u = &o.trace.log[i];
        buf_printf(&out, "\"loss\": %.17g %.17g %.17g %lld\n", u->loss, u->grad_norm,
                   u->learning_rate, (long long)u->tokens);
    }
    for (size_t i = 0; i < s.planned[MEM_trainable]; i++)
        buf_printf(&out, "%02x", ((unsigned char *)s.arena[MEM_trainable])[i]);
    train_outcome_release(&o);
    sink_close(sink, NULL);
    session_close(&s);
    json_decref(t);
    return buf_detach(&out, NULL);
}

/* Same seed: same bits. Checkpointing only trades time for memory: same bits, with
 * dropout too. Another seed: other numbers. */
static void test_same_bits(void **state)
{
    (void)state;
    const char *const dropout =
        "hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1, seed: 3";
    for (size_t b = 0; b < ARRAY_LEN(backends); b++)
        for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
            setenv("PEFTLAB_BACKEND", backends[b], 1);
            char *plain = xasprintf("%s, %s", methods[m], dropout);
            char *checked = xasprintf("%s, gradient_checkpointing: true", plain);
            char *other = xasprintf("%s, hidden_dropout_prob: 0.1, seed: 4", methods[m]);
            char *a = outcome(plain), *again = outcome(plain), *c = outcome(checked),
                 *d = outcome(other);
            assert_string_equal(a, again);
            assert_string_equal(a, c);
            assert_string_not_equal(a, d);
            free(plain), free(checked), free(other);
            free(a), free(again), free(c), free(d);
        }
}

static void step_losses(const char *text, double *losses, int count)
{
    char *all = outcome(text), *at = all;
    for (int i = 0; i < count; i++) {
        at = strstr(at, "\"loss\": ");
        assert_non_null(at);
        losses[i] = strtod(at += 8, NULL);
    }
    free(all);
}

/* Adapters that begin at nothing leave the base's first loss as it is, also those that
 * take their start out of it. */
static void test_start_changes_nothing(void **state)
{
    (void)state;
    static const char *const starts[] = {
        "method: head, seed: 2",
        "method: lora, target_modules: all-linear, seed: 2",
        "method: lora, target_modules: all-linear, init_lora_weights: gaussian, seed: 2",
        "method: dora, target_modules: all-linear, seed: 2",
        "method: pissa, rank: 32, target_modules: all-linear, seed: 2",
        "method: lora, init_lora_weights: olora, target_modules: all-linear, rank: 5, "
        "alpha: 20, use_rslora: true, seed: 2",
        "method: adapter, adapter_type: parallel, seed: 2",
    };
    for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
        double loss[ARRAY_LEN(starts)];
        setenv("PEFTLAB_BACKEND", backends[b], 1);
        for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
            step_losses(starts[i], &loss[i], 1);
            assert_float_equal(loss[i], loss[0], 2e-6);
        }
    }
}

/* batch 8 = 2 x 4 = 8 x 1 */
static void test_accumulation(void **state)
{
    (void)state;
    static const char *const shapes[] = {"batch_size: 8",
                                         "batch_size: 4, gradient_accumulation_steps: 2",
                                         "batch_size: 1, gradient_accumulation_steps: 8"};
    double losses[ARRAY_LEN(shapes)][5];
    setenv("PEFTLAB_BACKEND", "cpu", 1);
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        char *text = xasprintf("method: lora, init_lora_weights: false, %s", shapes[i]);
        step_losses(text, losses[i], 5);
        free(text);
    }
    for (int i = 0; i < 5; i++) {
        assert_float_equal(losses[0][i], losses[1][i], 2e-6);
        assert_float_equal(losses[0][i], losses[2][i], 2e-6);
    }
}

static void test_divergence(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct sink *sink = sink_null();
    json_t *t = trial("method: full, learning_rate: 1000, optim: sgd, weight_decay: 100, "
                      "max_grad_norm: 0");
    char *out = fs_join(dir, "nan");
    setenv("PEFTLAB_BACKEND", "cpu", 1);
    assert_int_equal(trial_train(t, dir, &(struct trial_run){.out_dir = out}, sink, &err),
                     -ERR_NAN);
    assert_non_null(strstr(err.msg, "learning_rate"));
    sink_close(sink, NULL);
    json_decref(t);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_impossible_trials),
        cmocka_unit_test(test_planned_is_allocated),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_start_changes_nothing),
        cmocka_unit_test(test_accumulation),
        cmocka_unit_test(test_divergence),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
