/* One instruction set's step of many streams by one reading: the bank of networks in its own order, see step().
 *
 * Included by lstm.h. The equations are those of pipeline/forecast/network.py and cells/lstm.py; here a
 * network's units lie side by side in vectors, and each weight is read once.
 */

typedef float NAME(U) __attribute__((vector_size(4 * LANES), aligned(4))); /* lies anywhere */
#define U NAME(U)
#define TILE 6 /* vectors of gates that are summed up in registers */

/* out[j] = bias[j] + sum over rows of x[row] * kernel[row][j], for n_tile vectors of columns from j on. */
INLINE void NAME(columns)(int n_tile, int j, int n_columns, int n_rows, const float *x, const float *kernel,
                          const float *bias, float *out)
{
    V a[TILE];
    for (int n = 0; n < n_tile; n++)
        a[n] = *(const U *)(bias + j + n * LANES);
    for (int row = 0; row < n_rows; row++)
        for (int n = 0; n < n_tile; n++)
            a[n] += x[row] * *(const U *)(kernel + (size_t)row * n_columns + j + n * LANES);
    for (int n = 0; n < n_tile; n++)
        *(U *)(out + j + n * LANES) = a[n];
}

/* out = x * kernel + bias. */
INLINE void NAME(product)(int n_columns, int n_rows, const float *x, const float *kernel, const float *bias, float *out)
{
    int j = 0;
    for (; j + TILE * LANES <= n_columns; j += TILE * LANES)
        NAME(columns)(TILE, j, n_columns, n_rows, x, kernel, bias, out);
    for (; j + LANES <= n_columns; j += LANES)
        NAME(columns)(1, j, n_columns, n_rows, x, kernel, bias, out);
    for (; j < n_columns; j++) {
        float a = bias[j];
        for (int row = 0; row < n_rows; row++)
            a += x[row] * kernel[(size_t)row * n_columns + j];
        out[j] = a;
    }
}

/* sigmoid in place, of n numbers and those beside them up to a whole vector. */
INLINE void NAME(sigmoids)(int n, float *a)
{
    for (int j = 0; j < n; j += LANES) {
        U *v = (U *)(a + j);
        *v = 1.0f / (1.0f + NAME(exponential)(NAME(bounded)(-*v)));
    }
}

/* One network's step: x, then h, are in x_h; the new h and c go to state, the outputs to out. */
static void NAME(step_one)(int n_x, int n_h, const float *weights, float *x_h, const float *c, float *state, float *out)
{
    float gates[4 * n_h + LANES], squashed[n_h + LANES];
    const int n_rows = n_x + n_h;
    const float *bias = weights + (size_t)n_rows * 4 * n_h, *head = bias + 4 * n_h;
    NAME(product)(4 * n_h, n_rows, x_h, weights, bias, gates);
    for (int j = 0; j < LANES; j++)
        gates[4 * n_h + j] = squashed[n_h + j] = 0;
    float *i = gates, *f = i + n_h, *o = f + n_h, *g = o + n_h;
    for (int j = 0; j < n_h; j++)
        g[j] *= 2; /* tanh(a) = 2 sigmoid(2 a) - 1 */
    NAME(sigmoids)(4 * n_h, gates);
    for (int j = 0; j < n_h; j++) {
        state[n_h + j] = f[j] * c[j] + i[j] * (2 * g[j] - 1);
        squashed[j] = 2 * state[n_h + j];
    }
    NAME(sigmoids)(n_h, squashed);
    for (int j = 0; j < n_h; j++)
        state[j] = o[j] * (2 * squashed[j] - 1);
    float sums[OUTPUTS];
    memcpy(sums, head + (size_t)n_rows * OUTPUTS, sizeof sums);
    for (int row = 0; row < n_rows; row++) {
        const float input = row < n_h ? state[row] : x_h[row - n_h];
        for (int n = 0; n < OUTPUTS; n++)
            sums[n] += input * head[(size_t)row * OUTPUTS + n];
    }
    memcpy(out, sums, sizeof sums);
}

static void NAME(step)(int n_streams, int n_members, int n_x, int n_h, int n_weights, const float *weights,
                       const int32_t *group, const float *x, const float *state, float *new_state, float *out)
{
    float x_h[n_x + n_h];
    for (int s = 0; s < n_streams; s++)
        for (int member = 0; member < n_members; member++) {
            const size_t at = (size_t)s * n_members + member;
            const float *h = state + at * 2 * n_h;
            memcpy(x_h, x + (size_t)s * n_x, sizeof(float) * n_x);
            memcpy(x_h + n_x, h, sizeof(float) * n_h);
            NAME(step_one)(n_x, n_h, weights + ((size_t)group[s] * n_members + member) * n_weights, x_h, h + n_h,
                           new_state + at * 2 * n_h, out + at * OUTPUTS);
        }
}

#undef U
#undef TILE
