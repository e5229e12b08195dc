/* One instruction set's LSTM: forward, and backward through time with an optimiser step.
 *
 * Included by lstm.c once for each instruction set, with
 *   LANES    floats per vector: the rows of a minibatch lie side by side in them,
 *   BLOCK    inputs per tile of the weights' gradient, as many as registers allow,
 *   NAME(x)  the name of x for this instruction set.
 * The equations are those of pipeline/forecast/cells/lstm.py and training.py, which are the test of these.
 *
 * Units are taken two at a time, as i f o g i f o g: "packed" order. Rows of a step's inputs: F features, the
 * H hidden units (a multiple of 8, what is beyond them is 0), a 1 for the biases, zeros up to a multiple of BLOCK.
 */

typedef float NAME(V) __attribute__((vector_size(4 * LANES)));
typedef int32_t NAME(I) __attribute__((vector_size(4 * LANES)));
#define V NAME(V)
#define I NAME(I)
#define INLINE static inline __attribute__((always_inline))

typedef struct {
    int f, h, k;        /* features; hidden units as laid out; rows of a step's inputs, as laid out */
    int n_hidden;       /* hidden units */
    int n_steps;        /* T */
    float *into;        /* weights into the gates, by pair of units: [h / 2][k][8] */
    float *back;        /* from the gates to h, by eight units: [h / 8][4 h][8] */
    float *head;        /* from h, features and 1 to the outputs: [h + f + 1][OUTPUTS] */
    float *d_into;      /* gradients: [4 h][k] */
    float *d_head_of_x; /* [OUTPUTS][k] */
    float *d_head_of_h; /* [OUTPUTS][k] */
    float *gradient;    /* as the flat weights lie */
    V *x;               /* [T + 1][k] */
    V *y, *counts;      /* [T][OUTPUTS / 2] */
    V *gates, *d_gates; /* [T][4 h], packed; after sigmoid and tanh */
    V *c, *tanh_c;      /* [T + 1][h] */
    V *out;             /* [T][OUTPUTS]: outputs, then their gradients */
    V *d_h, *d_c;       /* [h] */
} NAME(Work);
#define WORK NAME(Work)

/* exp for |a| up to 80: Cephes' expf, within 2 ulp; NaN stays NaN. */
INLINE V NAME(exponential)(V a)
{
    V shifted = a * 1.44269504f + 12582912.0f; /* adding 1.5 * 2^23 rounds to an integer */
    V n = shifted - 12582912.0f;
    V r = a - n * 0.693359375f + n * 2.12194440e-4f;
    V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return (V)((I)p + ((I)shifted << 23));
}

/* Take a where the comparison holds, and b elsewhere. */
INLINE V NAME(select)(I holds, V a, V b)
{
    return (V)((holds & (I)a) | (~holds & (I)b));
}

/* Keep within +-20, where sigmoid and tanh have reached their ends; NaN stays NaN. */
INLINE V NAME(bounded)(V a)
{
    const V most = (V){0} + 20.0f;
    a = NAME(select)(a > most, most, a);
    return NAME(select)(a < -most, -most, a);
}

/* sigmoid of i, f, o and tanh of g, in place: one division for all four. */
INLINE void NAME(squash)(V *i, V *f, V *o, V *g)
{
    V di = NAME(exponential)(NAME(bounded)(-*i)) + 1.0f, df = NAME(exponential)(NAME(bounded)(-*f)) + 1.0f;
    V d_o = NAME(exponential)(NAME(bounded)(-*o)) + 1.0f, dg = NAME(exponential)(NAME(bounded)(*g * -2.0f)) + 1.0f;
    V first = di * df, second = d_o * dg, inverse = 1.0f / (first * second);
    V of_first = inverse * second, of_second = inverse * first;
    *i = of_first * df;
    *f = of_first * di;
    *o = of_second * dg;
    *g = of_second * d_o * 2.0f - 1.0f;
}

/* Advance two units by one step; their gates before squashing are in a. */
INLINE void NAME(advance)(V *gates, const V *c, V *new_c, V *tanh_c, V *h)
{
    NAME(squash)(gates, gates + 1, gates + 2, gates + 3);
    NAME(squash)(gates + 4, gates + 5, gates + 6, gates + 7);
    V c0 = gates[1] * c[0] + gates[0] * gates[3], c1 = gates[5] * c[1] + gates[4] * gates[7];
    V d0 = NAME(exponential)(NAME(bounded)(c0 * -2.0f)) + 1.0f;
    V d1 = NAME(exponential)(NAME(bounded)(c1 * -2.0f)) + 1.0f, inverse = 2.0f / (d0 * d1);
    V t0 = inverse * d1 - 1.0f, t1 = inverse * d0 - 1.0f;
    new_c[0] = c0, new_c[1] = c1, tanh_c[0] = t0, tanh_c[1] = t1;
    h[0] = gates[2] * t0, h[1] = gates[6] * t1;
}

/* Run all steps of the rows in w->x from a zero state; leaves outputs in w->out. */
static void NAME(forward)(WORK *w)
{
    const int f = w->f, h = w->h, k = w->k;
    memset(w->x + f, 0, sizeof(V) * h);
    memset(w->c, 0, sizeof(V) * h);
    for (int t = 0; t < w->n_steps; t++) {
        const V *x = w->x + (size_t)t * k;
        V *gates = w->gates + (size_t)t * 4 * h, *new_h = w->x + (size_t)(t + 1) * k + f;
        for (int j = 0; j < h; j += 2) {
            const float *into = w->into + (size_t)j / 2 * k * 8;
            V a[8] = {0};
            for (int row = 0; row <= f + h; row++, into += 8)
                for (int n = 0; n < 8; n++)
                    a[n] += into[n] * x[row];
            const V *c = w->c + (size_t)t * h + j;
            NAME(advance)(a, c, (V *)c + h, w->tanh_c + (size_t)t * h + j, new_h + j);
            memcpy(gates + 4 * j, a, sizeof a);
        }
        V out[OUTPUTS];
        const float *head = w->head;
        for (int n = 0; n < OUTPUTS; n++)
            out[n] = head[(size_t)(h + f) * OUTPUTS + n] + (V){0};
        for (int row = 0; row < h; row++, head += OUTPUTS)
            for (int n = 0; n < OUTPUTS; n++)
                out[n] += head[n] * new_h[row];
        for (int row = 0; row < f; row++, head += OUTPUTS)
            for (int n = 0; n < OUTPUTS; n++)
                out[n] += head[n] * x[row];
        memcpy(w->out + (size_t)t * OUTPUTS, out, sizeof out);
    }
}

/* Turn outputs into their gradients: Student-t with nu = 4, log-spread within bounds; share is what one counts. */
static void NAME(judge)(WORK *w, const V *y, const V *counts, float share)
{
    const V zero = {0}, least = zero + MIN_LOG_SPREAD, most = zero + MAX_LOG_SPREAD;
    for (int t = 0; t < w->n_steps; t++)
        for (int q = 0; q < OUTPUTS / 2; q++) {
            V *out = w->out + (size_t)t * OUTPUTS + 2 * q, count = counts[t * (OUTPUTS / 2) + q] * share;
            V spread = out[1], clamped = NAME(select)(spread < least, least, spread);
            clamped = NAME(select)(clamped > most, most, clamped);
            V inverse = NAME(exponential)(-clamped), z = (y[t * (OUTPUTS / 2) + q] - out[0]) * inverse;
            V pull = (NU + 1.0f) * z / (z * z + NU);
            out[0] = -pull * inverse * count;
            out[1] = NAME(select)(spread == clamped, (1.0f - pull * z) * count, zero);
        }
}

/* Backpropagate from w->out, the outputs' gradients, to w->d_gates. */
static void NAME(backward)(WORK *w)
{
    const int h = w->h;
    memset(w->d_h, 0, sizeof(V) * h);
    memset(w->d_c, 0, sizeof(V) * h);
    for (int t = w->n_steps - 1; t >= 0; t--) {
        const V *gates = w->gates + (size_t)t * 4 * h, *c = w->c + (size_t)t * h, *tanh_c = w->tanh_c + (size_t)t * h;
        const V *d_out = w->out + (size_t)t * OUTPUTS;
        V *d_gates = w->d_gates + (size_t)t * 4 * h;
        for (int j = 0; j < h; j++) {
            const V i = gates[4 * j], f = gates[4 * j + 1], o = gates[4 * j + 2], g = gates[4 * j + 3], s = tanh_c[j];
            V d_h = w->d_h[j];
            for (int n = 0; n < OUTPUTS; n++)
                d_h += w->head[(size_t)j * OUTPUTS + n] * d_out[n];
            V through = d_h * o, d_c = w->d_c[j] + through * (1.0f - s * s);
            d_gates[4 * j] = d_c * g * i * (1.0f - i);
            d_gates[4 * j + 1] = d_c * c[j] * f * (1.0f - f);
            d_gates[4 * j + 2] = through * s * (1.0f - o);
            d_gates[4 * j + 3] = d_c * i * (1.0f - g * g);
            w->d_c[j] = d_c * f;
        }
        for (int block = 0; t && block < h / 8; block++) {
            const float *back = w->back + (size_t)block * 4 * h * 8;
            V a[8] = {0};
            for (int n = 0; n < 4 * h; n++, back += 8)
                for (int unit = 0; unit < 8; unit++)
                    a[unit] += back[unit] * d_gates[n];
            memcpy(w->d_h + block * 8, a, sizeof a);
        }
    }
}

/* Add up the lanes, by halves. */
INLINE float NAME(sum)(V a)
{
    I order;
    for (int lane = 0; lane < LANES; lane++)
        order[lane] = lane;
    for (int half = LANES / 2; half; half /= 2)
        a += SHUFFLE(V, I, a, order ^ half);
    return a[0];
}

/* Add up left x right over all steps and rows: out[4 * n_fours][n] += ...; n is a multiple of BLOCK. */
INLINE void NAME(contract)(const V *left, int left_stride, int n_fours, const V *right, int right_stride, int n,
                           int n_steps, float *out, int out_stride)
{
    for (int four = 0; four < n_fours; four++)
        for (int at = 0; at < n; at += BLOCK) {
            V a[4][BLOCK] = {0};
            const V *l = left + 4 * four, *r = right + at;
            for (int t = 0; t < n_steps; t++, l += left_stride, r += right_stride)
                for (int row = 0; row < 4; row++)
                    for (int column = 0; column < BLOCK; column++)
                        a[row][column] += l[row] * r[column];
            for (int row = 0; row < 4; row++)
                for (int column = 0; column < BLOCK; column++)
                    out[(size_t)(4 * four + row) * out_stride + at + column] += NAME(sum)(a[row][column]);
        }
}

/* Lay the weights of a network out for the loops above. */
static void NAME(pack)(WORK *w, const float *weights)
{
    const int f = w->f, h = w->h, k = w->k, n = w->n_hidden;
    const float *bias = weights + (size_t)(f + n) * 4 * n, *head = bias + 4 * n;
    memset(w->into, 0, sizeof(float) * 4 * h * k);
    memset(w->back, 0, sizeof(float) * 4 * h * h);
    memset(w->head, 0, sizeof(float) * (h + f + 1) * OUTPUTS);
    for (int j = 0; j < n; j++)
        for (int gate = 0; gate < 4; gate++) {
            float *into = w->into + (size_t)j / 2 * k * 8 + j % 2 * 4 + gate;
            for (int row = 0; row < f + n; row++)
                into[(size_t)row * 8] = weights[(size_t)row * 4 * n + gate * n + j];
            into[(size_t)(f + h) * 8] = bias[gate * n + j];
            for (int unit = 0; unit < n; unit++)
                w->back[((size_t)(unit / 8) * 4 * h + 4 * j + gate) * 8 + unit % 8] = into[(size_t)(f + unit) * 8];
        }
    memcpy(w->head, head, sizeof(float) * n * OUTPUTS);
    memcpy(w->head + (size_t)h * OUTPUTS, head + (size_t)n * OUTPUTS, sizeof(float) * (f + 1) * OUTPUTS);
}

/* Bring the gradient into the order of the flat weights. */
static void NAME(unpack)(const WORK *w, float *gradient)
{
    const int f = w->f, h = w->h, k = w->k, n = w->n_hidden;
    float *bias = gradient + (size_t)(f + n) * 4 * n, *head = bias + 4 * n;
    for (int j = 0; j < n; j++)
        for (int gate = 0; gate < 4; gate++) {
            const float *d_into = w->d_into + (size_t)(4 * j + gate) * k;
            for (int row = 0; row < f + n; row++)
                gradient[(size_t)row * 4 * n + gate * n + j] = d_into[row];
            bias[gate * n + j] = d_into[f + h];
        }
    for (int q = 0; q < OUTPUTS; q++) {
        for (int j = 0; j < n; j++)
            head[(size_t)j * OUTPUTS + q] = w->d_head_of_h[(size_t)q * k + f + j];
        for (int row = 0; row < f; row++)
            head[(size_t)(n + row) * OUTPUTS + q] = w->d_head_of_x[(size_t)q * k + row];
        head[(size_t)(n + f) * OUTPUTS + q] = w->d_head_of_x[(size_t)q * k + f + h];
    }
}

/* Lay rows of (T, n) side by side in the lanes; of lanes without a row the first is repeated. */
INLINE void NAME(lay)(V *to, int stride, const float *from, int n_lanes, int n_steps, int n)
{
    for (int lane = 0; lane < LANES; lane++) {
        const float *row = from + (size_t)(lane < n_lanes ? lane : 0) * n_steps * n;
        for (int t = 0; t < n_steps; t++)
            for (int column = 0; column < n; column++)
                to[(size_t)t * stride + column][lane] = row[(size_t)t * n + column];
    }
}

/* Add the gradient of one block of rows to w's. */
static void NAME(learn_block)(WORK *w, const float *x, const float *y, const float *counts, int n_lanes, float share)
{
    const int k = w->k;
    NAME(lay)(w->x, k, x, n_lanes, w->n_steps, w->f);
    NAME(lay)(w->y, OUTPUTS / 2, y, n_lanes, w->n_steps, OUTPUTS / 2);
    NAME(lay)(w->counts, OUTPUTS / 2, counts, n_lanes, w->n_steps, OUTPUTS / 2);
    for (int n = 0; n < w->n_steps * OUTPUTS / 2; n++)
        for (int lane = n_lanes; lane < LANES; lane++)
            w->counts[n][lane] = 0;
    NAME(forward)(w);
    NAME(judge)(w, w->y, w->counts, share);
    NAME(backward)(w);
    NAME(contract)(w->d_gates, 4 * w->h, w->h, w->x, k, k, w->n_steps, w->d_into, k);
    NAME(contract)(w->out, OUTPUTS, OUTPUTS / 4, w->x, k, k, w->n_steps, w->d_head_of_x, k);
    NAME(contract)(w->out, OUTPUTS, OUTPUTS / 4, w->x + k, k, k, w->n_steps, w->d_head_of_h, k);
}

/* Find room for everything in one allocation, zeroed; NULL if there is none. */
static WORK *NAME(room)(const Sizes *s)
{
    const size_t f = s->n_features, h = (s->n_hidden + 7) / 8 * 8, t = s->length;
    const size_t k = (f + h + 1 + BLOCK - 1) / BLOCK * BLOCK, head = (h + f + 1) * OUTPUTS;
    const size_t floats[] = {4 * h * k, 4 * h * h, head, 4 * h * k, OUTPUTS * k, OUTPUTS * k, s->n_weights};
    const size_t vectors[] = {(t + 1) * k, t * OUTPUTS / 2, t * OUTPUTS / 2, t * 4 * h, t * 4 * h, (t + 1) * h,
                              (t + 1) * h, t * OUTPUTS, h, h};
    size_t size = sizeof(WORK) + 64;
    for (size_t n = 0; n < sizeof floats / sizeof *floats; n++)
        size += 4 * floats[n] + 64;
    for (size_t n = 0; n < sizeof vectors / sizeof *vectors; n++)
        size += sizeof(V) * vectors[n];
    WORK *w = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!w)
        return NULL;
    memset(w, 0, size);
    w->f = f, w->h = h, w->k = k, w->n_hidden = s->n_hidden, w->n_steps = s->length;
    char *at = (char *)w + (sizeof(WORK) + 63) / 64 * 64;
    V **of_vectors[] = {&w->x, &w->y, &w->counts, &w->gates, &w->d_gates, &w->c, &w->tanh_c, &w->out, &w->d_h, &w->d_c};
    for (size_t n = 0; n < sizeof vectors / sizeof *vectors; at += sizeof(V) * vectors[n++])
        *of_vectors[n] = (V *)at;
    float **of_floats[] = {&w->into, &w->back, &w->head, &w->d_into, &w->d_head_of_x, &w->d_head_of_h, &w->gradient};
    for (size_t n = 0; n < sizeof floats / sizeof *floats; at += (4 * floats[n++] + 63) / 64 * 64)
        *of_floats[n] = (float *)at;
    for (size_t t_ = 0; t_ <= t; t_++)
        w->x[t_ * k + f + h] += 1.0f; /* the biases' input */
    return w;
}

/* Take a network's optimiser steps, one per minibatch. */
static void NAME(teach)(WORK *w, const Sizes *s, const float *x, const float *y, const float *counts, float *weights,
                        float *m, float *v, int n_taken, float learning_rate)
{
    const size_t of_x = (size_t)s->length * s->n_features, of_y = (size_t)s->length * OUTPUTS / 2;
    const float share = 1.0f / ((float)s->n_rows * s->length);
    for (int batch = 0; batch < s->n_batches; batch++) {
        NAME(pack)(w, weights);
        memset(w->d_into, 0, sizeof(float) * 4 * w->h * w->k);
        memset(w->d_head_of_x, 0, sizeof(float) * OUTPUTS * w->k);
        memset(w->d_head_of_h, 0, sizeof(float) * OUTPUTS * w->k);
        for (int row = 0; row < s->n_rows; row += LANES) {
            const size_t at = (size_t)batch * s->n_rows + row;
            const int n_lanes = s->n_rows - row < LANES ? s->n_rows - row : LANES;
            NAME(learn_block)(w, x + at * of_x, y + at * of_y, counts + at * of_y, n_lanes, share);
        }
        NAME(unpack)(w, w->gradient);
        step(s->n_weights, w->gradient, weights, m, v, n_taken + batch + 1, learning_rate);
    }
}

/* See ft_fine_tune. */
static int NAME(fine_tune)(const Sizes *s, const float *x, const float *y, const float *counts, float *weights,
                           float *m, float *v, const int32_t *n_taken, float learning_rate)
{
    WORK *w = NAME(room)(s);
    if (!w)
        return -1;
    const size_t n_readings = (size_t)s->n_batches * s->n_rows * s->length;
    for (int n = 0; n < s->n_networks; n++) {
        const size_t set = n / s->n_sharing * n_readings, at = (size_t)n * s->n_weights, of_y = set * (OUTPUTS / 2);
        NAME(teach)(w, s, x + set * s->n_features, y + of_y, counts + of_y, weights + at, m + at, v + at, n_taken[n],
                    learning_rate);
    }
    free(w);
    return 0;
}

/* Write what one network foretells over its rows to out, [length][n_rows][OUTPUTS]. */
static void NAME(foretell)(WORK *w, const Sizes *s, const float *x, const float *weights, float *out)
{
    NAME(pack)(w, weights);
    for (int first = 0; first < s->n_rows; first += LANES) {
        const int n_lanes = s->n_rows - first < LANES ? s->n_rows - first : LANES;
        NAME(lay)(w->x, w->k, x + (size_t)first * s->length * s->n_features, n_lanes, s->length, s->n_features);
        NAME(forward)(w);
        for (int t = 0; t < s->length; t++)
            for (int lane = 0; lane < n_lanes; lane++) {
                float *to = out + ((size_t)t * s->n_rows + first + lane) * OUTPUTS;
                for (int n = 0; n < OUTPUTS; n++)
                    to[n] = w->out[t * OUTPUTS + n][lane];
            }
    }
}

/* See ft_outputs. */
static int NAME(outputs)(const Sizes *s, const float *x, const float *weights, float *out)
{
    WORK *w = NAME(room)(s);
    if (!w)
        return -1;
    const size_t n_readings = (size_t)s->n_rows * s->length;
    for (int n = 0; n < s->n_networks; n++)
        NAME(foretell)(w, s, x + n / s->n_sharing * n_readings * s->n_features, weights + (size_t)n * s->n_weights,
                       out + n * n_readings * OUTPUTS);
    free(w);
    return 0;
}

#include "step.h"

#undef V
#undef I
#undef INLINE
#undef WORK
