/* The twin of dsp/bank.py: filter_bands. The same arithmetic on the same arrays. */

#include "lanes.h"

typedef struct { vec h1, s1, h2, s2, sum; } state;
typedef struct { vec a1, b1, a2, b2; } sections;

static void mix(const float *x, int64_t frames, int64_t tracks, const float *dither, float *restrict heard,
                float *restrict peak, float *restrict mono)
{
    for (int64_t i = 0; i < frames; i++) {
        const float *left = x + i * 2 * tracks, *right = left + tracks, noise = dither[i];
        float *restrict row = mono + i * (tracks + WIDTH);
        for (int64_t t = 0; t < tracks; t++) {
            float sample = 0.5f * (left[t] + right[t]);
            sample = fabsf(sample) <= LIMIT ? sample : 0.0f;
            heard[t] = sample == 0.0f ? heard[t] : 1.0f;
            peak[t] = fabsf(sample) > peak[t] ? fabsf(sample) : peak[t];
            row[t] = sample + heard[t] * noise;
        }
    }
}

static void wake(const float *heard, int64_t tracks, int64_t *slot, int64_t *track, int64_t *awake)
{
    int64_t count = awake[0];
    for (int64_t t = 0; t < tracks; t++)
        if (heard[t] > 0.0f && slot[t] < 0) {
            slot[t] = count;
            track[count++] = t;
        }
    if (count > awake[0]) {
        awake[0] = count;
        awake[1] = 1;
    }
}

static inline void step(vec x, const sections *f, state *s)
{
    vec v = x - s->s1 + f->a1 * s->h1;
    vec w = v - s->s2 + f->a2 * s->h2;
    s->h1 = v - s->h1;
    s->s1 = s->s1 + f->b1 * v;
    s->h2 = w - s->h2;
    s->s2 = s->s2 + f->b2 * w;
    s->sum = s->sum + w * w;
}

static inline void filter(const float *source, int64_t stride, int64_t frames, const float *coefs, float *lanes)
{
    sections f[AT_ONCE];
    state s[AT_ONCE];
#pragma GCC unroll 5
    for (int b = 0; b < AT_ONCE; b++) {
        const float *c = coefs + 4 * b, *m = lanes + 5 * WIDTH * b;
        f[b] = (sections){splat(c[0]), splat(c[1]), splat(c[2]), splat(c[3])};
        s[b] = (state){load(m), load(m + WIDTH), load(m + 2 * WIDTH), load(m + 3 * WIDTH), load(m + 4 * WIDTH)};
    }
    for (int64_t i = 0; i < frames; i++) {
        vec x = load(source + i * stride);
#pragma GCC unroll 5
        for (int b = 0; b < AT_ONCE; b++) step(x, &f[b], &s[b]);
    }
#pragma GCC unroll 5
    for (int b = 0; b < AT_ONCE; b++) {
        float *m = lanes + 5 * WIDTH * b;
        store(m, s[b].h1);
        store(m + WIDTH, s[b].s1);
        store(m + 2 * WIDTH, s[b].h2);
        store(m + 3 * WIDTH, s[b].s2);
        store(m + 4 * WIDTH, s[b].sum);
    }
}

void filter_bands(const float *x, int64_t frames, int64_t tracks, int64_t passed, const float *dither,
                  const float *coefs, float *lanes, float *heard, float *peak, int64_t *slot, int64_t *track,
                  int64_t *awake, float *mono, float *packed)
{
    const int64_t width = tracks + WIDTH;
    for (int64_t begin = 0; begin < frames; begin += CHUNK) {
        int64_t rows = least(CHUNK, frames - begin);
        mix(x + begin * 2 * tracks, rows, tracks, dither + passed + begin, heard, peak, mono);
        wake(heard, tracks, slot, track, awake);
        for (int64_t block = 0; block < (awake[0] + WIDTH - 1) / WIDTH; block++) {
            const int64_t *members = track + block * WIDTH;
            const float *source = mono + members[0];
            int64_t count = least(WIDTH, awake[0] - block * WIDTH), stride = width, run = 1;
            for (int64_t lane = 0; lane < count; lane++) run &= members[lane] == members[0] + lane;
            for (int64_t t = members[0] + count; t < least(members[0] + WIDTH, tracks); t++) run &= heard[t] == 0.0f;
            if (!run) {
                for (int64_t i = 0; i < rows * WIDTH; i++) packed[i] = 0.0f;
                for (int64_t lane = 0; lane < count; lane++)
                    for (int64_t i = 0; i < rows; i++) packed[i * WIDTH + lane] = mono[i * width + members[lane]];
                source = packed;
                stride = WIDTH;
            }
            for (int band = 0; band < BANDS; band += AT_ONCE)
                filter(source, stride, rows, coefs + 4 * band, lanes + (block * BANDS + band) * 5 * WIDTH);
        }
    }
}
