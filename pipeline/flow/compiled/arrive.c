/* What flow/arrival.py finds of every reading: how many came before, since when, whether that is a gap; and the cadence.
 */
#include "tick.h"

enum { TIME_UNCERTAIN = 2 };

/* Cadence.learn. */
static double learnt(const Rules *rules, double step, double interval, int64_t n)
{
    const int64_t row = n < 1 ? 1 : n < rules->n_paces_of_cadence ? n : rules->n_paces_of_cadence - 1;
    const double gain = most(0.02, 0.25 / (n > 1 ? n : 1)), away = interval - step;
    if (isnan(step) || isnan(interval))
        return isnan(step) ? interval : step;
    return fabs(away) <= gain * step ? interval : step * rules->paces_of_cadence[2 * row + (away > 0)];
}

/* Stops for gaps, and for counters that fell. */
int arrive(const Run *r)
{
    const Windows *w = r->shard->windows;
    const Counters *counters = r->shard->counters;
    const Columns *c = r->columns;
    double *step_s = r->shard->cadence->step_s;
    int stops = 0;
    for (int i = 0; i < r->n; i++) {
        const int64_t row = c->rows[i] = r->rows->order[r->first + i], s = c->slots[i] = r->rows->slot[row];
        if (s < 0 || s >= r->sizes->capacity)
            return -1;
        const double reading = c->reading[i] = r->rows->value[row], last = counters->last[s];
        c->time[i] = r->rows->time[row];
        c->is_certain[i] = !(r->rows->flags[row] & TIME_UNCERTAIN);
        c->n[i] = w->n[s];
        c->interval[i] = c->n[i] > 0 ? c->time[i] - w->newest[s] : NAN;
        c->is_gap[i] = c->interval[i] > r->rules->gap_cadences * step_s[s];
        step_s[s] = learnt(r->rules, step_s[s], c->is_certain[i] ? c->interval[i] : NAN, c->n[i]);
        c->is_mistaken[i] = counters->is_counter[s] && reading < last && !(reading >= 0 && reading < 0.5 * last);
        stops |= c->is_gap[i] | c->is_mistaken[i];
    }
    return stops;
}
