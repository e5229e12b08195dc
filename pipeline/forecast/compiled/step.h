/* One instruction set's step of many streams by one reading: the bank of networks in its own order, see step().
 *
 * Included by lstm.h. The equations are those of pipeline/forecast/network.py and cells/lstm.py; here a
 * network's units lie side by side in vectors, and each weight is read once.
 */

typedef float NAME(U) __attribute__((vector_size(4 * LANES), aligned(4))); /* lies anywhere */
#define U NAME(U)
#define TILE 6 /* vectors of gates that are summed up in registers, of so many streams together */
#define TOGETHER (LANES == 16 ? 4 : LANES == 8 ? 2 : 1)

/* out[s][j] = bias[j] + sum over rows of x[s][row] * kernel[row][j], for n_tile vectors of columns from j on. */
INLINE void NAME(columns)(int n_tile, int n_together, int j, int n_columns, int n_rows, const float *x,
                          const float *kernel, const float *bias, float *out, int n_out)
{
    V a[TOGETHER][TILE];
    for (int s = 0; s < n_together; s++)
        for (int n = 0; n < n_tile; n++)
            a[s][n] = *(const U *)(bias + j + n * LANES);
    for (int row = 0; row < n_rows; row++)
        for (int n = 0; n < n_tile; n++) {
            const V weights = *(const U *)(kernel + (size_t)row * n_columns + j + n * LANES);
            for (int s = 0; s < n_together; s++)
                a[s][n] += x[s * n_rows + row] * weights;
        }
    for (int s = 0; s < n_together; s++)
        for (int n = 0; n < n_tile; n++)
            *(U *)(out + s * n_out + j + n * LANES) = a[s][n];
}

/* out = x * kernel + bias, of n_together streams; n_out numbers lie between two of them. Beyond the columns up to a
 * vector is read, which the weights of the outputs are there for, and written. */
INLINE void NAME(product)(int n_together, int n_columns, int n_rows, const float *x, const float *kernel,
                          const float *bias, float *out, int n_out)
{
    int j = 0;
    for (; j + TILE * LANES <= n_columns; j += TILE * LANES)
        NAME(columns)(TILE, n_together, j, n_columns, n_rows, x, kernel, bias, out, n_out);
    for (; j < n_columns; j += LANES) /* whole vectors: what a compiler makes of a rest may differ by n_together */
        NAME(columns)(1, n_together, j, n_columns, n_rows, x, kernel, bias, out, n_out);
}

/* sigmoid in place, of n numbers and those beside them up to a whole vector. */
INLINE void NAME(sigmoids)(int n, float *a)
{
    for (int j = 0; j < n; j += LANES) {
        U *v = (U *)(a + j);
        *v = 1.0f / (1.0f + NAME(exponential)(NAME(bounded)(-*v)));
    }
}

/* What follows from a network's gates: the new h and c, which may lie where the old ones do. */
INLINE void NAME(finish)(int n_h, float *gates, const float *c, float *state)
{
    float new_c[n_h + LANES], squashed[n_h + LANES];
    memcpy(new_c, c, sizeof(float) * n_h);
    for (int j = 0; j < LANES; j++)
        gates[4 * n_h + j] = new_c[n_h + j] = 0;
    const float *i = gates, *f = i + n_h, *o = f + n_h;
    float *g = gates + 3 * n_h;
    for (int j = 0; j < n_h; j++)
        g[j] *= 2; /* tanh(a) = 2 sigmoid(2 a) - 1 */
    NAME(sigmoids)(4 * n_h, gates);
    for (int j = 0; j < n_h; j += LANES) { /* beyond n_h whatever there is */
        U *now = (U *)(new_c + j);
        *now = *(const U *)(f + j) * *now + *(const U *)(i + j) * (2 * *(U *)(g + j) - 1);
        *(U *)(squashed + j) = 2 * *now;
    }
    NAME(sigmoids)(n_h, squashed);
    for (int j = 0; j < n_h; j += LANES)
        *(U *)(squashed + j) = *(const U *)(o + j) * (2 * *(U *)(squashed + j) - 1);
    memcpy(state, squashed, sizeof(float) * n_h);
    memcpy(state + n_h, new_c, sizeof(float) * n_h);
}

typedef float NAME(Y) __attribute__((vector_size(4 * OUTPUTS), aligned(4)));

/* The outputs, of h and then x. */
INLINE void NAME(head)(int n_together, int n_members, int n_x, int n_h, const float *head, const float *x,
                       const float *state, float *out)
{
    NAME(Y) sums[TOGETHER];
    const size_t next = (size_t)n_members * 2 * n_h;
    const NAME(Y) *weights = (const NAME(Y) *)head;
    for (int s = 0; s < n_together; s++)
        sums[s] = weights[n_h + n_x];
    for (int row = 0; row < n_h; row++, weights++)
        for (int s = 0; s < n_together; s++)
            sums[s] += state[s * next + row] * *weights;
    for (int row = 0; row < n_x; row++, weights++)
        for (int s = 0; s < n_together; s++)
            sums[s] += x[s * n_x + row] * *weights;
    for (int s = 0; s < n_together; s++)
        memcpy(out + (size_t)s * n_members * OUTPUTS, sums + s, sizeof *sums);
}

/* One network's step of n_together streams, which follow each other. */
INLINE void NAME(step_some)(int n_together, int n_members, int n_x, int n_h, const float *weights, const float *x,
                            const float *state, float *new_state, float *out)
{
    const int n_rows = n_x + n_h, n_gates = 4 * n_h + LANES;
    float x_h[TOGETHER * n_rows], gates[TOGETHER * n_gates];
    const float *bias = weights + (size_t)n_rows * 4 * n_h;
    const size_t next = (size_t)n_members * 2 * n_h;
    for (int s = 0; s < n_together; s++) {
        memcpy(x_h + s * n_rows, x + (size_t)s * n_x, sizeof(float) * n_x);
        memcpy(x_h + s * n_rows + n_x, state + s * next, sizeof(float) * n_h);
    }
    NAME(product)(n_together, 4 * n_h, n_rows, x_h, weights, bias, gates, n_gates);
    for (int s = 0; s < n_together; s++)
        NAME(finish)(n_h, gates + s * n_gates, state + s * next + n_h, new_state + s * next);
    NAME(head)(n_together, n_members, n_x, n_h, bias + 4 * n_h, x, new_state, out);
}

static void NAME(step)(int n_streams, int n_members, int n_x, int n_h, int n_weights, const float *weights,
                       const int32_t *group, const float *x, const float *state, float *new_state, float *out)
{
    for (int first = 0, end; first < n_streams; first = end) { /* streams that share their networks */
        for (end = first + 1; end < n_streams && group[end] == group[first];)
            end++;
        for (int member = 0; member < n_members; member++) {
            const float *own = weights + ((size_t)group[first] * n_members + member) * n_weights;
            for (int s = first, n; s < end; s += n) {
                const size_t at = (size_t)s * n_members + member;
                n = s + TOGETHER <= end ? TOGETHER : 1;
                if (n == TOGETHER)
                    NAME(step_some)(TOGETHER, n_members, n_x, n_h, own, x + (size_t)s * n_x, state + at * 2 * n_h,
                                    new_state + at * 2 * n_h, out + at * OUTPUTS);
                else
                    NAME(step_some)(1, n_members, n_x, n_h, own, x + (size_t)s * n_x, state + at * 2 * n_h,
                                    new_state + at * 2 * n_h, out + at * OUTPUTS);
            }
        }
    }
}

#undef U
#undef TILE
#undef TOGETHER
