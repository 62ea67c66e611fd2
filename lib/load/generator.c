/* lib/load/generator.c - see generator.h. */
#include "lib/load/generator.h"
#include <math.h>

static bool is_done(const struct load_record *r)
{
    return __atomic_load_n(&r->done, __ATOMIC_ACQUIRE);
}

void load_answer(struct load_target *t, struct load_record *r, bool ok, bool refused)
{
    r->done_s = t->now(t) - t->begin_s;
    r->ok = ok;
    r->refused = refused;
    __atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
}

static void send_one(struct load_target *t, const struct planned_request *p,
                     double intended_s, struct load_record *r)
{
    *r = (struct load_record){.intended_s = intended_s,
                              .queue_s = NAN,
                              .run_s = NAN,
                              .adapter = p->adapter,
                              .text = p->text};
    r->sent_s = t->now(t) - t->begin_s;
    t->send(t, r);
}

void load_open_loop(struct load_target *t, const struct planned_request *plan,
                    size_t count, double drain_s, struct load_record *records)
{
    t->begin_s = t->now(t);
    for (size_t i = 0; i < count; i++) {
        const double at = t->begin_s + plan[i].at_s;
        while (t->now(t) < at)
            t->wait(t, at);
        send_one(t, &plan[i], plan[i].at_s, &records[i]);
    }
    const double end = t->now(t) + drain_s;
    for (size_t i = 0; i < count; i++)
        while (!is_done(&records[i]) && t->now(t) < end)
            t->wait(t, end);
}

size_t load_closed_loop(struct load_target *t, const struct planned_request *plan,
                        size_t count, size_t clients, double duration_s,
                        struct load_record *records, size_t most)
{
    size_t sent = 0, open = 0, first = 0; /* all before `first` are done */
    t->begin_s = t->now(t);
    const double end = t->begin_s + duration_s;
    while (t->now(t) < end && sent < most) {
        while (first < sent && is_done(&records[first]))
            first++;
        open = 0;
        for (size_t i = first; i < sent; i++)
            open += !is_done(&records[i]);
        for (; open < clients && sent < most; open++, sent++)
            send_one(t, &plan[sent % count], t->now(t) - t->begin_s, &records[sent]);
        t->wait(t, end);
    }
    for (size_t i = first; i < sent; i++)
        while (!is_done(&records[i]))
            t->wait(t, t->now(t) + 1);
    return sent;
}
