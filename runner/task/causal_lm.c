/* runner/task/causal_lm.c - the next token, as transformers' ...ForCausalLM.
 *
 * The label of a row's token t is predicted at the token before it: t = 0 has none, but
 * behind virtual tokens the last of them predicts it. The loss of an update is the mean
 * over all its labelled tokens, whatever the micro-batches. Only the hidden states that
 * predict a label go through the head; where logits are asked for (goal.every_token) all
 * of a row's tokens do. */
#include "lib/json.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/net.h"
#include "runner/task/task.h"

static int refuse(const char *key, struct err *err)
{
    return err_set(err, ERR_CONFIG, "'%s' has no meaning for task causal-lm", key);
}

static int open(const struct trial *trial, const json_t *config, struct goal *goal,
                struct err *err)
{
    const json_t *weights = trial->class_weights;
    goal->labels = LABEL_token;
    goal->num_labels = (int32_t)json_get_int(config, "vocab_size", 0);
    if (trial->num_labels)
        return refuse("num_labels", err);
    if (trial->problem_type)
        return refuse("problem_type", err);
    if (json_is_array(weights) || str_eq(json_string_value(weights), "balanced"))
        return refuse("class_weights", err);
    if (trial->text_pair_column)
        return refuse("text_pair_column", err);
    return str_eq(trial->label_column, "label") ? 0 : refuse("label_column", err);
}

static int declare(struct net *net, struct err *err)
{
    return arch_declare_head(net, &net->arch->language_head, err);
}

static int record(const struct net *net, struct graph *g, int hidden)
{
    const int picked = g_pick(g, hidden);
    graph_chunk_head(g);
    return net->arch->language_head.record(net, g, picked);
}

/* The label that row t - 1 of the tokens predicts; -1: none. Behind the last there is
 * nothing. */
static int32_t label_at(const struct example *e, int32_t t)
{
    return t < e->n && e->token_labels ? e->token_labels[t] : -1;
}

static int32_t pick(const struct goal *goal, const struct example *e, int32_t first,
                    int32_t tokens, struct picks *out)
{
    const int32_t real = first + tokens - e->n; /* the row of the first token */
    int32_t count = 0;
    for (int32_t t = real > first ? 0 : 1; t <= e->n; t++) {
        const int32_t label = label_at(e, t);
        if (label < 0 && (t == 0 || !goal->every_token))
            continue;
        count++;
        if (!out)
            continue;
        out->rows[out->count] = real + t - 1;
        out->labels[out->count++] = label;
    }
    return count;
}

static void put_config(const struct net *net, json_t *config,
                       const char *const *label_names)
{
    (void)net, (void)config, (void)label_names;
}

static const char *shown(enum label_kind labels)
{
    (void)labels;
    return "language model";
}

const struct task_kind task_causal_lm = {
    .class_suffix = "ForCausalLM",
    .metrics = "loss|perplexity|accuracy",
    .text_metrics = "exact_match|rouge_l",
    .per_token = true,
    .labels = 1u << LABEL_token,
    .reader = &language_rows,
    .open = open,
    .declare = declare,
    .record = record,
    .pick = pick,
    .put_config = put_config,
    .shown = shown,
};
