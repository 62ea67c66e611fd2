/* kernels/dynamic8.c - see dynamic8.h. */
#include "kernels/dynamic8.h"
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

enum { MAP = 256 };

static float signed_map[MAP], unsigned_map[MAP];

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* torch.linspace(0.1, 1, steps + 1)[i], which counts the upper half down from the end. */
static float ramp(int i, int steps)
{
    float first = 0.1f, last = 1.0f, step = (last - first) / steps;
    if (i < (steps + 1) / 2)
        return (float)(first + (double)step * i);
    return (float)(last - (double)step * (steps - i));
}

static void fill(float *map, int both_signs)
{
    int n = 0;
    map[n++] = 0;
    map[n++] = 1;
    for (int decade = 0; decade < 7; decade++) {
        float scale = (float)pow(10, decade - 6);
        int steps = (both_signs ? 1 : 2) << decade;
        for (int i = 0; i < steps; i++) {
            float middle = (ramp(i, steps) + ramp(i + 1, steps)) / 2;
            map[n++] = scale * middle;
            if (both_signs)
                map[n++] = -scale * middle;
        }
    }
    qsort(map, MAP, sizeof *map, by_value);
}

static void fill_both(void)
{
    fill(signed_map, 1);
    fill(unsigned_map, 0);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

const float *dynamic_map_signed(void)
{
    pthread_once(&once, fill_both);
    return signed_map;
}

const float *dynamic_map_unsigned(void)
{
    pthread_once(&once, fill_both);
    return unsigned_map;
}
