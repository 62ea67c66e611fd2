/* lib/os/load.c - see load.h. */
#include "lib/os/load.h"
#include "lib/os/proc.h"
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define SHORTEST_S 0.05

/* user, nice, system, idle, iowait, irq, softirq; NaN: no such file. */
static double all_busy_s(void)
{
    unsigned long long v[7] = {0};
    FILE *f = fopen("/proc/stat", "re");
    int n = f ? fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2],
                       &v[3], &v[4], &v[5], &v[6])
              : 0;
    if (f)
        fclose(f);
    return n == 7
               ? (double)(v[0] + v[1] + v[2] + v[5] + v[6]) / (double)sysconf(_SC_CLK_TCK)
               : NAN;
}

static double own_busy_s(void)
{
    double s = 0;
    const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    for (int i = 0; i < 2; i++) {
        struct rusage u;
        if (getrusage(whose[i], &u) == 0)
            s += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    }
    return s;
}

void load_watch_start(struct load_watch *w)
{
    *w = (struct load_watch){clock_mono_s(), all_busy_s(), own_busy_s()};
}

double load_watch_others(const struct load_watch *w)
{
    const double elapsed = clock_mono_s() - w->at_s;
    if (!(elapsed >= SHORTEST_S))
        return NAN;
    return fmax(0, (all_busy_s() - w->busy_s - (own_busy_s() - w->own_s)) / elapsed);
}
