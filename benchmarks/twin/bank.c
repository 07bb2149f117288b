/* The twin of dsp/bank_filters.py: filter_bands. The same arithmetic on the same arrays, every a b + c in one rounding. */

#include "lanes.h"

enum { BANDS = 25, CHUNK = 128, STRIP = 4, PAST = 2, ROWS = 5, SPARE_BANDS = 3, TAPS_PER_PHASE = 8 };
enum { BAND = ROWS * WIDTH, TAP_ROWS = BANDS * ROWS, BLOCK = (BANDS + SPARE_BANDS) * BAND };
enum { PAST_ROWS = TAP_ROWS + TAPS_PER_PHASE, LOW_PAST_ROWS = PAST_ROWS + PAST, GROUP = (PAST + CHUNK) * WIDTH };

typedef struct { vec w1, w2, v1, v2, sum; } state;

static void mix(const float *x, int64_t frames, int64_t tracks, const float *dither, float *restrict heard,
                float *restrict peak, float *restrict mono)
{
    const int64_t whole = tracks / WIDTH;
    for (int64_t first = 0; first < frames; first += STRIP) {
        const int64_t last = least(first + STRIP, frames);
        for (int64_t group = 0; group < whole; group++) {
            const float *left = x + group * WIDTH, *right = left + tracks;
            vec sounds = load(heard + group * WIDTH), loudest = load(peak + group * WIDTH);
            for (int64_t i = first; i < last; i++) {
                vec sample = sound(0.5f * (load(left + i * 2 * tracks) + load(right + i * 2 * tracks)));
                vec size = magnitude(sample);
                sounds = choose(sample != 0.0f, splat(1.0f), sounds);
                loudest = choose(size > loudest, size, loudest);
                store(mono + group * GROUP + (PAST + i) * WIDTH, sounds * dither[i] + sample);
            }
            store(heard + group * WIDTH, sounds);
            store(peak + group * WIDTH, loudest);
        }
    }
    for (int64_t t = whole * WIDTH; t < tracks; t++)
        for (int64_t i = 0; i < frames; i++) {
            float alone = 0.5f * (x[i * 2 * tracks + t] + x[i * 2 * tracks + tracks + t]);
            alone = fabsf(alone) <= LIMIT ? alone : 0.0f;
            heard[t] = alone == 0.0f ? heard[t] : 1.0f;
            peak[t] = fabsf(alone) > peak[t] ? fabsf(alone) : peak[t];
            mono[whole * GROUP + (PAST + i) * WIDTH + t - whole * WIDTH] = alone + heard[t] * dither[i];
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

static int is_group(const int64_t *members, int64_t count, const float *heard, int64_t tracks)
{
    const int64_t first = members[0];
    int whole = first % WIDTH == 0;
    for (int64_t lane = 0; lane < count; lane++) whole &= members[lane] == first + lane;
    for (int64_t t = first + count; t < least(first + WIDTH, tracks); t++) whole &= heard[t] == 0.0f;
    return whole;
}

static void pack(const float *mono, int64_t frames, const int64_t *members, int64_t count, float *restrict packed)
{
    for (int64_t i = 0; i < frames; i++) store(packed + (PAST + i) * WIDTH, splat(0.0f));
    for (int64_t lane = 0; lane < count; lane++) {
        const float *one = mono + members[lane] / WIDTH * GROUP + members[lane] % WIDTH;
        for (int64_t i = PAST; i < PAST + frames; i++) packed[i * WIDTH + lane] = one[i * WIDTH];
    }
}

static inline state recalled(const float *m)
{
    return (state){load(m), load(m + WIDTH), load(m + 2 * WIDTH), load(m + 3 * WIDTH), load(m + 4 * WIDTH)};
}

static inline void keep(float *m, const state *s)
{
    store(m, s->w1);
    store(m + WIDTH, s->w2);
    store(m + 2 * WIDTH, s->v1);
    store(m + 3 * WIDTH, s->v2);
    store(m + 4 * WIDTH, s->sum);
}

static inline state step(vec difference, const float *c, state s)
{
    vec w = load(c) * s.w1 + (load(c + WIDTH) * s.w2 + difference);
    vec v = load(c + 2 * WIDTH) * s.v1 + (load(c + 3 * WIDTH) * s.v2 + (w - s.w2));
    return (state){w, s.w1, v, s.v1, v * v + s.sum};
}

static void filter(const float *z, int64_t rows, int64_t first, int64_t last, const float *coefs, float *bands)
{
    int64_t band = first;
    for (; band < last - 1; band += 2) {
        const float *c = coefs + band * 4 * WIDTH;
        float *m = bands + band * BAND;
        state one = recalled(m), other = recalled(m + BAND);
        for (int64_t i = 0; i < rows; i++) {
            REREAD;
            vec difference = load(z + (i + PAST) * WIDTH) - load(z + i * WIDTH);
            one = step(difference, c, one);
            other = step(difference, c + 4 * WIDTH, other);
        }
        keep(m, &one);
        keep(m + BAND, &other);
    }
    if (band < last) {
        const float *c = coefs + band * 4 * WIDTH;
        state alone = recalled(bands + band * BAND);
        for (int64_t i = 0; i < rows; i++)
            alone = step(load(z + (i + PAST) * WIDTH) - load(z + i * WIDTH), c, alone);
        keep(bands + band * BAND, &alone);
    }
}

static int64_t lower(const float *z, int64_t rows, int64_t phase, const float *taps, int64_t factor, float *m,
                     float *low)
{
    vec y[TAPS_PER_PHASE];
    int64_t count = 0, i = 0;
#pragma GCC unroll 8
    for (int k = 0; k < TAPS_PER_PHASE; k++) y[k] = load(m + k * WIDTH);
    while (i < rows) {
        for (int64_t end = i + least(factor - phase, rows - i); i < end; i++, phase++) {
            vec x = load(z + (PAST + i) * WIDTH);
            const float *row = taps + phase * TAPS_PER_PHASE * WIDTH;
#pragma GCC unroll 8
            for (int k = 0; k < TAPS_PER_PHASE; k++) y[k] = load(row + k * WIDTH) * x + y[k];
        }
        if (phase == factor) {
            store(low + (PAST + count) * WIDTH, y[0]);
#pragma GCC unroll 8
            for (int k = 0; k < TAPS_PER_PHASE - 1; k++) y[k] = y[k + 1];
            y[TAPS_PER_PHASE - 1] = splat(0.0f);
            count++;
            phase = 0;
        }
    }
#pragma GCC unroll 8
    for (int k = 0; k < TAPS_PER_PHASE; k++) store(m + k * WIDTH, y[k]);
    return count;
}

static void copy_past(const float *from, float *to)
{
    for (int row = 0; row < PAST; row++) store(to + row * WIDTH, load(from + row * WIDTH));
}

void filter_bands(const float *x, int64_t frames_in_all, int64_t tracks, int64_t passed, int64_t low_bands,
                  int64_t bands, int64_t factor, const float *dither, const float *taps, const float *coefs,
                  float *lanes, float *heard, float *peak, int64_t *slot, int64_t *track, int64_t *awake,
                  float *mono, float *packed, float *low)
{
    for (int64_t begin = 0; begin < frames_in_all; begin += CHUNK) {
        const int64_t frames = least(CHUNK, frames_in_all - begin);
        mix(x + begin * 2 * tracks, frames, tracks, dither + passed + begin, heard, peak, mono);
        wake(heard, tracks, slot, track, awake);
        for (int64_t block = 0; block < (awake[0] + WIDTH - 1) / WIDTH; block++) {
            const int64_t *members = track + block * WIDTH, count = least(WIDTH, awake[0] - block * WIDTH);
            float *m = lanes + block * BLOCK, *z = mono + members[0] / WIDTH * GROUP;
            if (!is_group(members, count, heard, tracks)) {
                pack(mono, frames, members, count, packed);
                z = packed;
            }
            copy_past(m + PAST_ROWS * WIDTH, z);
            filter(z, frames, low_bands, bands, coefs, m);
            if (low_bands > 0) {
                copy_past(m + LOW_PAST_ROWS * WIDTH, low);
                int64_t rows = lower(z, frames, (passed + begin) % factor, taps, factor, m + TAP_ROWS * WIDTH, low);
                filter(low, rows, 0, low_bands, coefs, m);
                copy_past(low + rows * WIDTH, m + LOW_PAST_ROWS * WIDTH);
            }
            copy_past(z + frames * WIDTH, m + PAST_ROWS * WIDTH);
        }
    }
}
