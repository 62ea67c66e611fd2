/* runner/serve/guest_text.c - what a guest has beyond its graph where it writes: its own
 * states, and what its method puts in front of a sequence. */
#include "lib/mem.h"
#include "runner/generate/slots.h"
#include "runner/serve/base.h"

/* The cache is the host's; what the host has not by that name lies in memory of its own. */
static int place_states(struct guest *guest, const struct serve_base *b, struct err *err)
{
    const struct backend *d = b->session.backend;
    const struct states *ours = &b->session.net.states;
    struct states *all = &guest->net.states;
    size_t bytes = 0;
    for (size_t i = 0; i < all->count; i++)
        bytes += states_find(ours, all->items[i].name) ? 0 : states_bytes(&all->items[i]);
    guest->states = bytes ? d->alloc(d->device, bytes) : NULL;
    if (bytes && !guest->states)
        return err_set(err, ERR_NOMEM, "no memory for %zu bytes of states", bytes);
    guest->bytes += bytes;
    char *at = guest->states;
    for (size_t i = 0; i < all->count; i++) {
        struct state *s = &all->items[i];
        const struct state *host = states_find(ours, s->name);
        s->apart = host ? NULL : at;
        s->offset = host ? host->offset : 0;
        at += host ? 0 : states_bytes(s);
    }
    return 0;
}

int guest_open_text(struct guest *guest, struct serve_base *b, struct err *err)
{
    session_record_start(&guest->net, b->host, &guest->start);
    int rc = place_states(guest, b, err);
    if (!rc)
        rc = graph_plan(&guest->start, b->session.backend, err);
    return rc ? rc : serve_base_workspace(b, guest->start.workspace_bytes, err);
}

int guest_start(struct guest *guest, struct serve_base *b, int32_t slot, struct err *err)
{
    struct graph_memory m = b->session.memory;
    if (!guest->start.node_count)
        return 0;
    m.activations =
        serve_base_batch(b, mem_round_up(guest->start.activation_bytes + 1), err);
    m.workspace = b->workspaces[0];
    if (!m.activations)
        return err_code(err);
    slots_start(&b->session, &guest->start, &m, slot);
    return 0;
}
