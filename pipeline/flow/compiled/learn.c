/* What flow/engine.py learns of every stream beside scores and forecasters: what is usual of it, its scale, its season.
 *
 * Optional: where it was not built numpy does the same to the last bit.
 */
#include "tick.h"

enum { N_BEHIND = 4, LONGEST_BRIDGE = 4 };

static int64_t modulo(int64_t a, int64_t n)
{
    return a % n < 0 ? a % n + n : a % n;
}

/* UsualSpread.learn. */
static void learn_usual(const Usual *u, int64_t s, double mean, double deviation, double spread, int64_t n)
{
    const double usual = u->usual_spread[s], bound = n < 60 ? INFINITY : 3.0 * spread;
    u->usual_spread[s] = usual + clip(deviation - usual, -bound, bound) / (n + 1 < 2000 ? n + 1 : 2000);
    if (deviation <= 1e-12 * fabs(mean))
        u->n_still[s] = (u->n_still[s] < 180 ? u->n_still[s] : 180) + 1;
    else
        u->n_still[s] = 0;
}

/* Scaling.learn. */
static void learn_scale(const Scaling *sc, int64_t s, double value, int64_t n, int is_taught)
{
    const double mean = sc->mean[s], var = sc->var[s], gain = (double)is_taught / (n + 1 < 3000 ? n + 1 : 3000);
    const double limit = n < 32 || var <= 0 ? INFINITY : 10.0 * sqrt(var);
    const double deviation = clip(value - mean, -limit, limit);
    sc->var[s] = (1 - gain) * (var + gain * deviation * deviation);
    sc->mean[s] = mean + gain * deviation;
}

/* Season._at_centre. */
static double at_centre(const Season *se, int64_t s, double place, double value)
{
    const double own = se->place[s], mean = se->mean[s], bin = (double)se->bin[s];
    const int is_early = own <= bin;
    const double distance = (is_early ? place : se->place_before[s]) - own;
    const double share = (bin - own) / (distance == 0 ? INFINITY : distance);
    return mean + clip(share, 0.0, 0.5) * ((is_early ? value : se->mean_before[s]) - mean);
}

/* Season._blend. */
static double blended(const Season *se, int64_t s, double newest, double before, int is_left, const double *paces)
{
    const double change = newest - before, size = fabs(change), usual = se->usual_change[s], away = size - usual;
    if (!is_left || isnan(change))
        return newest;
    const double moved = usual > 0 ? usual * paces[away > 0 ? 2 : away < 0 ? 0 : 1] : size, bound = 50.0 * moved;
    se->usual_change[s] = moved;
    return moved > 0 ? before + 0.4 * clip(change, -bound, bound) : newest;
}

/* Season._bridge, of one stream. */
static void bridge(const Season *se, int64_t s, double *ring, int64_t n_cells, int64_t entered, double place, double value)
{
    const int64_t left = se->bin[s], n_bins = se->n_bins[s];
    const int64_t n_skipped = entered - left - 1 < n_cells ? entered - left - 1 : n_cells;
    double filled[n_skipped];
    for (int64_t i = 0; i < n_skipped; i++) {
        const int64_t skipped = entered - 1 - i;
        const double own = se->place[s], mean = se->mean[s];
        if (entered - left <= LONGEST_BRIDGE)
            filled[i] = mean + ((double)skipped - own) / (place - own) * (value - mean);
        else
            filled[i] = skipped - n_bins > left ? NAN : ring[modulo(skipped - n_bins, n_cells)];
    }
    for (int64_t i = 0; i < n_skipped; i++)
        ring[modulo(entered - 1 - i, n_cells)] = filled[i];
}

/* Season.learn. */
static void learn_season(const Season *se, int64_t s, int n_ring, double time, double value, const double *paces)
{
    const double place = (time - se->anchor_s[s]) / se->bin_s[s], place_left = se->place[s], mean_left = se->mean[s];
    const int64_t entered = bin_of(place), left = se->bin[s], n_cells = se->n_bins[s] + N_BEHIND;
    int64_t n = se->n_in_bin[s];
    const int is_new = entered > left || n == 0, is_left = is_new && n > 0;
    double *ring = se->ring + s * n_ring;
    if (n_cells < 1 || n_cells > n_ring)
        return; /* cannot be */
    const double before = ring[modulo(left + N_BEHIND, n_cells)];
    const double newest = blended(se, s, at_centre(se, s, place, value), before, is_left, paces);
    ring[modulo(left, n_cells)] = n > 0 ? newest : NAN;
    if (is_left && entered - left > 1)
        bridge(se, s, ring, n_cells, entered, place, value);
    if (is_new) {
        se->place_before[s] = is_left ? place_left : place;
        se->mean_before[s] = is_left ? mean_left : value;
        se->bin[s] = entered;
    }
    n = is_new ? 1 : n + 1;
    se->place[s] = is_new ? place : place_left + (place - place_left) / n;
    se->mean[s] = is_new ? value : mean_left + (value - mean_left) / n;
    se->n_in_bin[s] = n;
    se->newest_s[s] = time;
}

/* What engine._learn does to these parts; the spreads before go to spreads, [n].
 *
 * paces are what a usual change of the season is multiplied by where a change is less, as much, more: numpy's own
 * exponentials, since it walks until it meets a change exactly, and then one bit decides.
 */
int ft_learn(const Scaling *sc, const Usual *u, const Season *se, const int64_t *slots, int first, int n, int capacity,
             int n_ring, const double *paces, const double *times, const double *values, const int64_t *before, const double *means,
             const double *deviations, const uint8_t *is_taught, double *spreads)
{
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++) {
        const int64_t s = slot_of(slots, first, i);
        double spread = spread_of(sc, s);
        if (before[i] == 1) /* of one reading the floor is no measure */
            spread = most(spread, fabs(values[i] - sc->mean[s]));
        learn_usual(u, s, means[i], deviations[i], spread, before[i]);
        learn_scale(sc, s, values[i], before[i], is_taught[i]);
        learn_season(se, s, n_ring, times[i], values[i], paces);
        spreads[i] = spread;
    }
    return 0;
}
