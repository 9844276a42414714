/* The fills of philox.h, for ctypes. */
#include "philox.h"

void uniform(uint64_t seed, uint32_t step, uint32_t stream, uint64_t first, long count, float *out) {
    fill_uniform((random_key){seed, step, stream}, first, count, out);
}
void normal(uint64_t seed, uint32_t step, uint32_t stream, uint64_t first, long count, float *out) {
    fill_normal((random_key){seed, step, stream}, first, count, out);
}
