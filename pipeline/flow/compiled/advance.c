/* What flow/forecasting.py does around the networks' step: what is known of the next reading, the networks' inputs, and
 * their outputs as forecasts in the sensor's unit.
 *
 * Optional: where it was not built numpy does the same to the last bit, but for exponentials, logarithms and the like.
 */
#include <float.h>

#include "tick.h"

#define Z_BOUND 12.0
enum { N_FEATURES = 14, N_OUTPUTS = 8 };

/* Where the newest but `back` reading of a stream lies. */
static int64_t place_of(const Windows *w, int64_t s, int width, int back)
{
    const int64_t at = (w->n[s] - 1 - back) % width;
    return s * width + (at < 0 ? at + width : at);
}

/* season._between. */
static double between(const double *three, double offset)
{
    const double difference = (offset < 0 ? three[0] : three[2]) - three[1];
    return three[1] + fabs(offset) * (isnan(difference) ? 0.0 : difference);
}

/* Season.ahead, of one stream: the first four of the outlook. */
static void ahead(const Season *se, int64_t s, int n_ring, double next_time, double *outlook)
{
    const int64_t n_bins = se->n_bins[s], n_cells = n_bins + 4, newest = se->bin[s];
    const double place = (next_time - se->anchor_s[s]) / se->bin_s[s] - n_bins;
    const double place_now = (se->newest_s[s] - se->anchor_s[s]) / se->bin_s[s] - n_bins;
    const int64_t middle = bin_of(place);
    const int is_held = n_bins > 0 && n_cells <= n_ring && middle + 1 < newest && middle - 1 > newest - n_cells;
    if (!is_held) {
        outlook[SEASON] = outlook[SEASON_HIGH] = outlook[SEASON_LOW] = outlook[SEASON_BEFORE] = NAN;
        return;
    }
    double around[5];
    int64_t at = (middle - 2) % n_cells;
    at += at < 0 ? n_cells : 0;
    for (int k = 0; k < 5; k++)
        around[k] = se->ring[s * n_ring + (at + k >= n_cells ? at + k - n_cells : at + k)];
    const int is_behind = bin_of(place_now) < middle;
    double high = fmax(fmax(around[1], around[2]), around[3]), low = fmin(fmin(around[1], around[2]), around[3]);
    if (n_bins >= 200) {
        high = fmax(fmax(around[0], around[4]), high);
        low = fmin(fmin(around[0], around[4]), low);
    }
    outlook[SEASON] = between(around + 1, place - middle);
    outlook[SEASON_HIGH] = high;
    outlook[SEASON_LOW] = low;
    outlook[SEASON_BEFORE] = between(around + !is_behind, clip(place_now - middle + is_behind, -0.5, 0.5));
}

/* The newest value, what was one season before it, and the season's part of the outlook, [n][6]. */
int ft_ahead(const Windows *w, const Season *se, const int64_t *slots, int first, int n, int capacity, int width,
             int n_ring, const double *step_s, double *values, double *now, double *next, double *outlook)
{
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++) {
        const int64_t s = slot_of(slots, first, i), before = place_of(w, s, width, 1);
        values[i] = w->value[place_of(w, s, width, 0)];
        now[i] = w->value[before] + w->outlook[before * N_OUTLOOK + SEASON];
        ahead(se, s, n_ring, w->newest[s] + (isnan(step_s[i]) ? 0.0 : step_s[i]), outlook + i * N_OUTLOOK);
        next[i] = outlook[i * N_OUTLOOK + SEASON];
    }
    return 0;
}

/* features.squash. */
static double squash(double value, double middle, double divisor)
{
    return clip(asinh((value - middle) / divisor), -Z_BOUND, Z_BOUND);
}

/* numpy's nan_to_num. */
static float bounded(double value)
{
    const float found = (float)value;
    return isnan(found) ? 0.0f : found > FLT_MAX ? FLT_MAX : found < -FLT_MAX ? -FLT_MAX : found;
}

/* forecasting.inputs and features.features of one reading. */
static void features(const double *z_ahead, double z, double change, double time, double ratio, float *x)
{
    const double day = time * (2 * 3.141592653589793 / 86400.0);
    const double week = (time - 4 * 86400.0) * (2 * 3.141592653589793 / (7 * 86400.0));
    const double found[N_FEATURES] = {
        z,
        change,
        sin(day),
        cos(day),
        sin(week),
        cos(week),
        clip(log(most(ratio, 1e-3)), -3.0, 3.0),
        z_ahead[SEASON],
        z_ahead[SEASON_HIGH],
        z_ahead[SEASON_LOW],
        z_ahead[SEASON] - z_ahead[SEASON_BEFORE],
        !isnan(z_ahead[SEASON]),
        z_ahead[SMOOTHING] - z,
        z_ahead[AUTOREGRESSION] - z,
    };
    for (int f = 0; f < N_FEATURES; f++)
        x[f] = bounded(found[f]);
}

/* Windows.note of the whole outlook, [n][6], and the networks' inputs, [n][14 + n_context]. */
int ft_inputs(const Windows *w, const Pending *p, const int64_t *slots, int first, int n, int capacity, int width,
              int n_context, const double *outlook, const float *context, const double *previous, const double *interval,
              float *x)
{
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++, x += N_FEATURES + n_context) {
        const int64_t s = slot_of(slots, first, i), at = place_of(w, s, width, 0);
        const double value = w->value[at], middle = p->location_of_scale[s], spread = p->spread_of_scale[s];
        const double divisor = spread > 0 ? spread : INFINITY, z = squash(value, middle, divisor);
        double z_ahead[N_OUTLOOK];
        for (int k = 0; k < N_OUTLOOK; k++) {
            const float known = (float)(outlook[i * N_OUTLOOK + k] - value);
            w->outlook[at * N_OUTLOOK + k] = known;
            z_ahead[k] = squash(value + known, middle, divisor);
        }
        for (int k = 0; k < n_context; k++)
            w->context[at * n_context + k] = x[N_FEATURES + k] = context[(size_t)i * n_context + k];
        double change = p->n_since[s] > 0 ? z - squash(previous[i], middle, divisor) : NAN;
        change = isnan(change) ? 0.0 : change;
        const double ratio = interval[i] / p->interval_of_scale[s];
        features(z_ahead, z, change, w->newest[s], isnan(ratio) ? 1.0 : ratio, x);
    }
    return 0;
}

/* bank.combine, of the next reading. */
static void combine(const float *out, int n_members, float *location, float *log_spread)
{
    *location = out[0], *log_spread = out[1];
    if (n_members == 1)
        return;
    float sum = 0, sum_of_spreads = 0;
    for (int m = 0; m < n_members; m++)
        sum += out[m * N_OUTPUTS];
    *location = sum / n_members;
    for (int m = 0; m < n_members; m++) {
        const float apart = out[m * N_OUTPUTS] - *location;
        sum_of_spreads += expf(2 * (float)clip(out[m * N_OUTPUTS + 1], -20.0, 20.0)) + apart * apart;
    }
    *log_spread = 0.5f * logf(sum_of_spreads / n_members);
}

/* Pending._in_unit, of one level; no scale yet, no forecast. */
static double in_unit(double middle, double spread, double mu, double log_spread, double *scale)
{
    mu = clip(mu, -Z_BOUND, Z_BOUND);
    *scale = exp(clip(log_spread, -6.0, 4.0)) * spread * cosh(mu);
    return (spread > 0 ? middle : NAN) + spread * sinh(mu);
}

/* Pending.foretell, and the count of readings since the start; outputs are [n][n_members][8]. */
int ft_foretell(const Pending *p, const int64_t *slots, int first, int n, int capacity, int n_members, int n_pending,
                const int32_t *lengths, const float *out, double *location, double *scale)
{
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++, out += n_members * N_OUTPUTS) {
        const int64_t s = slot_of(slots, first, i), number = p->n_since[s]++;
        const double middle = p->location_of_scale[s], spread = p->spread_of_scale[s];
        const double log_of_spread = spread > 0 ? log(spread) : NAN;
        float mean, log_spread;
        for (int m = 0; m < n_members; m++) {
            int64_t ring = (s * n_members + m) * n_pending;
            for (int c = 0; c < N_TARGETS; ring += lengths[c], c++) {
                const int64_t at = ring + number % lengths[c];
                const double mu = out[m * N_OUTPUTS + 2 * c], own = out[m * N_OUTPUTS + 2 * c + 1];
                double size = exp(clip(own, -6.0, 4.0));
                p->location[at] = c == ACTIVITY ? clip(mu, -Z_BOUND, Z_BOUND) + log_of_spread
                                                : in_unit(middle, spread, mu, own, &size);
                p->scale[at] = (float)size;
            }
        }
        combine(out, n_members, &mean, &log_spread);
        location[i] = in_unit(middle, spread, mean, log_spread, scale + i);
    }
    return 0;
}

int ft_version(void)
{
    return 1;
}
