/* What flow/engine.py learns of every stream from readings already judged: what is usual of it, its scale, its season;
 * and what it lets others learn.
 */
#include "tick.h"

enum { N_BEHIND = 4, LONGEST_BRIDGE = 4 };

static int64_t modulo(int64_t a, int64_t n)
{
    return a % n < 0 ? a % n + n : a % n;
}

/* UsualSpread.learn. */
static void learn_spread(const UsualSpread *u, int64_t s, double mean, double deviation, double spread, int64_t n)
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
static void learn_season(const Season *se, int64_t s, int64_t n_ring, double time, double value, const double *paces)
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

/* engine._learn_usual.
 *
 * The season's paces are what a usual change of it is multiplied by where a change is less, as much, more: numpy's own
 * exponentials, since it walks until it meets a change exactly, and then one bit decides.
 */
void learn_usual(const Run *r)
{
    const Columns *c = r->columns;
    const Scaling *sc = r->shard->scaling;
    for (int i = 0; i < r->n; i++) {
        const int64_t s = c->slots[i];
        double spread = spread_of(sc, s);
        if (c->n[i] == 1) /* of one reading the floor is no measure */
            spread = most(spread, fabs(c->value[i] - sc->mean[s]));
        learn_spread(r->shard->usual, s, c->mean[i], c->deviation[i], spread, c->n[i]);
        learn_scale(sc, s, c->value[i], c->n[i], c->is_taught[i]);
        learn_season(r->shard->season, s, r->sizes->n_ring, c->time[i], c->value[i], r->rules->paces_of_season);
        c->spread[i] = spread;
    }
}

/* Counters.learn, of one stream: says whether it has just shown that it is a counter. */
static int learn_counter(const Counters *k, int64_t s, double reading, int64_t n)
{
    k->n_rises[s] += n > 0 && reading > k->last[s];
    k->n_falls[s] += n > 0 && reading < k->last[s];
    k->last[s] = reading;
    if (n + 1 < 256 || ((n + 1) & n))
        return 0;
    return k->n_falls[s] == 0 && k->n_rises[s] >= 0.25 * n && !k->is_counter[s];
}

/* Say which readings may teach what: engine._learn. */
static void choose(const Run *r)
{
    const Columns *c = r->columns;
    for (int i = 0; i < r->n; i++) {
        const int64_t s = c->slots[i];
        const int is_apart = c->event[i] == EVENT_OPEN || !r->shard->episodes->is_open[s];
        c->is_fit[i] = !(r->shard->verdicts->bits[s] & STUCK) && c->is_certain[i];
        c->is_taught[i] = c->is_fit[i] && !r->shard->quarantine->is_held[s];
        c->is_counted[i] = c->is_fit[i] && !isnan(c->next_reading[i]); /* not soon after a start or gap */
        c->is_usual[i] = c->n[i] >= r->rules->n_settled && c->is_fit[i] && is_apart;
    }
}

/* Stops where a change is accepted, a drift followed, a counter found, a season due, a scale young, and for context. */
int learn(const Run *r)
{
    const Columns *c = r->columns;
    const Others *o = r->others;
    const int n = (int)r->n, capacity = (int)r->sizes->capacity, n_members = (int)r->sizes->n_members;
    const int n_places = (int)r->sizes->n_places;
    int stops = r->sizes->n_context > 0;
    choose(r);
    if (o->surprise_learn(r->shard->surprise, c->slots, 0, n, capacity, n_members, n_places,
                          (int)r->rules->surprise_remembers, c->sides, c->sizes, c->is_counted))
        return -1;
    if (o->budget_learn(r->shard->budget, c->slots, 0, n, capacity, n_places, (int)r->rules->budget_remembers, c->score,
                        c->level, c->is_usual))
        return -1;
    learn_usual(r);
    if (o->league_learn(r->shard->league, c->slots, 0, n, capacity, c->value, c->spread))
        return -1;
    for (int i = 0; i < n; i++) {
        const int64_t s = c->slots[i], after = c->n[i] + 1;
        const int is_power = (after & c->n[i]) == 0;
        if (!c->is_taught[i])
            r->shard->windows->is_taught[c->place[i]] = 0;
        c->is_shown[i] = learn_counter(r->shard->counters, s, c->reading[i], c->n[i]);
        stops |= c->is_accepted[i] || (c->is_drift[i] && c->is_taught[i]) || c->is_shown[i];
        stops |= after >= 8 && is_power;
        stops |= after >= 64 && after % 1024 == 0;
    }
    return stops;
}
