/* kernels/dropout.c - the scalar definition of the mask. */
#include "kernels/dropout.h"
#include "lib/rng.h"

bool dropout_keep(const struct op_step *step, uint32_t site, float p, uint32_t row,
                  uint32_t col)
{
    struct philox_key key = {
        {(uint32_t)step->seed, (uint32_t)(step->seed >> 32) ^ 0x9E3779B9u}};
    uint32_t counter[4] = {step->token_base + row, col >> 2, site, step->step};
    uint32_t word[4];
    philox4x32(&key, counter, word);
    return rng_uniform24(word[col & 3]) >= p;
}
