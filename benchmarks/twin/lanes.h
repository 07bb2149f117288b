/* What both kernels share: vectors of WIDTH lanes, which the build sets as in dsp/vectors.py. */

#include <math.h>
#include <stdint.h>

typedef float vec __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

static const float LIMIT = 1e6f;

#define REREAD __asm__ volatile("" ::: "memory")

static inline vec load(const float *at) { return *(const vec *)at; }
static inline void store(float *at, vec value) { *(vec *)at = value; }
static inline vec splat(float value) { return value - (vec){0}; }
static inline vec choose(mask which, vec a, vec b) { return (vec)((which & (mask)a) | (~which & (mask)b)); }
static inline vec magnitude(vec a) { return (vec)((mask)a & INT32_MAX); }
static inline vec sound(vec a) { return (vec)((magnitude(a) <= LIMIT) & (mask)a); }
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
