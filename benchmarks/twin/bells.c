/* The twin of dsp/bells.py: filter_bells, for four bells per track. The same arithmetic on the same arrays. */

#include "lanes.h"

enum { CHUNK = 64, BELLS = 4 };
enum { A = 0, B = WIDTH, AMOUNT = 2 * WIDTH, SLOPE = 3 * WIDTH, H = 4 * WIDTH, S = 5 * WIDTH, BELL = 6 * WIDTH };

static void ring(const float *x, float *y, int64_t stride, int64_t rows, int64_t passed, float *m)
{
    vec h[BELLS], s[BELLS], bias = splat(1e-20f);
    mask used = {0};
#pragma GCC unroll 4
    for (int k = 0; k < BELLS; k++) {
        h[k] = load(m + k * BELL + H);
        s[k] = load(m + k * BELL + S);
        used |= (load(m + k * BELL + AMOUNT) != 0.0f) | (load(m + k * BELL + SLOPE) != 0.0f);
    }
    for (int64_t i = 0; i < rows; i++) {
        REREAD;
        vec source = sound(load(x + i * stride)), z = source, now = splat((float)(passed + i + 1));
#pragma GCC unroll 4
        for (int k = 0; k < BELLS; k++) {
            const float *bell = m + k * BELL;
            vec w = (z - s[k]) + (load(bell + A) * h[k] + bias);
            z = z - (now * load(bell + SLOPE) + load(bell + AMOUNT)) * w;
            h[k] = w - h[k];
            s[k] = load(bell + B) * w + s[k];
        }
        store(y + i * stride, choose(used, z, source));
    }
#pragma GCC unroll 4
    for (int k = 0; k < BELLS; k++) {
        store(m + k * BELL + H, h[k]);
        store(m + k * BELL + S, s[k]);
    }
}

static void copy(const float *x, float *restrict y, int64_t frames, int64_t width, int64_t first, int64_t last)
{
    for (int64_t i = 0; i < frames; i++)
        for (int64_t at = i * width + first; at < i * width + last; at++) y[at] = fabsf(x[at]) <= LIMIT ? x[at] : 0.0f;
}

static void ring_part(const float *x, float *y, int64_t frames, int64_t width, int64_t first, int64_t passed, float *m,
                      float *z)
{
    float *passing = z + CHUNK * WIDTH;
    for (int64_t begin = 0; begin < frames; begin += CHUNK) {
        const int64_t rows = least(CHUNK, frames - begin), count = width - first;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t lane = 0; lane < count; lane++) z[i * WIDTH + lane] = x[(begin + i) * width + first + lane];
        ring(z, passing, WIDTH, rows, passed + begin, m);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t lane = 0; lane < count; lane++)
                y[(begin + i) * width + first + lane] = passing[i * WIDTH + lane];
    }
}

void filter_bells(const float *x, float *y, int64_t frames, int64_t width, int64_t passed, float *lanes,
                  const int64_t *working, int64_t blocks, float *z)
{
    for (int64_t block = 0; block < blocks;) {
        const int64_t first = block * WIDTH;
        float *m = lanes + block * BELLS * BELL;
        if (working[block] == 0) {
            while (block < blocks && working[block] == 0) block++;
            copy(x, y, frames, width, first, least(block * WIDTH, width));
            continue;
        }
        if (first + WIDTH <= width)
            ring(x + first, y + first, width, frames, passed, m);
        else
            ring_part(x, y, frames, width, first, passed, m, z);
        block++;
    }
}
