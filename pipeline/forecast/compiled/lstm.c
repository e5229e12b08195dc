/* Fine-tuning and forward passes of small LSTMs, one network at a time, its minibatch side by side in vector registers;
 * and their step by one reading.
 *
 * Optional: without a compiler at the installation torch does the same, slower (pipeline/forecast/training.py).
 * Only GNU C is spoken (GCC, and for its own machine clang): vectors are the compiler's, no instruction is named.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUTS 8 /* location and log-spread of four targets */
#define NU 4.0f
#define MIN_LOG_SPREAD (-6.0f)
#define MAX_LOG_SPREAD 4.0f

#ifdef __clang__ /* has no shuffle by a vector; its optimiser sees what the loop is */
#define SHUFFLE(V, I, a, order)                       \
    ({                                                \
        V to;                                         \
        I at = order;                                 \
        for (unsigned n = 0; n < sizeof(V) / 4; n++) \
            to[n] = (a)[at[n]];                       \
        to;                                           \
    })
#else
#define SHUFFLE(V, I, a, order) __builtin_shuffle(a, order)
#endif

typedef struct {
    int32_t n_networks, n_sharing, n_features, n_hidden, n_weights, length, n_rows, n_batches;
} Sizes;

/* One step of Adam, its gradient clipped to norm 5. */
static void step(int n, const float *gradient, float *weights, float *m, float *v, int n_steps, float learning_rate)
{
    double square = 0;
    for (int i = 0; i < n; i++)
        square += (double)gradient[i] * gradient[i];
    float clip = 5.0f / (float)sqrt(square);
    clip = clip > 1.0f ? 1.0f : clip;
    const float of_m = learning_rate / (1.0f - powf(0.9f, n_steps)), of_v = 1.0f / (1.0f - powf(0.99f, n_steps));
    for (int i = 0; i < n; i++) {
        const float g = gradient[i] * clip;
        m[i] += (g - m[i]) * 0.1f;
        v[i] = v[i] * 0.99f + g * g * 0.01f;
        weights[i] -= of_m * m[i] / (sqrtf(v[i] * of_v) + 1e-8f);
    }
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define DISPATCHES 1
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
#define LANES 16
#define BLOCK 5
#define NAME(x) x##_v4
#include "lstm.h"
#undef LANES
#undef BLOCK
#undef NAME
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#define LANES 8
#define BLOCK 3
#define NAME(x) x##_v3
#include "lstm.h"
#undef LANES
#undef BLOCK
#undef NAME
#pragma GCC pop_options
#endif

#define LANES 4
#define BLOCK 3
#define NAME(x) x##_any
#include "lstm.h"

/* What its caller must know of it: raised when a call here, or the layout of what it is given, changes. */
int ft_version(void)
{
    return 2;
}

/* Which instructions to use: 0 what every processor of the kind has, 3 AVX2 and FMA, 4 AVX-512. */
int ft_level(void)
{
#ifdef DISPATCHES
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return 4;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return 3;
#endif
    return 0;
}

/* Fine-tune networks in place, an optimiser step per minibatch; 0, or -1 without memory.
 *
 * n_sharing networks one after the other see the same windows: x is [n_batches][n_rows][length][n_features], y and
 * counts (0 or 1) the same with four targets. Each network's weights, m and v are [n_weights], as
 * pipeline/forecast/network.py lays them out; n_taken is how many optimiser steps it took before.
 */
int ft_fine_tune(int level, const Sizes *s, const float *x, const float *y, const float *counts, float *weights,
                 float *m, float *v, const int32_t *n_taken, float learning_rate)
{
#ifdef DISPATCHES
    if (level == 4)
        return fine_tune_v4(s, x, y, counts, weights, m, v, n_taken, learning_rate);
    if (level == 3)
        return fine_tune_v3(s, x, y, counts, weights, m, v, n_taken, learning_rate);
#endif
    (void)level;
    return fine_tune_any(s, x, y, counts, weights, m, v, n_taken, learning_rate);
}

/* Write what networks foretell to out, [length][n_rows][8] of each; n_sharing see the same x, [n_rows][length]
 * [n_features]. */
int ft_outputs(int level, const Sizes *s, const float *x, const float *weights, float *out)
{
#ifdef DISPATCHES
    if (level == 4)
        return outputs_v4(s, x, weights, out);
    if (level == 3)
        return outputs_v3(s, x, weights, out);
#endif
    (void)level;
    return outputs_any(s, x, weights, out);
}

/* Advance n_streams streams by one reading; 0, or -1 where one is of a group that is not there.
 *
 * weights are [n_groups][n_members][n_weights], x [n_streams][n_x], states [n_streams][n_members][h and c], out
 * [n_streams][n_members][8]; new_state may be state.
 */
int ft_step(int level, int n_streams, int n_members, int n_x, int n_h, int n_weights, int n_groups, const float *weights,
            const int32_t *group, const float *x, const float *state, float *new_state, float *out)
{
    for (int s = 0; s < n_streams; s++)
        if (group[s] < 0 || group[s] >= n_groups)
            return -1;
#ifdef DISPATCHES
    if (level == 4)
        step_v4(n_streams, n_members, n_x, n_h, n_weights, weights, group, x, state, new_state, out);
    else if (level == 3)
        step_v3(n_streams, n_members, n_x, n_h, n_weights, weights, group, x, state, new_state, out);
    else
#endif
        step_any(n_streams, n_members, n_x, n_h, n_weights, weights, group, x, state, new_state, out);
    (void)level;
    return 0;
}
