/* Surprise: what pipeline/detect/surprise.py does to a reading of every stream, and its histories.
 *
 * Optional: where it was not built numpy does the same to the last bit, but for logarithms. Names are those of the
 * Python classes; pipeline/detect/compiled/__init__.py lists the columns in the order of the structures below.
 */
#include "history.h"

enum { NEXT_READING, NEXT_SHORT, NEXT_LONG, ACTIVITY, RESIDUAL, SPREAD, LEVEL, VOTE, N_EACH };
enum { N_OF_FORECASTS = SPREAD, N_OF_PAST = 2, N_VIEWS = VOTE, N_SHARES = 2, SIDES = 0, SIZES = 1 };
#define MAX_SCORE 30.0

typedef struct {
    History history;
    float *recent_threshold, *recent_excess, *recent_low; /* of the recent mean as a view */
    float *threshold, *excess, *low, *threshold_score, *low_score;
} Surprise;

/* History.take_in; streams whose block is complete go to done. Returns how many, or -1 where a stream is not there. */
int ft_take_in(const History *h, const int64_t *slots, int first, int n, int capacity, int n_tails, int n_places,
               int n_remembered, const float *statistics, const uint8_t *is_counted, int64_t *done)
{
    int n_done = 0;
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++) {
        const int64_t s = slot_of(slots, first, i);
        float *block = h->block + s * n_tails;
        const float *found = statistics + (size_t)i * n_tails;
        for (int t = 0; t < n_tails && is_counted[i]; t++)
            block[t] = found[t] > block[t] ? found[t] : block[t];
        h->n_in_block[s] += is_counted[i];
        if (h->n_in_block[s] < 10)
            continue;
        close_block(h, s, n_tails, n_places, n_remembered);
        done[n_done++] = s;
    }
    return n_done;
}

/* Tails.mean_excess or mean_log_excess, of one list. */
static void fit_tail(const uint16_t *list, int n_places, int n_tail, int n_body, int is_size, float *threshold_to,
                     float *low_to, float *excess_to)
{
    double threshold, excess[MOST_PLACES];
    const int begin = excesses(list, n_places, n_tail, &threshold, excess);
    for (int i = begin; i < n_places && is_size; i++)
        excess[i] = log1p(excess[i] / most(threshold, 1e-300));
    const double mean = sum(excess + begin, n_places - begin) / n_tail;
    *threshold_to = (float)threshold;
    *low_to = (float)(isfinite(threshold) ? most(lengthened(list[n_places - n_body]), -1e30) : INFINITY);
    *excess_to = (float)most(mean, is_size ? 1e-3 : 1e-3 * fabs(threshold) + 1e-30);
}

/* Surprise._fit, of one stream; tails from first_size on are of sizes. */
static void fit(const Surprise *h, int64_t s, int n_tails, int n_places, int first_size)
{
    static const double shares[N_SHARES] = {0.2, 0.1};
    const int64_t n = h->history.n_blocks[s], n_kept = between(h->history.n_kept[s], 1, n_places);
    for (int share = SIDES; share <= SIZES; share++) {
        const int64_t n_tail = tail_of(shares[share], n, n_kept);
        const int64_t n_body = between((int64_t)ceil(0.5 * n), n_tail, n_kept);
        for (int t = share == SIDES ? 0 : first_size; t < (share == SIDES ? first_size : n_tails); t++) {
            const int64_t at = s * n_tails + t;
            fit_tail(h->history.largest + at * n_places, n_places, n_tail, n_body, share == SIZES, h->threshold + at,
                     h->low + at, h->excess + at);
        }
        if (share == SIDES) {
            const uint16_t *means = h->history.largest + (s * n_tails + n_tails - 1) * n_places;
            fit_tail(means, n_places, n_tail, n_body, 0, h->recent_threshold + s, h->recent_low + s, h->recent_excess + s);
        }
        h->threshold_score[s * N_SHARES + share] = (float)decades(n_tail, n);
        h->low_score[s * N_SHARES + share] = (float)decades(n_body, n);
    }
}

/* Surprise.learn: sides are [n][2 views], sizes [n][members + 1]. */
int ft_surprise_learn(const Surprise *h, const int64_t *slots, int first, int n, int capacity, int n_members,
                      int n_places, int n_remembered, const double *sides, const double *sizes,
                      const uint8_t *is_counted)
{
    const int n_sides = 2 * (N_OF_FORECASTS * n_members + N_OF_PAST), n_tails = n_sides + n_members + 1;
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++) {
        const int64_t s = slot_of(slots, first, i);
        float *block = h->history.block + s * n_tails;
        for (int t = 0; t < n_tails && is_counted[i]; t++) {
            const double found = t < n_sides ? sides[(size_t)i * n_sides + t]
                                             : sizes[(size_t)i * (n_members + 1) + t - n_sides];
            block[t] = (float)found > block[t] ? (float)found : block[t]; /* NaN is not */
        }
        h->history.n_in_block[s] += is_counted[i];
        if (h->history.n_in_block[s] < 10)
            continue;
        close_block(&h->history, s, n_tails, n_places, n_remembered);
        if (h->history.n_blocks[s] >= 8)
            fit(h, s, n_tails, n_places, n_sides);
    }
    return 0;
}

/* surprise._body. */
static double body(double value, double low, double threshold, double low_score, double threshold_score)
{
    double found;
    if (value > low)
        found = low_score + (threshold_score - low_score) * (value - low) / (threshold - low);
    else if (value == low)
        found = low_score;
    else
        found = (low > 0 ? most(value / low, 0.0) : 0.0) * low_score;
    return isnan(found) || !isfinite(threshold) ? 0.0 : found;
}

/* Surprise._of_sides, of one side of one view. */
static double of_side(const Surprise *h, int64_t s, int64_t at, double value)
{
    const double threshold = h->threshold[at], top = h->threshold_score[s * N_SHARES + SIDES];
    if (value > threshold)
        return top + (value - threshold) / (h->excess[at] * 2.302585092994046f);
    return body(value, h->low[at], threshold, h->low_score[s * N_SHARES + SIDES], top);
}

/* Surprise._of_recent. */
static double of_recent(const Surprise *h, int64_t s, double value)
{
    const double threshold = h->recent_threshold[s], top = h->threshold_score[s * N_SHARES + SIDES];
    if (isnan(value))
        return 0.0;
    if (value > threshold)
        return top + (value - threshold) / (h->recent_excess[s] * 2.302585092994046);
    return body(value, h->recent_low[s], threshold, h->low_score[s * N_SHARES + SIDES], top);
}

/* Surprise._of_sizes, of one size. */
static double of_size(const Surprise *h, int64_t s, int64_t at, double value)
{
    const double threshold = h->threshold[at], top = h->threshold_score[s * N_SHARES + SIZES];
    if (isnan(value))
        return 0.0;
    if (value > threshold)
        return least(top + log10(value / threshold) / h->excess[at], MAX_SCORE);
    return least(body(value, h->low[at], threshold, h->low_score[s * N_SHARES + SIZES], top), MAX_SCORE);
}

/* Surprise.score; before is how many readings each stream had, each [n][8] its views' decades. */
int ft_surprise_score(const Surprise *h, const int64_t *slots, int first, int n, int capacity, int n_members,
                      const double *sides, const double *sizes, const int64_t *before, double *score, double *each)
{
    static const double given[N_EACH] = {-0.3, -1.2, 0.4, 0.9, -0.05, -0.4, -0.05, 0.0};
    const int n_of_forecasts = N_OF_FORECASTS * n_members, n_side = n_of_forecasts + N_OF_PAST;
    const int n_tails = 2 * n_side + n_members + 1;
    double age = 0;
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++, each += N_EACH) {
        const int64_t s = slot_of(slots, first, i), at = s * n_tails;
        const double *side = sides + (size_t)i * 2 * n_side, *size = sizes + (size_t)i * (n_members + 1);
        for (int view = 0; view < N_VIEWS; view++) {
            const int is_past = view >= N_OF_FORECASTS, n_of = is_past ? 1 : n_members;
            double total = 0;
            for (int m = 0; m < n_of; m++) {
                const int v = is_past ? n_of_forecasts + view - N_OF_FORECASTS : m * N_OF_FORECASTS + view;
                total += most(of_side(h, s, at + v, side[v]), of_side(h, s, at + n_side + v, side[n_side + v]));
            }
            each[view] = is_past ? total : total / n_members;
        }
        double vote = 0;
        for (int m = 0; m < n_members; m++)
            vote += of_size(h, s, at + 2 * n_side + m, size[m]);
        vote = vote / n_members * 0.4;
        vote += of_size(h, s, at + 2 * n_side + n_members, size[n_members]) * 0.4;
        vote += each[LEVEL] * 0.2;
        each[LEVEL] = most(each[LEVEL], of_recent(h, s, size[n_members]) - 1.0);
        each[VOTE] = 1.8 * (vote - 1.4) + 3.3;
        if (i == 0 || before[i] != before[i - 1])
            age = log10((double)between(before[i], 700, 14000) / 1000);
        double largest = -INFINITY;
        for (int view = 0; view < N_EACH; view++) {
            const double found = each[view] > 0.0 ? most(each[view] + given[view], 0.0) : each[view];
            each[view] = found - age * (view == VOTE ? 1.15 : 0.3);
            largest = most(largest, each[view]);
            each[view] = clip(each[view], 0.0, MAX_SCORE);
        }
        score[i] = h->history.n_blocks[s] >= 8 ? clip(largest, 0.0, MAX_SCORE) : NAN;
    }
    return 0;
}

int ft_version(void)
{
    return 4;
}
