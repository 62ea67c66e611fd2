/* cli/decide/card.h - what one configuration takes on a card: does it fit, how far can it
 * grow, and what would other choices take.
 *
 * A card is a GPU of the catalogue, or this machine. Of a base whose architecture the
 * trainer knows, bytes are those of the trainer's own planner with the sizes of the
 * backend that would train there (backend_planned_cuda, kernels/cuda/sizes.h): the
 * planned bytes are those that are allocated. Three things beside them are estimates and
 * marked so: what CUDA's context and libraries hold, that the driver rounds each of the
 * categories up to 2 MiB, and that 5 % of the card are left alone. There is nothing to
 * fragment: memory is taken once, a piece per category, before the first update.
 *
 * What transformers, peft and bitsandbytes take for the same is beside it, by formula
 * (report/machine/estimate.h), always an estimate. It is all that there is where the
 * trainer has not the architecture, or no backend for the card.
 *
 * Rows are not looked at: each is of max_length tokens. The largest row and the largest
 * batch are searched with the same planner, by halving, so they are exact too: one more
 * token, or row, does not fit. */
#ifndef CLI_DECIDE_CARD_H
#define CLI_DECIDE_CARD_H

#include "cli/decide/plan_item.h"
#include "report/machine/machine.h"

#define CARD_BATCH_LIMIT 65536 /* no larger one is tried */

/* What changes, as one line of the table of choices. */
struct card_row {
    char label[64];
    struct plan_item item; /* `given` is the whole trial */
    bool taken;            /* false: the backend, or the formula, declines it: `why` */
    char why[320];
    double total; /* bytes, estimates included */
    bool fits;
    double longest; /* tokens of a row at its batch_size; 0: not one */
    double batch;   /* rows of its max_length; 0: not one */
};

struct card {
    const struct machine *machine; /* borrowed; NULL: this machine */
    const struct base *base;       /* borrowed */
    const char *base_dir;
    json_t *chosen;  /* keys that stand at this command's choice, for want of a word */
    bool planned;    /* by the trainer's planner, else by formula */
    double room;     /* bytes of the card that are counted on */
    double overhead; /* estimated, part of each total where `planned` */
    struct card_row asked, *rows;
    size_t count;
    double longest_limit; /* tokens that a row may have */
};

/* Fills what `given` leaves open for a question that names a base alone: method, rank,
 * batch, length, by the size of the base. What was filled in goes into *chosen. */
void card_defaults(const struct base *base, json_t *given, json_t **chosen);
/* An error where the trial itself is wrong; a card that it does not fit is none. */
int card_make(struct card *c, const json_t *given, struct err *err);
void card_release(struct card *c);

/* card_print.c */
json_t *card_json(const struct card *c);
void card_print(const struct card *c);

#endif
