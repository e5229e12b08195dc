/* What flow/forecasting.py does around the networks' step: what is known of the next reading, the networks' inputs, and
 * their outputs as forecasts in the sensor's unit.
 */
#include <float.h>

#include "tick.h"

#define Z_BOUND 12.0

/* season._between. */
static double between(const double *three, double offset)
{
    const double difference = (offset < 0 ? three[0] : three[2]) - three[1];
    return three[1] + fabs(offset) * (isnan(difference) ? 0.0 : difference);
}

/* Season.ahead, of one stream: the first four of the outlook. */
static void ahead(const Season *se, int64_t s, int64_t n_ring, double next_time, double *outlook)
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

/* The newest values, what was one season before them, and what baselines and season foretell. */
static int look_ahead(const Run *r)
{
    const Columns *c = r->columns;
    const Windows *w = r->shard->windows;
    double *found = c->foretold;
    for (int i = 0; i < r->n; i++) {
        const int64_t s = c->slots[i], before = place_before(r, i);
        const double step_s = r->shard->cadence->step_s[s];
        double *outlook = c->outlook + (size_t)i * N_OUTLOOK;
        c->newest[i] = w->value[c->place[i]];
        c->season_now[i] = season_before(w, s, before);
        ahead(r->shard->season, s, r->sizes->n_ring, w->newest[s] + (isnan(step_s) ? 0.0 : step_s), outlook);
        c->season_next[i] = outlook[SEASON];
    }
    if (r->others->league_foretell(r->shard->league, c->slots, 0, (int)r->n, (int)r->sizes->capacity, c->newest,
                                   c->season_now, c->season_next, found))
        return -1;
    for (int i = 0; i < r->n; i++)
        for (int k = SMOOTHING; k < N_OUTLOOK; k++)
            c->outlook[(size_t)i * N_OUTLOOK + k] = found[2 * i + k - SMOOTHING];
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

/* Where a time lies in its day and week; readings of a tick often have the same. */
typedef struct {
    double time, ways[4];
} Hour;

static void turn_to(Hour *hour, double time)
{
    const double day = time * (2 * 3.141592653589793 / 86400.0);
    const double week = (time - 4 * 86400.0) * (2 * 3.141592653589793 / (7 * 86400.0));
    if (time == hour->time)
        return;
    hour->time = time;
    hour->ways[0] = sin(day), hour->ways[1] = cos(day), hour->ways[2] = sin(week), hour->ways[3] = cos(week);
}

/* forecasting.inputs and features.features of one reading. */
static void features(const double *z_ahead, double z, double change, const double *ways, double ratio, float *x)
{
    const double found[N_FEATURES] = {
        z,
        change,
        ways[0],
        ways[1],
        ways[2],
        ways[3],
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

/* Windows.note of the whole outlook, and the networks' inputs. */
static void see(const Run *r)
{
    const Columns *c = r->columns;
    const Windows *w = r->shard->windows;
    const Pending *p = r->shard->pending;
    const int64_t n_context = r->sizes->n_context;
    float *x = c->x;
    Hour hour = {.time = NAN};
    for (int i = 0; i < r->n; i++, x += N_FEATURES + n_context) {
        const int64_t s = c->slots[i], at = c->place[i];
        const double value = w->value[at], middle = p->location_of_scale[s], spread = p->spread_of_scale[s];
        const double divisor = spread > 0 ? spread : INFINITY, z = squash(value, middle, divisor);
        const double unit = w->unit[s], per_unit = unit > 0 ? 1.0 / unit : NAN;
        double z_ahead[N_OUTLOOK];
        for (int k = 0; k < N_OUTLOOK; k++) {
            const uint16_t known = shortened((float)((c->outlook[(size_t)i * N_OUTLOOK + k] - value) * per_unit));
            w->outlook[at * N_OUTLOOK + k] = known;
            z_ahead[k] = squash(value + lengthened(known) * unit, middle, divisor);
        }
        for (int64_t k = 0; k < n_context; k++)
            w->context[at * n_context + k] = x[N_FEATURES + k] = c->context[i * n_context + k];
        double change = p->n_since[s] > 0 ? z - squash(c->previous[i], middle, divisor) : NAN;
        change = isnan(change) ? 0.0 : change;
        const double ratio = c->interval[i] / p->interval_of_scale[s];
        turn_to(&hour, w->newest[s]);
        features(z_ahead, z, change, hour.ways, isnan(ratio) ? 1.0 : ratio, x);
    }
}

/* bank.step, in place, streams that lie side by side at a time. */
static int step(const Run *r)
{
    const Columns *c = r->columns;
    const Sizes *z = r->sizes;
    const int64_t n_x = N_FEATURES + z->n_context, n_hidden = z->n_members * 2 * z->n_hidden;
    for (int64_t i = 0, end; i < r->n; i = end) {
        const int64_t s = c->slots[i];
        float *hidden = r->shard->pending->hidden + s * n_hidden;
        for (end = i + 1; end < r->n && c->slots[end] == c->slots[end - 1] + 1;)
            end++;
        if (r->others->step((int)r->rules->instructions, (int)(end - i), (int)z->n_members, (int)n_x, (int)z->n_hidden,
                            (int)z->n_weights, (int)z->n_groups, r->shard->bank->weights, r->shard->ledger->group + s,
                            c->x + i * n_x, hidden, hidden, c->out + i * z->n_members * N_OUTPUTS))
            return -1;
    }
    return 0;
}

/* forecasting.advance, up to the networks' inputs. */
int advance(const Run *r)
{
    if (look_ahead(r))
        return -1;
    see(r);
    return 0;
}

/* Stops where networks are not the helper's business. */
int networks(const Run *r)
{
    return r->others->step ? step(r) : 1;
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

/* Pending.foretell, of one stream, and the count of readings since the start. */
static void foretell_one(const Run *r, int i)
{
    const Pending *p = r->shard->pending;
    const int n_members = (int)r->sizes->n_members;
    const int64_t s = r->columns->slots[i], number = p->n_since[s]++, *lengths = r->sizes->lengths;
    const double middle = p->location_of_scale[s], spread = p->spread_of_scale[s];
    const double log_of_spread = spread > 0 ? log(spread) : NAN;
    const float *out = r->columns->out + (size_t)i * n_members * N_OUTPUTS;
    float mean, log_spread;
    int64_t places[N_TARGETS];
    for (int k = 0; k < N_TARGETS; k++)
        places[k] = number % lengths[k];
    for (int m = 0; m < n_members; m++) {
        int64_t ring = (s * n_members + m) * r->sizes->n_pending;
        for (int k = 0; k < N_TARGETS; ring += lengths[k], k++) {
            const int64_t at = ring + places[k];
            const double mu = out[m * N_OUTPUTS + 2 * k], own = out[m * N_OUTPUTS + 2 * k + 1];
            double size = exp(clip(own, -6.0, 4.0));
            p->location[at] = k == ACTIVITY ? clip(mu, -Z_BOUND, Z_BOUND) + log_of_spread
                                            : in_unit(middle, spread, mu, own, &size);
            p->scale[at] = (float)size;
        }
    }
    combine(out, n_members, &mean, &log_spread);
    r->columns->location[i] = in_unit(middle, spread, mean, log_spread, r->columns->scale + i);
}

/* The rest of forecasting.advance: the networks' forecasts join the others. */
int foretell(const Run *r)
{
    const Columns *c = r->columns;
    for (int i = 0; i < r->n; i++)
        foretell_one(r, i);
    return r->others->league_join(r->shard->league, c->slots, 0, (int)r->n, (int)r->sizes->capacity, c->newest,
                                  c->location, c->scale);
}
