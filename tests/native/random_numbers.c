/* The fills of philox.h over arrays; whole numbers are longs. */
#include "philox.h"

void uniform(long seed, long step, long stream, long first, long count, float *out) {
    fill_uniform((random_key){(uint64_t)seed, (uint32_t)step, (uint32_t)stream}, (uint64_t)first, count, out);
}
void normal(long seed, long step, long stream, long first, long count, float *out) {
    fill_normal((random_key){(uint64_t)seed, (uint32_t)step, (uint32_t)stream}, (uint64_t)first, count, out);
}
