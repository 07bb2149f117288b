/* The twin of dsp/bells.py: filter_bells, for four bells per track. The same arithmetic on the same arrays. */

#include "lanes.h"

enum { A = 0, B = WIDTH, AMOUNT = 2 * WIDTH, SLOPE = 3 * WIDTH, H = 4 * WIDTH, S = 5 * WIDTH, ROWS = 6 * WIDTH };

static void ring(float *z, int64_t stride, int64_t rows, int64_t passed, float *m)
{
    vec a[BELLS_AT_ONCE], b[BELLS_AT_ONCE], amount[BELLS_AT_ONCE], slope[BELLS_AT_ONCE];
    vec h[BELLS_AT_ONCE], s[BELLS_AT_ONCE], bias = splat(1e-20f);
    mask used = {0};
#pragma GCC unroll 4
    for (int k = 0; k < BELLS_AT_ONCE; k++) {
        const float *bell = m + k * ROWS;
        a[k] = load(bell + A);
        b[k] = load(bell + B);
        amount[k] = splat(0.0f) - load(bell + AMOUNT);
        slope[k] = splat(0.0f) - load(bell + SLOPE);
        h[k] = load(bell + H);
        s[k] = load(bell + S);
        used |= (amount[k] != 0.0f) | (slope[k] != 0.0f);
    }
    for (int64_t i = 0; i < rows; i++) {
        vec x = load(z + i * stride), y = x, now = splat((float)(passed + i + 1));
#pragma GCC unroll 4
        for (int k = 0; k < BELLS_AT_ONCE; k++) {
            vec w = (y - s[k]) + (bias + a[k] * h[k]);
            y = y + (amount[k] + now * slope[k]) * w;
            h[k] = w - h[k];
            s[k] = s[k] + b[k] * w;
        }
        store(z + i * stride, (vec)(((mask)y & used) | ((mask)x & ~used)));
    }
#pragma GCC unroll 4
    for (int k = 0; k < BELLS_AT_ONCE; k++) {
        store(m + k * ROWS + H, h[k]);
        store(m + k * ROWS + S, s[k]);
    }
}

void filter_bells(const float *x, float *restrict y, int64_t frames, int64_t width, int64_t passed, float *lanes,
                  const int64_t *working, int64_t blocks, float *z)
{
    for (int64_t i = 0; i < frames * width; i++) y[i] = fabsf(x[i]) <= LIMIT ? x[i] : 0.0f;
    for (int64_t block = 0; block < blocks; block++) {
        float *m = lanes + block * BELLS_AT_ONCE * ROWS, *column = y + block * WIDTH;
        int64_t count = least(WIDTH, width - block * WIDTH);
        if (working[block] == 0) continue;
        if (count == WIDTH) {
            ring(column, width, frames, passed, m);
            continue;
        }
        for (int64_t begin = 0; begin < frames; begin += CHUNK) {
            int64_t rows = least(CHUNK, frames - begin);
            for (int64_t i = 0; i < rows; i++)
                for (int64_t lane = 0; lane < count; lane++) z[i * WIDTH + lane] = column[(begin + i) * width + lane];
            ring(z, WIDTH, rows, passed + begin, m);
            for (int64_t i = 0; i < rows; i++)
                for (int64_t lane = 0; lane < count; lane++) column[(begin + i) * width + lane] = z[i * WIDTH + lane];
        }
    }
}
