/* What both kernels share: vectors of WIDTH lanes, which the build sets as in dsp/vectors.py. */

#include <math.h>
#include <stdint.h>

enum { BANDS = 25, CHUNK = 64, AT_ONCE = 5, BELLS_AT_ONCE = 4 };

typedef float vec __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(4 * WIDTH)));

static const float LIMIT = 1e6f;

static inline vec load(const float *at) { return *(const vec *)at; }
static inline void store(float *at, vec value) { *(vec *)at = value; }
static inline vec splat(float value) { return value - (vec){0}; }
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
