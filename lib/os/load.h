/* lib/os/load.h - what else keeps the machine busy while something is measured.
 *
 * A latency or a time that was measured while other work ran says as much of that work as
 * of what was measured. Counted over an interval from /proc/stat (all processors, all
 * processes, of other containers too) less what this process used itself. */
#ifndef LIB_OS_LOAD_H
#define LIB_OS_LOAD_H

struct load_watch {
    double at_s, busy_s, own_s; /* clock, processor seconds of all, of this process */
};

void load_watch_start(struct load_watch *w);
/* Cores that others kept busy in the mean since the start, 0 or more; NaN: not known here,
 * or too short to tell (ticks are 10 ms). */
double load_watch_others(const struct load_watch *w);

#endif
