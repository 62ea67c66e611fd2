/* runner/serve/write/guest_text.c - what a guest's method puts in front of a sequence. */
#include "lib/mem.h"
#include "runner/generate/slots.h"
#include "runner/serve/base.h"

int guest_start(struct guest *guest, struct serve_base *b, int32_t slot, struct err *err)
{
    struct graph_memory m = b->session.memory;
    if (!guest->mould->start.node_count)
        return 0;
    m.activations =
        serve_base_batch(b, mem_round_up(guest->mould->start.activation_bytes + 1), err);
    m.workspace = b->workspaces[0];
    m.params = guest->memory;
    m.apart = guest->states;
    if (!m.activations)
        return err_code(err);
    slots_start(&b->session, &guest->mould->start, &m, slot);
    return 0;
}
