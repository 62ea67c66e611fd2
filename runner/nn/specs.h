/* runner/nn/specs.h - in which form the weights of a net lie in memory: what is quantised
 * and how, what products compute in.
 *
 * A model folder that is in 4 bits already (runner/hub/bitsandbytes.h) stands as it is:
 * each weight keeps its kind, its blocks and what its values are rounded to, and those
 * that are plain stay plain. The trial's `quantization` says the same or nothing; nothing
 * are its defaults, and of `double_quant` and `quant_block_size` too. A head that
 * trains starts from its unpacked values; a method that changes the base refuses it.
 * Otherwise all linear layers but heads are as the trial says.
 *
 * Weights that have 16 bits in the file have them in memory too (specs_stored), whatever
 * products compute in. The trial's `base_dtype` makes every file such a one: what is not in
 * 4 bits is rounded as it is read (st_round), by whoever reads it, so that training, use
 * and merging give what they would from a folder of these numbers, bit for bit.
 *
 * Widths that bitsandbytes' CPU kernel gets wrong (q4_is_irregular) are kept as the fp32
 * values that it gives, from both. */
#ifndef RUNNER_NN_SPECS_H
#define RUNNER_NN_SPECS_H

#include "runner/nn/net.h"
#include "tracker/view/method_facts.h"

/* What the base's linear layers multiply in; heads and what a method adds stay fp32. */
enum dtype specs_dtype(const struct net *net);
/* net->quant and what the base's values are read as, by folder and trial, once its method is
 * known; an error where they contradict one another. */
int specs_kind(struct net *net, struct err *err);
/* Once it is known what trains: `spec`, `round_trip` and `no_decay` of all parameters. */
void specs_set(struct net *net);
/* What a frozen weight's values are in the file, where they may lie in memory as they are there
 * (DT_BF16, DT_F16), else DT_F32: once start values are known. Products are the same. */
enum dtype specs_stored(const struct net *net, const struct param *p);
/* method_facts_of, and that the folder is quantised: "lora on nf4". */
void specs_method_facts(const struct net *net, struct method_facts *out);

#endif
