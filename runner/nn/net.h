/* runner/nn/net.h - one base model with one method on it, before any memory is taken.
 *
 * How the parts fit. The architecture (arch/arch.h) declares the base's parameters and
 * sites, the task (task/task.h) its head's, the method (peft/method.h) marks what trains
 * and adds its own. To record a graph the architecture goes from token ids to the hidden
 * states of all tokens and calls the method at each site; the task's head picks the rows
 * that have labels and makes logits of them (net_record). None of the three knows the
 * others by name: a method finds layers by path or by role, a task asks the architecture
 * for what differs between families, and who needs to know what the graph is for asks the
 * graph (graph/graph.h). Sites are named by the module path of the Hugging Face task model
 * ("bert.encoder.layer.0.attention.self.query"). */
#ifndef RUNNER_NN_NET_H
#define RUNNER_NN_NET_H

#include "lib/err.h"
#include "runner/data/dataset.h"
#include "runner/graph/graph.h"
#include "runner/hub/hf_model.h"
#include "runner/options.h"
#include "runner/task/task.h"
#include <jansson.h>

struct arch;
struct method;

/* What a linear layer is for; defaults of methods go by it (peft/targets.def). */
enum role {
    ROLE_q,
    ROLE_k,
    ROLE_v,
    ROLE_qkv, /* the three in one */
    ROLE_o,
    ROLE_gate,
    ROLE_up,
    ROLE_gate_up,
    ROLE_down,
    ROLE_pooler,
    ROLE_head,    /* the task's: never quantised, never a target of all-linear */
    ROLE_lm_head, /* the same, but a part of the base */
};
static inline bool role_is_head(enum role role)
{
    return role == ROLE_head || role == ROLE_lm_head;
}

struct linear_site {
    char *path;
    char *tied; /* the parameter that is its weight; NULL: its own, path.weight */
    int32_t out, in;
    bool has_bias;
    int layer; /* -1: not in a layer */
    enum role role;
    int32_t rank;      /* LoRA on it; 0: none */
    float scale;       /* alpha / rank or alpha / sqrt(rank) */
    bool scales_input; /* IA3 on it: of the input, else of the output */
    float *a0, *b0;    /* start of A and B where it was taken out of W; owned */
};

/* Half a transformer layer: LN(h + residual), or h + residual where norms come first, where
 * bottleneck adapters may sit. */
struct sublayer {
    char *path; /* module that adapters go under, "<path>.adapters.default" */
    char *norm; /* the LayerNorm behind it; NULL: none */
    int layer;
    bool attention; /* else feed-forward */
};

/* What differs between a decoder's layers. */
struct layer_kind {
    bool windowed;
    bool unrotated; /* no RoPE */
};

/* What the architecture read from config.json and the trial's overrides. */
struct net_shape {
    int32_t hidden, layers, heads, head_dim, vocab_size;
    int32_t kv_heads;       /* of keys and values; 0: as many as heads */
    int32_t first_position; /* of a sequence's first token, virtual tokens not counted */
    int32_t max_positions;  /* from there on */
    int32_t pad_id;         /* has its own position, its number; -1: none has */
    int32_t token_types;    /* 0: no embeddings of token types */
    enum act act;           /* of the feed-forward layers */
    bool causal;            /* a token sees those before it */
    int32_t window; /* keys that a token sees in layers with a window; 0: none has */
    struct layer_kind *kinds;   /* one for each layer; NULL: all are plain; owned */
    float score_scale;          /* of attention's scores; 0: head_dim^-1/2 */
    bool scores_by_layer;       /* ... and over the layer's number, from 1 on */
    float score_cap, logit_cap; /* x becomes cap tanh(x / cap); 0: as it is */
    float word_scale;           /* of word embeddings, not of virtual tokens; 0: 1 */
    bool tied;         /* the language model's head is the table of word embeddings */
    bool rms_norm;     /* norms are RMSNorms, without biases */
    float norm_offset; /* added to their weights */
    struct {           /* see runner/nn/arch/rope.h */
        float factor;
        int32_t length;
    } rope, local_rope; /* local: of layers with a window, where they have their own */
    float norm_eps, init_range, hidden_dropout, attention_dropout, classifier_dropout;
    float embed_dropout; /* where it is not hidden_dropout */
};

/* What the method made of this net, beyond parameters. */
struct net_change {
    bool base_moved;  /* the adapter's start is taken out of the base (PiSSA, OLoRA), so
                         that who uses the adapter needs the start as well ... */
    bool start_apart; /* ... which is not what `given` holds */
    bool converted;   /* an adapter that needs no start any more, of twice the rank */
    int32_t virtual_tokens; /* real tokens' positions start here */
    int32_t prompt_rows;    /* of these, in front of every sequence as tokens (prompt
                               tuning, not prefix tuning) */
    int64_t derived_values; /* in the folder, computed from parameters when it is saved */
    void *data;             /* the method's own; it releases it */
};

struct net {
    const struct trial *trial; /* borrowed */
    const char *adapter;       /* folder of start values or NULL, while the net is made */
    bool training;
    struct hf_model *hf; /* borrowed */
    const struct arch *arch;
    struct goal goal;
    const struct method *method;
    enum quant_kind quant;
    struct params params;
    struct states states;

    struct net_shape shape;
    struct { /* in the order that the architecture announced them */
        struct linear_site *items;
        size_t count, cap;
    } sites;
    struct {
        struct sublayer *items;
        size_t count, cap;
    } sublayers;
    struct {
        char **items; /* paths of the normalisation layers */
        size_t count, cap;
    } norms;
    struct net_change change;
};

/* Opens nothing: hf and trial outlive the net. `adapter`: the folder that start values
 * come from, NULL: none; `training`: it will train from there. */
int net_init(struct net *net, struct hf_model *hf, const struct trial *trial,
             const struct goal *goal, const char *adapter, bool training,
             struct err *err);
void net_release(struct net *net);

/* --- for architectures --- */
/* A parameter of the base, found in its file as `name` or without the architecture's
 * prefix, shape checked. `required`: an error when it is not there, else it starts from
 * N(0, init_range) (2-d) or zeros. Of a base without weights every parameter is declared
 * as config.json has it. */
int net_base_param(struct net *net, const char *name, int ndim, int32_t rows,
                   int32_t cols, bool required, struct err *err);
/* A required one whose rows are looked up. */
int net_table(struct net *net, const char *name, int32_t rows, int32_t cols,
              struct err *err);
/* path.weight and path.bias, and a site. */
int net_linear(struct net *net, const char *path, int32_t out, int32_t in, int layer,
               enum role role, bool bias, struct err *err);
/* The language model's head, lm_head: a matrix of its own or, where shape.tied, a site
 * whose weight is the table of word embeddings. */
int net_language_head(struct net *net, const char *table, struct err *err);
int net_norm(struct net *net, const char *path, int32_t width, struct err *err);
/* The norm behind it (NULL: none), and a sublayer; see struct sublayer. */
int net_sublayer(struct net *net, const char *path, const char *norm, int layer,
                 bool attention, struct err *err);
/* The embeddings, with the method's virtual tokens; comes first in a graph. position,
 * type: -1 for none. */
int net_record_embed(const struct net *net, struct graph *g, int word, int position,
                     int type);
/* In decoding, before anything is read: what the method puts in front of every sequence
 * is computed once and stays, virtual tokens as they are, virtual keys and values as the
 * first ones of the cache of one sequence. Nothing where there is none of it. */
void net_record_start(const struct net *net, struct graph *g);
/* Is it keys or values of a layer, of all slots: rows slots * kv_heads * capacity? */
bool net_is_cache(const struct state *s);
/* From ids to logits: the architecture, then the task's head. */
int net_record(const struct net *net, struct graph *g);
/* y = W x + b with what the method adds at this site. */
int net_record_linear(const struct net *net, struct graph *g, const char *path, int x);
/* LN(h + residual) or h + residual, or what the method makes of it, in one of a layer's
 * two sublayers. */
int net_record_sublayer(const struct net *net, struct graph *g, int layer, bool attention,
                        int h, int residual);
int net_record_norm(const struct net *net, struct graph *g, const char *path, int x);
/* What stands behind a sublayer. */
int net_record_behind(const struct net *net, struct graph *g, const struct sublayer *s,
                      int x);
int net_record_attention(const struct net *net, struct graph *g, int layer, int q, int k,
                         int v);

/* --- for methods --- */
/* Features of all heads of keys, or of values, side by side. */
static inline int32_t net_kv_width(const struct net *net)
{
    return (net->shape.kv_heads ? net->shape.kv_heads : net->shape.heads) *
           net->shape.head_dim;
}
/* Keys that a token sees in this layer; 0: all before it. */
static inline int32_t net_window(const struct net *net, int layer)
{
    return net->shape.kinds && net->shape.kinds[layer].windowed ? net->shape.window : 0;
}
struct linear_site *net_site(const struct net *net, const char *path); /* NULL: none */
void net_train_all(struct net *net);
/* Trains every parameter of modules whose path ends with `suffix` (peft's
 * modules_to_save: no dot needed); count of hits. */
size_t net_train_modules(struct net *net, const char *suffix);
/* True when the path lies in a module that ends with one of the suffixes. */
bool net_in_modules(const char *path, const char *const *suffixes, size_t count);
/* A parameter of the method itself. */
/* "<path of the site>.<what>"; NULL: there is none. */
struct param *net_site_param(const struct net *net, const struct linear_site *s,
                             const char *what);
/* A copy of the present values, where they have no memory of those that a folder gave; the
 * caller's. */
float *net_download(const struct backend *backend, const struct param *p);
struct param *net_method_param(struct net *net, const char *name, int ndim, int32_t rows,
                               int32_t cols, enum init_kind init, float scale);

#endif
