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

enum { GRID = 65536 };

/* The entries whose cut to the next one is below v; all in fp32, in this order. */
static uint8_t code_at(const float *map, int point)
{
    const float v = (float)(2 * point) / (GRID - 1) - 1;
    int low = 0, high = MAP - 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (v > (map[middle] + map[middle + 1]) * 0.5f)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint8_t)low;
}

uint8_t dynamic_on_grid(const float *map, float x)
{
    if (isnan(x)) /* 0 times the inverse of a subnormal */
        return 0;
    const float place = (fminf(fmaxf(x, -1), 1) + 1) * 0.5f;
    /* one rounding, as a fused multiply-add: the product is exact in double */
    return code_at(map, (int)(float)((double)place * (GRID - 1) + 0.5));
}
