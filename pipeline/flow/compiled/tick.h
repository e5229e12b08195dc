/* What the flow's helper works on: the columns of a shard, of a batch and of a tick; names as in Python.
 *
 * pipeline/flow/compiled/columns.py lists all of them in the order of the structures below.
 */
#include "../../core/compiled.h"

enum { NEXT, SHORT, LONG, ACTIVITY, N_TARGETS };
enum { SEASON, SEASON_HIGH, SEASON_LOW, SEASON_BEFORE, SMOOTHING, AUTOREGRESSION, N_OUTLOOK };
enum { N_OF_FORECASTS = 5, N_OF_PAST = 2, N_EACH = 8, N_WIDTHS = 3, N_FEATURES = 14, N_OUTPUTS = 8 };
enum { EVENT_NONE, EVENT_OPEN, EVENT_CLOSE };
enum { GAP = 1, OUT_OF_RANGE = 32, DRIFT = 128, STUCK = 256, COUNTER_RESET = 4096, CLOCK_SKEW = 8192 };

typedef struct {
    int64_t *n;
    double *newest;
    float *since;
    double *value;
    uint8_t *is_taught;
    uint16_t *outlook;
    double *unit;
    float *context;
} Windows;

typedef struct {
    double *location_of_scale, *spread_of_scale, *interval_of_scale;
    int64_t *n_since;
    double *location;
    float *scale, *hidden;
} Pending;

typedef struct {
    double *mean, *var;
} Scaling;

typedef struct {
    double *usual_spread;
    int32_t *n_still;
} UsualSpread;

typedef struct {
    double *bin_s, *anchor_s;
    int64_t *n_bins;
    double *newest_s;
    int64_t *bin, *n_in_bin;
    double *place, *mean, *place_before, *mean_before, *usual_change, *ring;
} Season;

typedef struct {
    double *step_s;
} Cadence;

typedef struct {
    uint8_t *is_counter;
    double *last;
    int64_t *n_rises, *n_falls;
} Counters;

typedef struct {
    double *block;
    int32_t *n_in_block;
} Drift;

typedef struct {
    uint8_t *is_held;
    int32_t *n_held, *n_quiet;
} Quarantine;

typedef struct {
    float *sums;
    double *began_s, *stirred_s;
} Onset;

typedef struct {
    double *watched_s, *alerted_s, *peak;
} Decision;

typedef struct {
    uint8_t *is_open;
    double *opened_s;
    int64_t *n_open, *n_quiet;
    double *level, *peak_score, *peak_s, *peak_value, *peak_forecast, *peak_lower, *peak_upper;
    float *peak_views;
} Episodes;

typedef struct {
    uint16_t *bits;
} Verdicts;

typedef struct {
    double *value, *since_s;
    int64_t *n, *n_limit;
    int8_t *n_moves;
    int64_t *longest;
    float *count;
    double *first_s;
} Runs;

typedef struct {
    uint8_t *is_given;
    double *floor, *ceiling;
    int8_t *n_outside;
} Reach;

typedef struct {
    int32_t *n_late, *n_future;
} Clock;

typedef struct {
    double *value;
    float *residual, *half_width;
} Trail;

typedef struct {
    int32_t *group;
    double *value, *forecast, *lower, *upper, *score, *level;
    uint16_t *health;
} Ledger;

typedef struct {
    float *weights;
} Bank;

/* A shard: the columns of its stages, and of its networks. */
typedef struct {
    const Windows *windows;
    const Pending *pending;
    const Scaling *scaling;
    const UsualSpread *usual;
    const Season *season;
    const Cadence *cadence;
    const Counters *counters;
    const Drift *drift;
    const Quarantine *quarantine;
    const Onset *onset;
    const Decision *decision;
    const Episodes *episodes;
    const Verdicts *verdicts;
    const Runs *runs;
    const Reach *reach;
    const Clock *clock;
    const Trail *trail;
    const Ledger *ledger;
    const Bank *bank;
    const void *league, *surprise, *budget; /* of other helpers */
} Shard;

/* The readings of a tick, and what is made of them. */
typedef struct {
    int64_t *rows, *slots;
    double *time, *reading, *base, *value;
    int64_t *n, *place; /* place: of the reading in all rings of its length */
    double *interval;
    uint8_t *is_gap, *is_certain, *is_mistaken;
    int8_t *who;
    double *shown, *widths, *of_forecasts, *of_past, *sizes, *sides, *next_reading, *mean, *deviation, *previous;
    double *score, *views, *level, *forecast, *lower, *upper;
    uint8_t *is_still, *is_full, *is_drift, *is_accepted, *is_alert, *is_lasting;
    int8_t *event;
    uint16_t *health;
    uint8_t *is_long, *is_moved, *is_fit, *is_taught, *is_counted, *is_usual, *is_shown;
    double *spread, *newest, *season_now, *season_next, *foretold, *outlook;
    float *context, *x, *out;
    double *location, *scale;
} Columns;

/* A batch: what came, and where it goes. */
typedef struct {
    int32_t *slot;
    double *time, *value;
    uint8_t *flags;
    int64_t *order, *bounds; /* rows, tick by tick; tick k is order[bounds[k]] to order[bounds[k + 1] - 1] */
    double *forecast, *lower, *upper, *score, *level, *opened;
    int8_t *event;
    uint16_t *health;
} Rows;

typedef struct {
    int64_t capacity, width, n_ring, n_members, n_pending, n_context, n_hidden, n_weights, n_groups, n_places, n_evidence;
    int64_t lengths[N_TARGETS];
} Sizes;

/* Settings, and constants of the Python files. */
typedef struct {
    double gap_cadences, seconds_per_false_alarm, quarantine_level, rest_share, n_rest, n_rest_most, close_margin;
    int64_t interval, n_warmup, n_settled, n_quiet, n_quarantine, has_health, has_detail;
    int64_t surprise_remembers, budget_remembers, instructions, n_paces_of_cadence;
    const double *paces_of_cadence, *paces_of_season, *keep_of_runs;
} Rules;

/* What other helpers do, see their own files; parts and streams come first everywhere. */
typedef struct {
    int (*league_shown)(const void *, const int64_t *, int, int, int, int8_t *, double *, double *);
    int (*league_learn)(const void *, const int64_t *, int, int, int, const double *, const double *);
    int (*league_foretell)(const void *, const int64_t *, int, int, int, const double *, const double *, const double *,
                           double *);
    int (*league_join)(const void *, const int64_t *, int, int, int, const double *, const double *, const double *);
    int (*surprise_score)(const void *, const int64_t *, int, int, int, int, const double *, const double *,
                          const int64_t *, double *, double *);
    int (*surprise_learn)(const void *, const int64_t *, int, int, int, int, int, int, const double *, const double *,
                          const uint8_t *);
    int (*budget_level)(const void *, const int64_t *, int, int, int, double, const double *, double *);
    int (*budget_learn)(const void *, const int64_t *, int, int, int, int, int, const double *, const double *,
                        const uint8_t *);
    int (*step)(int, int, int, int, int, int, int, const float *, const int32_t *, const float *, const float *, float *,
                float *);
} Others;

/* Ticks under way: everything above, and where they stand. */
typedef struct {
    const Shard *shard;
    const Sizes *sizes;
    const Rules *rules;
    const Others *others;
    const Rows *rows;
    const Columns *columns;
    double *seconds; /* that each phase took, NULL where nobody asks */
    int64_t tick, n_ticks, phase, first, n; /* n rows from first on are of this tick */
} Run;

/* The phases of a tick: each does one thing to all of its readings, and returns whether Python has something to do
 * before the next; -1 where a stream is not there. Hidden: other libraries have functions of these names.
 */
#pragma GCC visibility push(hidden)
int arrive(const Run *r);
int judge(const Run *r);
int decide(const Run *r);
int watch(const Run *r);
int report(const Run *r);
int learn(const Run *r);
int advance(const Run *r);
int networks(const Run *r);
int foretell(const Run *r);

/* judge.c: the views. */
void look(const Run *r);
/* learn.c: what is usual, scales and seasons. */
void learn_usual(const Run *r);
#pragma GCC visibility pop

/* Scaling.spread. */
static inline double spread_of(const Scaling *sc, int64_t s)
{
    return most(sqrt(sc->var[s]), 1e-6 * (fabs(sc->mean[s]) + 1e-6));
}

/* season._bin_of. */
static inline int64_t bin_of(double place)
{
    return (int64_t)floor(clip(place, -1e15, 1e15) + 0.5);
}

/* Windows.season_before, of a stream; before is where the reading before its newest lies. */
static inline double season_before(const Windows *w, int64_t s, int64_t before)
{
    return w->value[before] + lengthened(w->outlook[before * N_OUTLOOK + SEASON]) * w->unit[s];
}

/* Where the reading before the newest of a stream lies, in its ring as in Columns.place. */
static inline int64_t place_before(const Run *r, int i)
{
    const int64_t place = r->columns->place[i];
    return place > r->columns->slots[i] * r->sizes->width ? place - 1 : place + r->sizes->width - 1;
}
