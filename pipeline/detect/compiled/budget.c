/* The budget: what pipeline/detect/budget.py does to a reading of every stream. */
#include "history.h"

enum { BLOCK = 10, MIN_BLOCKS = 40, N_WAITING = 24 };
#define LN_10 2.302585092994046
#define NO_SHAPE 1e-3
#define SPENT 0.17
#define PRIOR 1.1

typedef struct {
    History history;
    uint16_t *waiting;
    int8_t *at;
    float *threshold, *scale, *shape, *n_tail, *threshold_score;
} Budget;

/* Budget.level and decades_of; step_s are those of all streams. */
int ft_budget_level(const Budget *b, const int64_t *slots, int first, int n, int capacity, double seconds,
                    const double *step_s, double *level)
{
    double usual_s = -1, wanted = 0; /* streams beside each other often have the same interval */
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++) {
        const int64_t s = slot_of(slots, first, i);
        if (step_s[s] != usual_s) {
            const double blocks = seconds / (BLOCK * most(step_s[s], 1e-3));
            wanted = most(log10(most(isnan(blocks) ? 1e6 : blocks, 1.0)) - SPENT, 0.0);
            usual_s = step_s[s];
        }
        const double prior = wanted + SPENT + PRIOR;
        double found = prior + 1.3;
        if (b->n_tail[s] > 0) {
            const double n_tail = most(b->n_tail[s], 1.0), shape = b->shape[s];
            const double rarer = most(wanted - b->threshold_score[s], 0.0) * LN_10;
            const double excess = n_tail * expm1(least(rarer / n_tail, 50.0));
            const double curved = fabs(shape) < NO_SHAPE ? excess : expm1(least(shape * excess, 50.0)) / shape;
            found = least(b->threshold[s] + b->scale[s] * curved, prior + 2.5);
        }
        level[i] = clip(found, 2.0, 30.0);
    }
    return 0;
}

/* Budget._fit, of one stream. */
static void fit(const Budget *b, int64_t s, int n_places)
{
    const int64_t n_blocks = b->history.n_blocks[s], n_kept = between(b->history.n_kept[s], 1, n_places);
    const int n = (int)tail_of(0.2, n_blocks, n_kept);
    double threshold, excess[MOST_PLACES], weighted[MOST_PLACES];
    const int begin = excesses(b->history.largest + s * n_places, n_places, n, &threshold, excess);
    for (int i = begin; i < n_places; i++)
        weighted[i] = excess[i] * (n_places - 1 - i);
    const double mean = sum(excess + begin, n_places - begin) / n;
    const double weight = sum(weighted + begin, n_places - begin) / (double)((int64_t)n * (n > 2 ? n - 1 : 1));
    double shape = 2.0 - mean / (mean - 2.0 * weight);
    shape = clip((isfinite(shape) ? shape : 0.0) * n / (n + 20), -0.5, 0.5);
    b->threshold[s] = (float)threshold;
    b->shape[s] = (float)shape;
    b->scale[s] = (float)most((n * mean * (1.0 - shape) + 10 * 0.45) / (n + 10), 0.02);
    b->n_tail[s] = (float)(n + 10);
    b->threshold_score[s] = (float)decades(n, n_blocks);
}

/* Budget._after_waiting, of one stream whose block is complete: says whether there is one to be learnt. */
static int after_waiting(const Budget *b, int64_t s)
{
    uint16_t *oldest = b->waiting + s * N_WAITING + b->at[s];
    float *block = b->history.block + s;
    if (b->history.n_blocks[s] < MIN_BLOCKS)
        return *block > -INFINITY;
    const float released = lengthened(*oldest);
    *oldest = shortened_up(*block);
    *block = released;
    b->at[s] = (int8_t)((b->at[s] + 1) % N_WAITING);
    return released > -INFINITY;
}

/* Budget.learn. */
int ft_budget_learn(const Budget *b, const int64_t *slots, int first, int n, int capacity, int n_places,
                    int n_remembered, const double *score, const double *level, const uint8_t *is_settled)
{
    const History *h = &b->history;
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++) {
        const int64_t s = slot_of(slots, first, i);
        if (!is_settled[i] || isnan(score[i]))
            continue;
        const float found = (float)(b->n_tail[s] > 0 ? least(score[i], level[i]) : score[i]);
        h->block[s] = found > h->block[s] ? found : h->block[s];
        if (++h->n_in_block[s] < BLOCK)
            continue;
        if (!after_waiting(b, s)) {
            h->block[s] = -INFINITY;
            h->n_in_block[s] = 0;
            continue;
        }
        close_block(h, s, 1, n_places, n_remembered);
        if (h->n_blocks[s] >= MIN_BLOCKS)
            fit(b, s, n_places);
    }
    return 0;
}
