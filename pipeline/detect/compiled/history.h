/* A bounded memory of what is usual: pipeline/detect/history.py. */
#include "../../core/compiled.h"

#define MOST_PLACES 128 /* of a history: numpy adds up so many in one go */

typedef struct {
    uint16_t *largest;
    float *block;
    int32_t *n_in_block;
    int64_t *n_blocks;
    int32_t *n_kept;
} History;

/* History._insert, of one value: the smallest is let go. */
static inline void insert(uint16_t *list, int n_places, float whole)
{
    const uint16_t rounded = shortened_up(whole);
    const float value = lengthened(rounded);
    if (!(value > lengthened(list[0])))
        return;
    int low = 0, high = n_places; /* how many are smaller lies between them */
    while (low < high) {
        const int middle = (low + high) / 2;
        if (lengthened(list[middle]) < value)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(list, list + 1, sizeof *list * (low - 1));
    list[low - 1] = rounded;
}

/* History._thin, of one list. */
static inline void thin(uint16_t *list, int n_places)
{
    for (int j = 0; j < n_places / 2; j++)
        list[n_places - 1 - j] = list[n_places - 2 - 2 * j];
    for (int j = 0; j < n_places - n_places / 2; j++)
        list[j] = shortened_up(-INFINITY);
}

/* History.take_in of a block that is complete, of all n_tails lists of a stream. */
static inline void close_block(const History *h, int64_t s, int n_tails, int n_places, int64_t n_remembered)
{
    uint16_t *largest = h->largest + s * n_tails * n_places;
    float *block = h->block + s * n_tails;
    for (int t = 0; t < n_tails; t++) {
        insert(largest + (size_t)t * n_places, n_places, block[t]);
        block[t] = -INFINITY;
    }
    h->n_in_block[s] = 0;
    const int64_t n = ++h->n_blocks[s], all = n - 1 < n_places ? n - 1 : n_places;
    const int64_t n_kept = h->n_kept[s] == all ? n : n * n_places / n_remembered;
    h->n_kept[s] = n_kept < n_places ? n_kept : n_places;
    if (n < n_remembered)
        return;
    for (int t = 0; t < n_tails; t++)
        thin(largest + (size_t)t * n_places, n_places);
    h->n_kept[s] /= 2;
    h->n_blocks[s] /= 2;
}

/* A sum of up to 128 numbers in the order of numpy's; their number is a multiple of 8. */
static inline double sum(const double *a, int n)
{
    double r[8];
    memcpy(r, a, sizeof r);
    for (int i = 8; i < n; i += 8)
        for (int j = 0; j < 8; j++)
            r[j] += a[i + j];
    return ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
}

/* History.tails, of one list: what lies beyond the threshold, from the returned place on, 0 outside of the tail. */
static inline int excesses(const uint16_t *list, int n_places, int n_tail, double *threshold, double *excess)
{
    const int is_known = isfinite(lengthened(list[n_places - n_tail])), begin = (n_places - n_tail) / 8 * 8;
    *threshold = is_known ? (double)lengthened(list[n_places - n_tail]) : INFINITY;
    for (int i = begin; i < n_places; i++)
        excess[i] = is_known ? most(lengthened(list[i]) - *threshold, 0.0) : 0.0;
    const double nth = excess[n_places - 4], bound = n_tail > 3 && nth > 0 ? 10.0 * nth : INFINITY;
    for (int i = n_places - 3; i < n_places; i++)
        excess[i] = least(excess[i], bound);
    return begin;
}

static inline int64_t between(int64_t a, int64_t low, int64_t high)
{
    a = a > low ? a : low;
    return a < high ? a : high;
}

/* Tails.decades. */
static inline double decades(int64_t n_above, int64_t n)
{
    return -log10((double)(n_above + 1) / (double)(n + 2));
}

/* How many block maxima make the tail, of n blocks of which n_kept are kept. */
static inline int64_t tail_of(double share, int64_t n, int64_t n_kept)
{
    return between(between((int64_t)ceil(share * n), 10, INT64_MAX), 1, n_kept < n - 1 ? n_kept : n - 1);
}
