/* What follows from scores: quarantines, onsets, alerts and episodes, see flow/scoring.py and detect/.
 *
 * Some columns of a stream that is in no episode depend on whether another one of its tick is in one; so they do here.
 */
#include "tick.h"

/* Quarantine.step. */
static void quarantine(const Run *r)
{
    const Quarantine *q = r->shard->quarantine;
    const Columns *c = r->columns;
    const Rules *rules = r->rules;
    int is_any = 0;
    for (int i = 0; i < r->n; i++) {
        c->is_accepted[i] = 0;
        is_any |= q->is_held[c->slots[i]] | (c->score[i] >= rules->quarantine_level);
    }
    for (int i = 0; i < r->n && is_any; i++) {
        const int64_t s = c->slots[i];
        const int was_held = q->is_held[s];
        const double known = isnan(c->score[i]) ? 0.0 : c->score[i];
        if (!was_held && c->score[i] >= rules->quarantine_level)
            q->is_held[s] = 1, q->n_held[s] = 0;
        q->n_held[s] += was_held;
        q->n_quiet[s] = was_held && known < rules->quarantine_level - 2.0 ? q->n_quiet[s] + 1 : 0;
        const int is_quiet = was_held && q->n_quiet[s] >= rules->n_quiet;
        c->is_accepted[i] = was_held && !is_quiet && q->n_held[s] >= rules->n_quarantine;
        if (is_quiet || c->is_accepted[i])
            q->is_held[s] = 0;
    }
}

/* Onset.step, of one stream. */
static void stir(const Onset *o, int64_t s, double time, double residual, double share)
{
    const double up = clip(isnan(residual) ? 0.0 : residual, -4.0, 4.0), ways[2] = {up, -up};
    for (int side = 0; side < 2; side++) {
        const double before = o->sums[2 * s + side];
        if (!(before > 0))
            o->began_s[2 * s + side] = time;
        o->sums[2 * s + side] = (float)most(ways[side] + before - 0.5, 0.0);
    }
    o->stirred_s[s] = share < 0.5 ? NAN : isnan(o->stirred_s[s]) ? time : o->stirred_s[s];
}

/* Decision.step, of one stream. */
static int is_alert(const Decision *d, const Rules *rules, int64_t s, double time, double margin, double step_s)
{
    if (isnan(d->watched_s[s]))
        d->watched_s[s] = time;
    if (!(margin >= 0))
        return 0;
    const double shortest = rules->n_rest * step_s, longest = rules->n_rest_most * step_s;
    const double share = rules->rest_share * (time - d->watched_s[s]), last = d->alerted_s[s];
    const double since = isnan(last) ? INFINITY : time - last;
    const int is_silent = since < clip(0.7 * share, 0.25 * shortest, 0.7 * longest);
    const int is_over = since >= clip(share, shortest, longest) || margin >= d->peak[s] + 2.0;
    const int found = !is_silent && is_over;
    if (found || (is_silent && margin > d->peak[s]))
        d->peak[s] = margin;
    if (found)
        d->alerted_s[s] = time;
    return found;
}

/* Episodes._keep_peak, of one stream. */
static void keep_peak(const Episodes *e, const Columns *c, int64_t s, int i, double score)
{
    e->peak_score[s] = score;
    e->peak_s[s] = c->time[i];
    e->peak_value[s] = c->reading[i];
    e->peak_forecast[s] = c->forecast[i];
    e->peak_lower[s] = c->lower[i];
    e->peak_upper[s] = c->upper[i];
    for (int view = 0; view < N_EACH; view++)
        e->peak_views[s * N_EACH + view] = (float)c->views[(size_t)i * N_EACH + view];
}

/* Episodes.step. */
static void episodes(const Run *r)
{
    const Episodes *e = r->shard->episodes;
    const Columns *c = r->columns;
    int is_any = 0;
    for (int i = 0; i < r->n; i++) {
        c->event[i] = EVENT_NONE, c->is_lasting[i] = 0;
        is_any |= e->is_open[c->slots[i]] | c->is_alert[i];
    }
    for (int i = 0; i < r->n && is_any; i++) {
        const int64_t s = c->slots[i];
        const int was_open = e->is_open[s], opens = c->is_alert[i] && !was_open;
        const double known = isnan(c->score[i]) ? 0.0 : c->score[i], level = c->level[i];
        if (opens) {
            e->is_open[s] = 1;
            e->opened_s[s] = c->time[i];
            e->level[s] = level;
            e->n_open[s] = 0;
            e->peak_score[s] = -1.0;
        }
        if ((was_open || opens) && known > e->peak_score[s])
            keep_peak(e, c, s, i, known);
        e->n_open[s] += was_open;
        const int is_calm = known < most(level - r->rules->close_margin, 0.5 * level);
        e->n_quiet[s] = was_open && is_calm ? e->n_quiet[s] + 1 : 0;
        const int is_quiet = was_open && e->n_quiet[s] >= r->rules->n_quiet;
        c->is_lasting[i] = was_open && !is_quiet && e->n_open[s] >= r->rules->n_quarantine;
        if (is_quiet || c->is_lasting[i])
            e->is_open[s] = 0;
        c->event[i] = opens ? EVENT_OPEN : is_quiet || c->is_lasting[i] ? EVENT_CLOSE : EVENT_NONE;
    }
}

int decide(const Run *r)
{
    const Columns *c = r->columns;
    quarantine(r);
    for (int i = 0; i < r->n; i++) {
        const int64_t s = c->slots[i];
        const double step_s = r->shard->cadence->step_s[s], score = c->score[i], level = c->level[i];
        const int may_alert = c->n[i] >= r->rules->n_settled && !(r->shard->verdicts->bits[s] & STUCK);
        stir(r->shard->onset, s, c->time[i], c->next_reading[i], (isnan(score) ? 0.0 : score) / level);
        /* a score at the level is an alert: the margin of one just under it must not round to 0 */
        const double margin = may_alert && score >= level ? score - level : NAN;
        c->is_alert[i] = is_alert(r->shard->decision, r->rules, s, c->time[i], margin, fmax(step_s, 0.0));
    }
    episodes(r);
    for (int i = 0; i < r->n; i++)
        c->health[i] = (c->is_gap[i] ? GAP : 0) | (c->is_lasting[i] | c->is_accepted[i] | c->is_drift[i] ? DRIFT : 0);
    return 0;
}
