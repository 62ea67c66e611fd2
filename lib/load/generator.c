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

static struct load_record not_sent(const struct planned_request *p)
{
    return (struct load_record){.intended_s = p->at_s,
                                .sent_s = p->at_s,
                                .queue_s = NAN,
                                .run_s = NAN,
                                .first_s = NAN,
                                .adapter = p->adapter,
                                .text = p->text};
}

static void send_one(struct load_target *t, const struct planned_request *p,
                     double intended_s, struct load_record *r)
{
    *r = not_sent(p);
    r->intended_s = intended_s;
    r->sent_s = t->now(t) - t->begin_s;
    t->send(t, r);
}

static bool is_hopeless(struct load_target *t, const struct load_record *r, size_t *first,
                        size_t sent)
{
    while (*first < sent && is_done(&r[*first]))
        (*first)++;
    return t->give_up_s > 0 && *first < sent &&
           t->now(t) - t->begin_s - r[*first].intended_s > t->give_up_s;
}

void load_open_loop(struct load_target *t, const struct planned_request *plan,
                    size_t count, double drain_s, struct load_record *records)
{
    size_t first = 0, sent = 0; /* all before `first` are done */
    t->begin_s = t->now(t);
    for (; sent < count && !is_hopeless(t, records, &first, sent); sent++) {
        const double at = t->begin_s + plan[sent].at_s;
        while (t->now(t) < at)
            t->wait(t, at);
        send_one(t, &plan[sent], plan[sent].at_s, &records[sent]);
    }
    for (size_t i = sent; i < count; i++)
        records[i] = not_sent(&plan[i]);
    const double end = t->now(t) + drain_s;
    for (size_t i = first; i < sent; i++)
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
