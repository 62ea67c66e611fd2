/* runner/nn/peft/method.h - fine-tuning methods as registry rows (methods.def).
 *
 * A method is one row and one file. It says what trains (`attach`), what it adds to the
 * graph at the sites of the architecture, which keys of a trial it reads, and how its
 * folder looks: for each saved parameter the file and the tensor name. Reading and writing
 * folders, counting, optimising and planning are the same for all.
 *
 * Presets are rows too: names for a method with options set ("qlora" = lora on nf4). A
 * resolved trial holds the method and the options, never the preset, so that both ways to
 * write it are one trial with one key; what it is called is asked by method_facts_of: the
 * preset whose options it meets.
 *
 * A fact about a method stands in its row and nowhere else. Who may not include this
 * header (report/, sweep/) gets struct method_facts, from the store or from cli/.
 */
#ifndef RUNNER_NN_PEFT_METHOD_H
#define RUNNER_NN_PEFT_METHOD_H

#include "lib/buf.h"
#include "runner/nn/net.h"
#include "tracker/view/method_facts.h"

#define METHOD_DEFAULT "lora" /* where a trial names none */

/* Keys that several rows read. */
#define READS_ADAPTER "quantization|double_quant|quant_block_size|adapter_dtype"
#define READS_TARGETS "target_modules|exclude_modules|modules_to_save"

/* Maps of peft from model_type to the names of target modules. */
enum target_map { MAP_lora, MAP_adalora, MAP_ia3, MAP_ia3_input };

/* A saved adapter need not have the form of the one that trains (lora_init.c). */
enum config_use { CONFIG_TO_WRITE, CONFIG_TO_READ };

struct method {
    const char *name, *help;
    double learning_rate;          /* when the trial gives none */
    double training_cost;          /* training FLOPs over forward FLOPs */
    enum base_change changes_base; /* which of the base's own tensors train */
    bool virtual_tokens;           /* it puts tokens of its own in front of the text */
    const char *peft_type;         /* peft's name for it; NULL: peft has none */
    /* Keys with OPT_OF_METHOD (runner/options.def) that it reads. One that reads
     * `quantization` may be trained on a quantised base. */
    const char *reads;
    /* Where options of the trial change what the row says; NULL: they do not. */
    void (*facts)(const struct trial *trial, struct method_facts *f);

    /* For a trial whose keys are checked: refuses combinations that cannot be, and sets in
     * its tree what depends on other keys; NULL: nothing to do. */
    int (*resolve)(const struct trial *trial, json_t *tree, struct err *err);
    int (*attach)(struct net *net, struct err *err);
    void (*release)(struct net *net); /* ends net->change.data */
    /* Where it will train: the number of updates is known. */
    int (*plan)(struct net *net, int64_t updates, struct err *err);
    /* Start values beyond what params.h knows. `start` comes before values are put in
     * place and may set `given` and `less`; `derive` comes after it and fills `derived`
     * parameters. */
    int (*start)(struct net *net, uint64_t seed, struct err *err);
    int (*derive)(struct net *net, const struct backend *backend, struct err *err);
    /* Graph hooks; NULL: nothing added. `input` makes what the layer sees of x; `linear`
     * makes of y = W x + b what the layer gives. What they record is marked as theirs
     * (graph.of_method); `sublayer`, which records the base's nodes too, does so itself. */
    int (*input)(const struct net *net, struct graph *g, const struct linear_site *site,
                 int x);
    int (*linear)(const struct net *net, struct graph *g, const struct linear_site *site,
                  int x, int y);
    int (*sublayer)(const struct net *net, struct graph *g, const struct sublayer *s,
                    int h, int residual);
    /* The virtual tokens, one a row; recorded first, kept in graph.prompt. */
    int (*prompt)(const struct net *net, struct graph *g);
    void (*prefix)(const struct net *net, struct graph *g, int layer, int *k, int *v);
    /* Works the adapter of a site into plain values of its weight (out x in) and bias; of
     * what is NULL nothing is asked. false: the site is as it was. NULL: the trained parameters are
     * the base's own. Methods that cannot be merged say why in `no_merge`. */
    bool (*merge)(const struct net *net, const struct backend *backend,
                  const struct linear_site *site, float *weight, float *bias);
    const char *no_merge;
    /* Once per update, behind its micro-batches: what the loss has beyond the graph; adds
     * the gradient. */
    double (*penalty)(struct net *net, const struct backend *backend);
    /* Behind the optimiser's step of an update (0-based), which took the gradients times
     * `clip`. */
    void (*after_update)(struct net *net, const struct backend *backend, int64_t update,
                         double clip);
    /* Host memory that training changes beside parameters and moments (AdaLoRA's
     * importances): calls `visit` for each piece, always the same ones in the same order.
     * Checkpoints hold it, and it goes with the best parameters. NULL: none. */
    void (*state)(const struct net *net,
                  void (*visit)(void *ctx, const char *name, void *data, size_t bytes),
                  void *ctx);

    enum target_map targets; /* what it targets where the trial says nothing */

    const struct adapter_files *files;
    /* What it puts into a configuration file that `files` shares with other methods, and
     * what of one it compares with the trial; NULL: nothing. */
    void (*put_config)(const struct net *net, json_t *config, enum config_use use);
    int (*check_config)(const struct net *net, const json_t *config, struct err *err);
};

/* How a method's folder looks. */
struct adapter_files {
    const char *tensors;         /* file of the tensors, "adapter_model.safetensors" */
    const char *head_tensors;    /* file of the head's, NULL: the same */
    const char *encoder_tensors; /* file of "prompt_encoder.*" parameters, without that
                                    prefix */
    bool format_pt;              /* metadata {"format": "pt"} */
    bool partial;                /* a folder may lack tensors; the base's values stay */
    /* Name in the file of a trainable parameter; appended to `out`. */
    void (*tensor_name)(const struct net *net, const struct param *p, struct buf *out);
    /* A tensor of the first file that is computed from parameters: name, shape, values
     * (owned by the caller); NULL: there is none. */
    float *(*derived)(const struct net *net, const struct backend *backend,
                      const char **name, int64_t shape[2]);
    /* Tensors that may be there and are not needed. */
    bool (*optional)(const char *tensor);
    /* Where a parameter is saved in another form than its own: sets the shape and, with
     * `out`, makes the values of `own`. NULL: as they are. */
    void (*saved)(const struct net *net, const struct param *p, int64_t shape[2],
                  const float *own, float *out);
    /* The way back: sets the shape that a file has and, with `out` (zeros), makes own
     * values of the file's. NULL: files hold what parameters are. */
    void (*restored)(const struct net *net, const struct param *p, int64_t shape[2],
                     const float *file, float *out);
    /* Fits the net to a finished adapter whose form is not the trial's own; before it is
     * read. */
    int (*adopt)(struct net *net, const char *dir, struct err *err);
    /* adapter_config.json: the library's keys with its default values, NULL: there is no
     * such file; what the trial makes of them, to write it or to compare it; and the keys
     * that do not have to be the trial's, "inference_mode|revision". Any other key that a
     * folder has, known or not, must be what the trial would write, or empty where it
     * writes none: what it says would change a number unseen. */
    const char *defaults;
    void (*put_config)(const struct net *net, json_t *config, enum config_use use);
    const char *free_keys;
    /* Writes further configuration files. */
    int (*write_config)(const struct net *net, const char *dir,
                        const char *const *label_names, struct err *err);
    /* Compares what a folder's configuration says in other ways than by equal values
     * (`config`: adapter_config.json; NULL where there is none). */
    int (*check_config)(const struct net *net, const char *dir, const json_t *config,
                        struct err *err);
};

struct preset {
    const char *name;
    const struct method *method;
    const char *options; /* as a YAML flow mapping */
};

#define METHOD(id) extern const struct method method_##id;
#define PRESET(name, id, options)
#include "runner/nn/peft/methods.def"
#undef METHOD
#undef PRESET

const struct method *
method_find(const char *name, struct err *err); /* names the nearest and the known ones */
/* The method of that name, or behind the preset of that name; NULL: there is none. */
const struct method *method_behind(const char *name);
/* Of a tree, resolved or not; with an error where it names one that is not known. */
const struct method *method_of(const json_t *tree, struct err *err);
/* By peft's name for it ("LORA"); NULL: it is none of ours. */
const struct method *method_of_peft(const char *peft_type);
bool method_reads(const struct method *m, const char *key); /* a key with OPT_OF_METHOD */
/* What a resolved trial is called and what that means. Its preset is the one with the most
 * options of those that it meets, of equal ones the later row. */
void method_facts_of(const json_t *resolved, struct method_facts *out);
/* The same of every row, presets behind methods; at most `max`. */
size_t method_facts_all(struct method_facts *out, size_t max);
const struct preset *preset_find(const char *name); /* NULL: no preset */
size_t method_names(const char **out, size_t max);  /* methods and presets, for help */

/* target_modules.c: sets `rank` of every site that the trial targets to -1 (chosen) and checks
 * that each entry hits something. */
int targets_choose(struct net *net, struct err *err);
/* Trains the modules of modules_to_save and the task's head. */
int targets_train_saved(struct net *net, struct err *err);
/* By the role of the site and the family of the model (targets.def). */
bool targets_is_default(const struct net *net, enum target_map map,
                        const struct linear_site *site);
/* Names of them as a trial or peft's configuration would write them: the shortest ends of
 * the paths that name no other layer. */
json_t *targets_default(const struct net *net, enum target_map map);
/* Names of the layers that were chosen: whole paths, or of 20 and more shortest ends, as
 * peft writes all-linear. */
json_t *targets_chosen(const struct net *net);
/* Sets hit[i] for each path that `value` (target_modules' kinds of it, but all-linear)
 * names; an entry that names none is an error. `key` and `what` ("linear layer") are for
 * messages. */
int targets_match(const char *const *paths, size_t count, const char *what,
                  const char *key, const json_t *value, bool *hit, struct err *err);

/* Names of parameters that make virtual tokens start so. */
#define PROMPT_ENCODER "prompt_encoder."

/* folder.c */
int adapter_save(const struct net *net, const struct backend *backend, const char *dir,
                 const char *const *label_names, int64_t *bytes, struct err *err);
int adapter_load(struct net *net, const char *dir,
                 struct err *err); /* fills `given` of the parameters */
int64_t
adapter_bytes(const struct net *net); /* of the tensors that adapter_save writes */

/* Files of peft's LoRA folders, shared by head and lora; and of a whole model folder. */
extern const struct adapter_files lora_files, bottleneck_files, model_files;

#endif
