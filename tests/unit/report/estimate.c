/* Shapes and the memory formulas, held against published counts and measured peaks. */
#include "lib/json.h"
#include "lib/str.h"
#include "report/machine/catalog.h"
#include "report/machine/estimate.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/report/known_shape.h"

#define GIB 1073741824.0

static struct model_shape shape(const char *name)
{
    struct model_shape m;
    if (!known_shape(name, &m))
        fail_msg("no model '%s'", name);
    return m;
}

static struct setup setup(const char *method)
{
    return (struct setup){.method = method,
                          .rank = 32,
                          .virtual_tokens = 20,
                          .reduction_factor = 16,
                          .base_bytes = 2,
                          .batch = 4,
                          .accumulation = 1,
                          .seq_len = 768};
}

static void configs_are_checked(void **state)
{
    struct model_shape m;
    struct err e = ERR_INIT;
    (void)state;
    json_t *c = json_loads(
        "{\"model_type\": \"distilbert\", \"dim\": 768, \"n_layers\": 6, \"n_heads\": "
        "12, "
        "\"hidden_dim\": 3072, \"vocab_size\": 30522, \"max_position_embeddings\": 512}",
        0, NULL);
    assert_int_equal(shape_from_config(c, "x", &m, &e), 0);
    assert_true(m.parameters == 66362880 && !m.decoder);
    json_object_set_new(c, "n_layers", json_integer(-3));
    assert_int_equal(shape_from_config(c, "x", &m, &e), -ERR_CONFIG);
    assert_non_null(strstr(e.msg, "'n_layers'"));
    err_clear(&e);
    json_object_set_new(c, "model_type", json_string("mamba"));
    assert_int_equal(shape_from_config(c, "x", &m, &e), -ERR_CONFIG);
    assert_non_null(strstr(e.msg, "'mamba'"));
    json_decref(c);
}

/* reference/peft-methods.md, section 8. */
static void trained_parameters(void **state)
{
    const struct model_shape llama = shape("llama-3.2-3b"), bert = shape("bert-base"),
                             roberta = shape("roberta-base");
    struct setup s = setup("lora");
    (void)state;
    s.targets = TARGETS_QV;
    assert_true(estimate_trainable(&llama, &s) == 9175040);
    s.rank = 64;
    assert_true(estimate_trainable(&llama, &s) == 18350080);
    s.method = "dora";
    s.rank = 32;
    assert_true(estimate_trainable(&llama, &s) == 9289728);
    s.method = "vera";
    s.rank = 256;
    assert_true(estimate_trainable(&llama, &s) == 129024);
    s.method = "lora";
    s.targets = TARGETS_MLP;
    s.rank = 10;
    assert_true(estimate_trainable(&llama, &s) == 9461760);
    s.method = "ia3";
    assert_true(estimate_trainable(&llama, &s) == 286720);
    s.method = "prefix";
    s.virtual_tokens = 50;
    assert_true(estimate_trainable(&llama, &s) == 2867200);
    s.method = "prompt";
    s.virtual_tokens = 200;
    assert_true(estimate_trainable(&llama, &s) == 614400);
    s.method = "ln-tuning";
    assert_true(estimate_trainable(&llama, &s) == 175104);
    s.method = "full";
    assert_true(estimate_trainable(&llama, &s) == 3212749824);
    s.method = "bitfit";
    assert_true(isnan(estimate_trainable(&llama, &s))); /* it has no bias */

    s = setup("lora");
    s.targets = TARGETS_QV;
    s.rank = 8;
    s.labels = 2;
    assert_true(estimate_trainable(&bert, &s) == 296450);
    assert_true(estimate_trainable(&roberta, &s) == 887042);
    s.labels = 0;
    s.method = "adapter";
    assert_true(estimate_trainable(&bert, &s) == 894528);
    s.houlsby = true;
    assert_true(estimate_trainable(&bert, &s) == 1789056);
    s.method = "prefix";
    assert_true(estimate_trainable(&bert, &s) == 368640);
}

static double peak_gib(const struct model_shape *m, const struct setup *s,
                       enum stack stack)
{
    struct estimate e;
    estimate(m, s, stack, &e);
    return (e.peak - e.bytes[EST_overhead]) / GIB;
}

static void close_to(const char *what, double predicted, double measured, double share)
{
    if (!(fabs(predicted / measured - 1) <= share))
        fail_msg("%s: predicted %.2f GiB, measured %.2f", what, predicted, measured);
    print_message("# %s: predicted %.1f GiB, measured %.1f\n", what, predicted, measured);
}

/* peft method_comparison, MetaMathQA, July 2026: Llama-3.2-3B in bf16, 4 rows of at most
 * 768 tokens, one L40S, memory reserved by torch. */
static void peft_table(void **state)
{
    static const struct {
        const char *name, *method;
        enum targets targets;
        double rank, tokens, gib;
    } rows[] = {
        {"LoRA r32 q,v", "lora", TARGETS_QV, 32, 0, 20.8},
        {"LoRA r64 q,v", "lora", TARGETS_QV, 64, 0, 21.0},
        {"LoRA r10 MLP", "lora", TARGETS_MLP, 10, 0, 23.0},
        {"DoRA r32 q,v", "dora", TARGETS_QV, 32, 0, 22.9},
        {"VeRA q,v", "vera", TARGETS_QV, 256, 0, 20.1},
        {"IA3", "ia3", TARGETS_ALL, 0, 0, 21.6},
        {"prefix 50", "prefix", TARGETS_ALL, 0, 50, 19.2},
        {"prompt 200", "prompt", TARGETS_ALL, 0, 200, 22.7},
        {"LN tuning", "ln-tuning", TARGETS_ALL, 0, 0, 19.7},
        {"full, bf16 throughout", "full", TARGETS_ALL, 0, 0, 36.2},
    };
    const struct model_shape m = shape("llama-3.2-3b");
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct setup s = setup(rows[i].method);
        s.targets = rows[i].targets;
        s.rank = rows[i].rank;
        s.virtual_tokens = rows[i].tokens;
        s.pure_bf16 = true;
        close_to(rows[i].name, peak_gib(&m, &s, STACK_PEFT), rows[i].gib, 0.06);
    }
}

/* torchtune: Llama-3.1-8B, rank 8, 2 x 2048 tokens, checkpointing, chunked loss. */
static void torchtune_peaks(void **state)
{
    const struct model_shape m = shape("llama-3.1-8b");
    struct setup s = setup("lora");
    (void)state;
    s.rank = 8;
    s.batch = 2;
    s.seq_len = 2048;
    s.checkpointing = true;
    close_to("LoRA 8B", peak_gib(&m, &s, STACK_LEAN), 16.2, 0.15);
    s.method = "qlora";
    close_to("QLoRA 8B", peak_gib(&m, &s, STACK_LEAN), 7.4, 0.15);
}

/* What everybody knows of 7 B. */
static void seven_billion(void **state)
{
    const struct model_shape m = shape("llama-2-7b");
    struct setup s = setup("qlora");
    struct estimate e;
    (void)state;
    s.rank = 64;
    s.checkpointing = true;
    s.seq_len = 512;
    estimate(&m, &s, STACK_PEFT, &e);
    assert_true(e.peak < 0.95 * 24e9); /* QLoRA fits 24 GB */
    assert_true(e.peak > 0.25 * 24e9);
    s.method = "lora";
    s.rank = 8;
    estimate(&m, &s, STACK_PEFT, &e);
    assert_true(e.peak > 0.95 * 16e9); /* LoRA in bf16 does not fit 16 GB */
    s.method = "full";
    s.batch = 1;
    estimate(&m, &s, STACK_LEAN, &e);
    assert_true(e.peak > 80e9); /* full fine-tuning with Adam not 80 GB */
    /* 65 to 70 B with QLoRA on one 48 GB GPU, its batch of 1 */
    const struct model_shape big = shape("llama-2-70b");
    s = setup("qlora");
    s.rank = 16;
    s.batch = 1;
    s.seq_len = 512;
    s.checkpointing = true;
    s.adam8 = true;
    estimate(&big, &s, STACK_LEAN, &e);
    assert_true(e.peak < 48e9);
}

static void flops(void **state)
{
    const struct model_shape m = shape("llama-2-7b");
    struct setup s = setup("lora");
    struct estimate lora, full, kept;
    (void)state;
    s.rank = 8;
    estimate(&m, &s, STACK_LEAN, &lora);
    s.method = "full";
    estimate(&m, &s, STACK_LEAN, &full);
    /* two thirds of full fine-tuning, and a little for adapter and attention */
    assert_true(lora.flops_per_token / full.flops_per_token > 0.66 &&
                lora.flops_per_token / full.flops_per_token < 0.70);
    assert_true(fabs(full.flops_per_token / (6 * m.parameters) - 1) < 0.05);
    s.checkpointing = true;
    estimate(&m, &s, STACK_LEAN, &kept);
    assert_true(fabs((kept.flops_per_token - full.flops_per_token) / (2 * m.linear) - 1) <
                0.05);
}

/* The two ends of a range, and what grows with what. */
static void ranges(void **state)
{
    static const char *const methods[] = {"full",   "lora", "qlora",   "dora",  "ia3",
                                          "prefix", "head", "adapter", "prompt"};
    const char *const models[] = {"bert-base", "llama-2-7b", "qwen2.5-0.5b"};
    (void)state;
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
            const struct model_shape m = shape(models[k]);
            struct setup s = setup(methods[i]);
            struct estimate lean, peft, longer;
            s.base_bytes = m.decoder ? 2 : 4;
            estimate(&m, &s, STACK_LEAN, &lean);
            estimate(&m, &s, STACK_PEFT, &peft);
            assert_true(lean.peak > 0 && lean.peak <= peft.peak);
            s.seq_len *= 2;
            estimate(&m, &s, STACK_PEFT, &longer);
            assert_true(longer.peak > peft.peak);
            assert_true(estimate_sharded_peak(&m, &s, &longer, 8) <
                        longer.peak + 3 * longer.bytes[EST_weights] / m.layers);
        }
}

static void seconds(void **state)
{
    const struct model_shape m = shape("llama-3.2-3b");
    struct catalog c = {0};
    struct setup s = setup("lora");
    struct estimate e;
    (void)state;
    assert_int_equal(catalog_load(NULL, NULL, &c, NULL), 0);
    s.targets = TARGETS_QV;
    estimate(&m, &s, STACK_PEFT, &e);
    /* 4,198,051 tokens in 942 s on an L40S: inside of the range */
    struct estimate_range t =
        estimate_seconds(&s, &e, catalog_gpu(&c, "L40S"), 1, false, 4198051);
    assert_true(t.low < 942 && t.high > 942 && t.low < t.base && t.base < t.high);
    struct estimate_range two =
        estimate_seconds(&s, &e, catalog_gpu(&c, "L40S"), 2, false, 4198051);
    assert_true(two.base < 0.7 * t.base);
    catalog_release(&c);
}

/* The speeds that reference/engine.md 2.3 lists, on GPUs of the catalogue: an hour of
 * each lies in the predicted range. Whoever published without its settings is taken to
 * checkpoint where the memory asks for it. */
static void published_speeds(void **state)
{
    static const struct {
        const char *model, *method, *gpu;
        double rank, batch, seq_len;
        bool checkpointing;
        double tokens_s;
    } rows[] = {
        /* torchtune's README: packed, compiled */
        {"llama-3.1-8b", "lora", "RTX 4090", 8, 2, 2048, true, 3083},
        {"llama-3.1-8b", "qlora", "RTX 4090", 8, 2, 2048, true, 2413},
        {"llama-3.2-3b", "lora", "A100 80GB", 8, 2, 4096, true, 8210},
        {"llama-3.2-3b", "qlora", "A100 80GB", 8, 2, 4096, true, 8035},
        /* Surogate's documentation, its own speed and Unsloth's; Qwen3-8B has the layers
         * of Llama-3.1-8B but 36 of them and less in each: 2 % more to compute */
        {"llama-3.1-8b", "lora", "H100 SXM", 16, 2, 2048, false, 10200},
        {"llama-3.1-8b", "lora", "H100 SXM", 16, 2, 2048, true, 8900},
        {"llama-3.1-8b", "qlora", "H100 SXM", 16, 2, 2048, false, 9400},
        {"llama-3.1-8b", "qlora", "H100 SXM", 16, 2, 2048, true, 8200},
        {"llama-3.1-8b", "qlora", "RTX 5090", 16, 2, 2048, false, 5000},
        {"llama-3.1-8b", "qlora", "RTX 5090", 16, 2, 2048, true, 3400},
        {"llama-3.1-8b", "lora", "RTX 5090", 16, 2, 2048, true, 3800},
        {"llama-3.1-8b", "lora", "RTX 5090", 16, 2, 2048, true, 3500},
    };
    struct catalog c = {0};
    (void)state;
    assert_int_equal(catalog_load(NULL, NULL, &c, NULL), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct model_shape m = shape(rows[i].model);
        struct setup s = setup(rows[i].method);
        struct estimate e;
        s.rank = rows[i].rank;
        s.batch = rows[i].batch;
        s.seq_len = rows[i].seq_len;
        s.checkpointing = rows[i].checkpointing;
        estimate(&m, &s, STACK_PEFT, &e);
        struct estimate_range t = estimate_seconds(&s, &e, catalog_gpu(&c, rows[i].gpu),
                                                   1, false, 3600 * rows[i].tokens_s);
        if (!(t.low <= 3600 && 3600 <= t.high))
            fail_msg("%s %s on %s: an hour is outside of %.0f to %.0f s", rows[i].model,
                     rows[i].method, rows[i].gpu, t.low, t.high);
    }
    catalog_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configs_are_checked),
        cmocka_unit_test(trained_parameters),
        cmocka_unit_test(peft_table),
        cmocka_unit_test(torchtune_peaks),
        cmocka_unit_test(seven_billion),
        cmocka_unit_test(flops),
        cmocka_unit_test(ranges),
        cmocka_unit_test(seconds),
        cmocka_unit_test(published_speeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
