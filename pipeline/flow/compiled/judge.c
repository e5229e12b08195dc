/* What flow/scoring.py does to a reading of every stream until it has a score: the forecasts that are due, the newest
 * readings, and what the views make of both.
 */
#include "tick.h"

enum { N_RECENT = 60, N_SETTLING = 16, N_STILL = 180, N_IN_BLOCK = 8 };

/* numpy's sum of numbers beside each other. */
static double sum(const double *a, int n)
{
    double r[8], found = 0;
    int i = 0;
    if (n > 128) {
        const int half = n / 2 - n / 2 % 8;
        return sum(a, half) + sum(a + half, n - half);
    }
    if (n >= 8) {
        for (int j = 0; j < 8; j++)
            r[j] = a[j];
        for (i = 8; i + 8 <= n; i += 8)
            for (int j = 0; j < 8; j++)
                r[j] += a[i + j];
        found = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    }
    for (; i < n; i++)
        found += a[i];
    return found;
}

/* views.shrunk. */
static double shrunk(double value, double floor)
{
    const double found = most(fabs(value) - floor, 0.0);
    return isnan(value) ? value : value > 0 ? found : value < 0 ? -found + 0.0 : 0.0;
}

/* Windows.push, and the newest n values, oldest first, as recent_values; returns where the newest lies. */
static int64_t push(const Windows *w, int64_t s, int64_t width, double time, double value, int n, double *newest)
{
    double *values = w->value + s * width;
    const int64_t at = w->n[s] % width;
    w->since[s * width + at] = w->n[s] > 0 ? (float)(time - w->newest[s]) : NAN;
    values[at] = value;
    w->is_taught[s * width + at] = 1;
    w->newest[s] = time;
    w->n[s]++;
    const int64_t around = n - (at + 1) > 0 ? n - (at + 1) : 0; /* so many lie at the ring's end */
    memcpy(newest, values + width - around, sizeof(double) * around);
    memcpy(newest + around, values + at + 1 - (n - around), sizeof(double) * (n - around));
    return s * width + at;
}

/* Recent.of; n readings of the 60 are there. */
static void recent_of(const double *values, int64_t n, double *mean, double *deviation)
{
    double there[N_RECENT];
    const int count = n < N_RECENT ? (int)n : N_RECENT;
    for (int i = 0; i < N_RECENT; i++)
        there[i] = i >= N_RECENT - count ? values[i] : 0.0;
    *mean = sum(there, N_RECENT) / count;
    for (int i = 0; i < N_RECENT; i++) {
        const double away = values[i] - *mean;
        there[i] = i >= N_RECENT - count ? away * away : 0.0;
    }
    *deviation = sqrt(sum(there, N_RECENT) / count);
}

/* targets.realised: what came of next reading, short and long mean, and activity; newest are long + 1 values. */
static void realised(const double *newest, const int64_t *lengths, double spread, double *came)
{
    const int n_long = (int)lengths[LONG];
    double change[n_long];
    for (int i = 0; i < n_long; i++)
        change[i] = fabs(newest[i + 1] - newest[i]);
    came[NEXT] = newest[n_long];
    came[SHORT] = sum(newest + n_long + 1 - lengths[SHORT], (int)lengths[SHORT]) / lengths[SHORT];
    came[LONG] = sum(newest + 1, n_long) / n_long;
    came[ACTIVITY] = log(sum(change, n_long) / n_long + 0.01 * spread);
}

/* Counters.split: what the worked-on values count from, and these. */
static void split(const Run *r)
{
    const Counters *counters = r->shard->counters;
    const Columns *c = r->columns;
    for (int i = 0; i < r->n; i++) {
        const int64_t s = c->slots[i];
        const double reading = c->reading[i], last = counters->last[s];
        const double share = c->is_gap[i] ? r->shard->cadence->step_s[s] / c->interval[i] : 1.0;
        const int is_counter = counters->is_counter[s];
        c->value[i] = is_counter ? (reading < last ? reading : reading - last) * share : reading;
        c->base[i] = is_counter ? reading - c->value[i] : 0.0;
    }
}

/* views.look, of the forecasts of one stream's networks. */
static void look_at_forecasts(const Run *r, int i, const double *came, double floor, double per_unit)
{
    const Columns *c = r->columns;
    const Pending *p = r->shard->pending;
    const int n_members = (int)r->sizes->n_members;
    const int64_t s = c->slots[i], number = p->n_since[s], *lengths = r->sizes->lengths;
    double total = 0;
    int64_t places[N_TARGETS];
    for (int k = 0; k < N_TARGETS; k++)
        places[k] = number % lengths[k];
    for (int m = 0; m < n_members; m++) {
        int64_t ring = (s * n_members + m) * r->sizes->n_pending;
        double *view = c->of_forecasts + ((size_t)i * n_members + m) * N_OF_FORECASTS;
        for (int k = 0; k < N_TARGETS; ring += lengths[k], k++) {
            const int64_t at = ring + places[k];
            const double scale = number < lengths[k] + N_SETTLING ? NAN : (double)p->scale[at];
            const double residual = isnan(scale) ? NAN : came[k] - p->location[at];
            view[k] = residual / (scale + (k == ACTIVITY ? 0.1 : floor));
            if (k == NEXT) {
                view[N_TARGETS] = shrunk(residual, floor) * per_unit;
                c->sizes[(size_t)i * (n_members + 1) + m] = most(fabs(residual), floor) * per_unit;
            }
        }
        total += view[NEXT];
    }
    c->next_reading[i] = total / n_members;
}

/* Found.sides, of one stream. */
static void put_beside(const Columns *c, int i, int n_of_forecasts)
{
    const int n_views = n_of_forecasts + N_OF_PAST;
    double *sides = c->sides + (size_t)i * 2 * n_views;
    for (int v = 0; v < n_views; v++) {
        const double view = v < n_of_forecasts ? c->of_forecasts[(size_t)i * n_of_forecasts + v]
                                               : c->of_past[N_OF_PAST * i + v - n_of_forecasts];
        sides[v] = isnan(view) ? -INFINITY : view;
        sides[n_views + v] = isnan(view) ? -INFINITY : -view;
    }
}

/* scoring._look: put readings into the windows, and hold what came against what was foretold. */
void look(const Run *r)
{
    const Columns *c = r->columns;
    const Windows *w = r->shard->windows;
    const int64_t *lengths = r->sizes->lengths;
    const int n_members = (int)r->sizes->n_members;
    const int n_newest = lengths[LONG] + 1 > N_RECENT ? (int)lengths[LONG] + 1 : N_RECENT;
    double newest[n_newest];
    for (int i = 0; i < r->n; i++) {
        const int64_t s = c->slots[i];
        double came[N_TARGETS], *mean = c->mean + i, *deviation = c->deviation + i;
        c->place[i] = push(w, s, r->sizes->width, c->time[i], c->value[i], n_newest, newest);
        realised(newest + n_newest - lengths[LONG] - 1, lengths, r->shard->pending->spread_of_scale[s], came);
        recent_of(newest + n_newest - N_RECENT, w->n[s], mean, deviation);
        const double per_unit = 1.0 / (w->unit[s] > 0 ? w->unit[s] : 1.0);
        const double level = r->shard->scaling->mean[s], floor = 0.02 * spread_of(r->shard->scaling, s);
        look_at_forecasts(r, i, came, floor, per_unit);
        c->of_past[N_OF_PAST * i] = (*deviation - r->shard->usual->usual_spread[s]) * per_unit;
        c->of_past[N_OF_PAST * i + 1] = shrunk(c->value[i] - level, floor) * per_unit;
        c->sizes[(size_t)i * (n_members + 1) + n_members] = most(fabs(*mean - level), floor) * per_unit;
        put_beside(c, i, N_OF_FORECASTS * n_members);
        c->previous[i] = newest[n_newest - 2];
        c->is_still[i] = r->shard->usual->n_still[s] >= N_STILL && *deviation <= 1e-12 * fabs(*mean);
    }
}

/* Drift.step, of one stream: the block under way; says whether it is full. */
static int put_into_block(const Run *r, int i)
{
    const Drift *drift = r->shard->drift;
    const Columns *c = r->columns;
    const int64_t s = c->slots[i], before = place_before(r, i);
    double *block = drift->block + 2 * N_IN_BLOCK * s;
    if (c->n[i] < r->rules->n_settled)
        return 0;
    const int at = drift->n_in_block[s] % N_IN_BLOCK;
    block[at] = c->value[i];
    block[N_IN_BLOCK + at] = c->value[i] - season_before(r->shard->windows, s, before);
    return ++drift->n_in_block[s] == N_IN_BLOCK;
}

/* scoring.judge, up to the score and its level. Stops where a block of drift is full. */
int judge(const Run *r)
{
    const Columns *c = r->columns;
    const Others *o = r->others;
    const int n = (int)r->n, capacity = (int)r->sizes->capacity, n_members = (int)r->sizes->n_members;
    int stops = 0;
    split(r);
    if (o->league_shown(r->shard->league, c->slots, 0, n, capacity, c->who, c->shown, c->widths))
        return -1;
    look(r);
    if (o->surprise_score(r->shard->surprise, c->slots, 0, n, capacity, n_members, c->sides, c->sizes, c->n, c->score,
                          c->views))
        return -1;
    if (o->budget_level(r->shard->budget, c->slots, 0, n, capacity, r->rules->seconds_per_false_alarm,
                        r->shard->cadence->step_s, c->level))
        return -1;
    for (int i = 0; i < n; i++) {
        const double half = c->widths[N_WIDTHS * i + r->rules->interval];
        if (c->is_still[i]) {
            c->score[i] = least(c->score[i], 0.0);
            for (int view = 0; view < N_EACH; view++)
                c->views[(size_t)i * N_EACH + view] = 0.0;
        }
        if (c->n[i] + 1 < r->rules->n_warmup)
            c->score[i] = NAN;
        c->forecast[i] = c->base[i] + c->shown[i];
        c->lower[i] = c->forecast[i] - half;
        c->upper[i] = c->forecast[i] + half;
        c->is_drift[i] = 0;
        stops |= c->is_full[i] = put_into_block(r, i);
    }
    return stops;
}
