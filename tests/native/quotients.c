/* Quotients and roots of runtime/native/quotients.h over arrays whose length is a multiple of LANES. */
#include "quotients.h"

void quotient(const float *a, const float *b, long n, float *out) {
    for (long k = 0; k < n; k += LANES)
        store_f32(out + k, quotient_f32(load_f32(a + k, LANES), load_f32(b + k, LANES)), LANES);
}
void root(const float *a, long n, float *out) {
    for (long k = 0; k < n; k += LANES) store_f32(out + k, root_f32(load_f32(a + k, LANES)), LANES);
}
void inverse_root(const float *a, long n, float *out) {
    for (long k = 0; k < n; k += LANES) store_f32(out + k, inverse_root_f32(load_f32(a + k, LANES)), LANES);
}
void quotient_by_root(const float *a, const float *x, long n, float *out) {
    for (long k = 0; k < n; k += LANES)
        store_f32(out + k, quotient_by_root_f32(load_f32(a + k, LANES), load_f32(x + k, LANES), all_f32(1e-7f)), LANES);
}
