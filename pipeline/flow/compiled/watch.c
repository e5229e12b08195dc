/* Sensors' health and what is kept of every reading: runs of equal readings, and whether a detector has something to
 * find, see flow/verdicts.py and detect/health_*; then the rows that go out.
 */
#include "tick.h"

enum { N_BINS = 14, N_MIN = 12, EVERY = 4, N_WARMUP = 256, LEARNT = 4, N_MOVES = 3, FADE_EVERY = 4096, DUE_EVERY = 16 };

/* Runs._end, of one stream. */
static void end_run(const Runs *u, int64_t s, int64_t length)
{
    int bin = 0;
    while (bin < N_BINS - 1 && length >> (bin + 1))
        bin++;
    if (length == 1) {
        u->count[s * N_BINS]++;
        return;
    }
    const int64_t limit = u->n_limit[s], learnt = limit > 0 && LEARNT * limit < length ? LEARNT * limit : length;
    u->count[s * N_BINS + bin] += limit <= 0;
    u->longest[s] = learnt > u->longest[s] ? learnt : u->longest[s];
    u->n_limit[s] = 0;
}

/* Runs.step, of one stream. */
static void step_run(const Run *r, int i, int is_held)
{
    const Runs *u = r->shard->runs;
    const Columns *c = r->columns;
    const int64_t s = c->slots[i], length = u->n[s], n = c->n[i];
    const int is_same = c->reading[i] == u->value[s];
    if (!is_same && length > 0)
        end_run(u, s, length);
    u->n[s] = is_same ? length + 1 : 1;
    u->value[s] = c->reading[i];
    if (!is_same)
        u->since_s[s] = c->time[i];
    for (int bin = 0; bin < N_BINS && n % FADE_EVERY == 0; bin++)
        u->count[s * N_BINS + bin] *= (float)*r->rules->keep_of_runs;
    if (n == 0)
        u->first_s[s] = c->time[i];
    u->n_moves[s] += is_held && !is_same;
    c->is_moved[i] = is_held && !is_same && u->n_moves[s] >= N_MOVES;
    c->is_long[i] = u->n[s] >= N_MIN && n >= N_WARMUP && u->n[s] % EVERY == 0 && !is_held;
}

/* Stops where a detector may find something, and where what is measured over windows is due. */
int watch(const Run *r)
{
    const Columns *c = r->columns;
    const Reach *reach = r->shard->reach;
    const Counters *counters = r->shard->counters;
    int stops = 0;
    for (int i = 0; i < r->n && r->rules->has_health; i++) {
        const int64_t s = c->slots[i];
        const uint16_t held = r->shard->verdicts->bits[s];
        const double value = reach->is_given[s] ? c->reading[i] : c->value[i];
        step_run(r, i, held & STUCK);
        r->shard->clock->n_late[s] = r->shard->clock->n_future[s] = 0;
        stops |= c->is_long[i] | c->is_moved[i] | c->is_gap[i] | (held & (OUT_OF_RANGE | COUNTER_RESET | CLOCK_SKEW));
        stops |= value < reach->floor[s] || value > reach->ceiling[s] || reach->n_outside[s];
        stops |= counters->is_counter[s] && c->reading[i] < counters->last[s] && c->n[i] > 0;
        stops |= (c->n[i] + 1) % DUE_EVERY == 0;
    }
    return !!stops;
}

/* Trail.keep, of one stream. */
static void keep(const Run *r, int i)
{
    const Trail *trail = r->shard->trail;
    const Columns *c = r->columns;
    const int64_t n = r->sizes->n_evidence, at = c->slots[i] * n + c->n[i] % n;
    trail->value[at] = c->reading[i];
    trail->residual[at] = (float)(c->reading[i] - c->forecast[i]);
    trail->half_width[at] = (float)(c->upper[i] - c->forecast[i]);
}

/* engine._report: stops where an episode opened or closed, and where details are asked for. */
int report(const Run *r)
{
    const Columns *c = r->columns;
    const Rows *rows = r->rows;
    const Ledger *ledger = r->shard->ledger;
    const Episodes *e = r->shard->episodes;
    int stops = (int)r->rules->has_detail;
    for (int i = 0; i < r->n; i++) {
        const int64_t row = c->rows[i], s = c->slots[i];
        rows->forecast[row] = ledger->forecast[s] = c->forecast[i];
        rows->lower[row] = ledger->lower[s] = c->lower[i];
        rows->upper[row] = ledger->upper[s] = c->upper[i];
        rows->score[row] = ledger->score[s] = c->score[i];
        rows->level[row] = ledger->level[s] = c->level[i];
        ledger->value[s] = c->reading[i];
        keep(r, i);
        rows->health[row] = ledger->health[s] = c->health[i] | r->shard->verdicts->bits[s];
        rows->event[row] = c->event[i];
        if (e->is_open[s] || c->event[i] == EVENT_CLOSE)
            rows->opened[row] = e->opened_s[s];
        stops |= c->event[i];
    }
    return !!stops;
}
