/* The league's tick: what pipeline/forecast/league.py and its parts do to a reading of every stream, stream by stream.
 *
 * Optional: where it was not built numpy does the same to the last bit, but for logarithms and exponentials. Names are
 * those of the Python classes; pipeline/forecast/compiled/league.py lists the columns in the order of League below.
 */
#include "../../core/compiled.h"

enum { LSTM, PERSISTENCE, SMOOTHING, SEASONAL, AUTOREGRESSION, BLEND, N_FORECASTERS };
enum { CALM, SHAKEN, N_MOODS };
enum { N_LEVELS = 3, N_SHARES = 5, N_SMOOTHINGS = 6, N_BOUNDED = 3, N_FORMS = 3, N_INPUTS = 4 };

typedef struct {
    double *location, *scale, *usual, *error;
    int32_t *n_errors;
    /* Choice */
    int8_t *who;
    double *mood_error;
    int32_t *n_mood_errors;
    uint8_t *is_shaken;
    int32_t *n_in_row;
    double *usual_miss;
    int32_t *n_misses;
    /* Intervals */
    float *widening;
    /* Tempering */
    double *way, *share_error;
    int32_t *n_ways;
    /* Smoothing */
    int32_t *n_smoothed;
    double *level, *trend, *candidate_error;
    /* Seasonal */
    int32_t *n_seasonal;
    double *form_location, *form_error, *offset;
    /* Autoregression */
    int32_t *n_changes;
    double *last, *slow, *usual_change, *unit;
    float *inputs, *gram, *moment, *coefficients;
    double *fit_error;
} League;

static const double SHARES[N_SHARES] = {1.0, 0.75, 0.5, 0.25, 0.0};
static const double LEVEL_GAINS[N_SMOOTHINGS] = {0.05, 0.2, 0.5, 0.7, 0.4, 1.0};
static const double TREND_GAINS[N_SMOOTHINGS] = {0.0, 0.0, 0.0, 0.0, 0.1, 0.3};
static const double DAMPINGS[N_SMOOTHINGS] = {0.0, 0.0, 0.0, 0.0, 1.0, 0.5};

/* baselines.faded, of one mean. */
static double faded(double mean, double size, int32_t n, double gain)
{
    const double change = (size - mean) * most(1.0 / (n + 1), gain);
    return mean + (isnan(change) ? 0.0 : change);
}

/* Choice._is_apart and chosen. */
static int mood_of(const League *l, int64_t s)
{
    return l->is_shaken[s] && l->n_mood_errors[(s * N_MOODS + SHAKEN) * N_FORECASTERS + PERSISTENCE] >= 5;
}

static int chosen(const League *l, int64_t s)
{
    const int who = l->who[s * N_MOODS + mood_of(l, s)];
    return who >= 0 && who < N_FORECASTERS ? who : PERSISTENCE;
}

/* Choice._proven. */
static void proven(const double *error, const int32_t *n, int32_t n_proven, double *found)
{
    int32_t enough = n[PERSISTENCE] < n_proven ? n[PERSISTENCE] : n_proven;
    enough = enough > 1 ? enough : 1;
    for (int f = 0; f < N_FORECASTERS; f++)
        found[f] = n[f] >= enough ? error[f] : INFINITY;
}

static const int32_t N_PROVEN[N_MOODS] = {32, 5};
static const double MOOD_GAINS[N_MOODS] = {0.005, 0.01};

/* Choice.learn_choice. */
static void learn_choice(const League *l, int64_t s, const double *size)
{
    const int mood = l->is_shaken[s] ? SHAKEN : CALM;
    double *error = l->mood_error + (s * N_MOODS + mood) * N_FORECASTERS, known[N_FORECASTERS];
    int32_t *n = l->n_mood_errors + (s * N_MOODS + mood) * N_FORECASTERS;
    for (int f = 0; f < N_FORECASTERS; f++) {
        error[f] = faded(error[f], size[f], n[f], MOOD_GAINS[mood]);
        n[f] += !isnan(size[f]);
    }
    proven(error, n, N_PROVEN[mood], known);
    const int best = argmin(known, N_FORECASTERS);
    int8_t *who = l->who + s * N_MOODS + mood;
    if (*who < 0 || *who >= N_FORECASTERS || known[best] < 0.97 * known[*who])
        *who = best;
}

/* Choice.note_shocks. */
static void note_shocks(const League *l, int64_t s, double size, double spread)
{
    const double usual = l->usual_miss[s];
    const int32_t n = l->n_misses[s];
    const int is_shock = size > most(6.0 * usual, 0.5 * spread) && n >= 50;
    l->n_in_row[s] = is_shock ? l->n_in_row[s] + 1 : 0;
    l->is_shaken[s] = is_shock && l->n_in_row[s] <= 8;
    l->usual_miss[s] = faded(usual, least(size, n < 20 ? INFINITY : 10.0 * usual), n, 0.01);
    l->n_misses[s] += !isnan(size);
}

/* Intervals.learn_coverage, of one forecaster. */
static void learn_coverage(float *widening, double size, double scale)
{
    static const float start[N_LEVELS] = {-0.300159603f, 0.75696665f, 1.52694726f};
    static const float allowed[N_LEVELS] = {1 - 0.5f, 1 - 0.9f, 1 - 0.99f}, steps[N_LEVELS] = {0.05f, 0.1f, 0.2f};
    if (isnan(size + scale))
        return;
    const float far = logf((float)clip(size / scale, 1e-30, 1 / 1e-30));
    for (int j = 0; j < N_LEVELS; j++) {
        const float moved = ((far > widening[j] + start[j]) - allowed[j]) * steps[j] + widening[j];
        widening[j] = moved < -7.0f ? -7.0f : moved > 7.0f ? 7.0f : moved;
    }
}

/* Tempering.learn_tempering. */
static void learn_tempering(const League *l, int64_t s, double change, double bound)
{
    double *error = l->share_error + s * N_SHARES;
    int is_known = 0;
    for (int k = 0; k < N_SHARES; k++) {
        const double size = least(fabs(change - SHARES[k] * l->way[s]), bound);
        error[k] = faded(error[k], size, l->n_ways[s], 0.01);
        is_known |= k == 0 && !isnan(size);
    }
    l->n_ways[s] += is_known;
}

/* Smoothing.learn_smoothing. */
static void learn_smoothing(const League *l, int64_t s, double value, double bound)
{
    const double *level = l->level + s * N_SMOOTHINGS, *trend = l->trend + s * N_SMOOTHINGS;
    double *error = l->candidate_error + s * N_SMOOTHINGS;
    if (isnan(level[0] + DAMPINGS[0] * trend[0]))
        return;
    for (int k = 0; k < N_SMOOTHINGS; k++) {
        const double size = least(fabs(value - (level[k] + DAMPINGS[k] * trend[k])), bound);
        error[k] = faded(error[k], size, l->n_smoothed[s], 0.02);
    }
    l->n_smoothed[s]++;
}

/* Seasonal.learn_seasonal. */
static void learn_seasonal(const League *l, int64_t s, double value, double bound)
{
    const double *location = l->form_location + s * N_FORMS;
    double *error = l->form_error + s * N_FORMS;
    for (int k = 0; k < N_FORMS; k++)
        error[k] = faded(error[k], least(fabs(value - location[k]), bound), l->n_seasonal[s], 0.01);
    l->n_seasonal[s] += !isnan(least(fabs(value - location[0]), bound));
}

/* A sum of products in the order of numpy's einsum. */
static float product(const float *a, const float *b)
{
    return (a[0] * b[0] + a[1] * b[1]) + (a[2] * b[2] + a[3] * b[3]);
}

/* Autoregression._take_in and _sweep; y is in units. */
static void take_in(const League *l, int64_t s, double y, int has_inputs, int32_t n)
{
    const float *x = l->inputs + s * N_INPUTS;
    float *gram = l->gram + s * N_INPUTS * N_INPUTS, *moment = l->moment + s * N_INPUTS;
    float *b = l->coefficients + s * N_INPUTS, weighted[N_INPUTS];
    const double size = fabs(y - product(x, b)), gain = has_inputs * most(1.0 / (n + 1), 0.02);
    double error = l->fit_error[s];
    error = error + gain * (least(size, n < 20 ? INFINITY : 5.0 * error + 1e-30) - error);
    const float weight = has_inputs ? (float)least(1.0, 0.5 * error / most(size, 1e-30)) : 0.0f;
    const float keep = has_inputs ? 0.998f : 1.0f;
    for (int i = 0; i < N_INPUTS; i++)
        weighted[i] = x[i] * weight;
    for (int i = 0; i < N_INPUTS; i++) {
        for (int j = 0; j < N_INPUTS; j++)
            gram[i * N_INPUTS + j] = weighted[i] * x[j] + keep * gram[i * N_INPUTS + j];
        moment[i] = keep * moment[i] + weighted[i] * (float)y;
    }
    l->fit_error[s] = error;
    for (int j = 0; j < N_INPUTS; j++) {
        const float rest = moment[j] - product(gram + j * N_INPUTS, b) - 0.1f * b[j];
        b[j] += has_inputs * (rest / (gram[j * N_INPUTS + j] + 0.1f));
    }
}

/* Autoregression.fit. */
static void fit(const League *l, int64_t s, double value, double spread)
{
    double change = value - l->last[s];
    const double usual = l->usual_change[s], unit = l->unit[s];
    const int32_t n = l->n_changes[s];
    const int is_known = !isnan(change), has_inputs = is_known && !isnan(unit);
    change = is_known ? change : 0.0;
    const double bound = n < 20 ? INFINITY : most(5.0 * usual, spread), gain = is_known * most(1.0 / (n + 1), 0.005);
    l->usual_change[s] = usual + gain * (least(fabs(change), bound) - usual);
    l->n_changes[s] += is_known;
    take_in(l, s, clip(change / (has_inputs ? unit : 1.0), -20.0, 20.0), has_inputs, n);
}

/* League.learn; 0, or -1 where a stream is not there. */
int ft_league_learn(const League *l, const int64_t *slots, int first, int n, int capacity, const double *values,
                    const double *spreads)
{
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++) {
        const int64_t s = slot_of(slots, first, i);
        const double value = values[i], spread = spreads[i], bound = 50.0 * spread;
        const double *location = l->location + s * N_FORECASTERS, *scale = l->scale + s * N_FORECASTERS;
        double *usual = l->usual + s * N_FORECASTERS, *error = l->error + s * N_FORECASTERS, bounded[N_FORECASTERS];
        int32_t *n_errors = l->n_errors + s * N_FORECASTERS;
        double shown = location[chosen(l, s)];
        shown = isnan(shown) ? location[PERSISTENCE] : shown;
        for (int f = 0; f < N_FORECASTERS; f++) {
            const double size = fabs(value - location[f]);
            bounded[f] = least(size, bound);
            learn_coverage(l->widening + (s * N_FORECASTERS + f) * N_LEVELS, size, scale[f]);
            const double reach = n_errors[f] < 8 ? INFINITY : most(5.0 * usual[f], 0.25 * spread);
            usual[f] = faded(usual[f], least(size, reach), n_errors[f], 0.02);
            error[f] = faded(error[f], bounded[f], n_errors[f], 0.005);
            n_errors[f] += !isnan(size);
        }
        learn_choice(l, s, bounded);
        note_shocks(l, s, fabs(value - shown), spread);
        learn_tempering(l, s, value - location[PERSISTENCE], bound);
        learn_smoothing(l, s, value, bound);
        learn_seasonal(l, s, value, bound);
        fit(l, s, value, spread);
    }
    return 0;
}

/* League.shown: who, location and half-widths, [n], [n] and [n][3]. */
int ft_league_shown(const League *l, const int64_t *slots, int first, int n, int capacity, int8_t *whos,
                    double *locations, double *widths)
{
    static const float start[N_LEVELS] = {-0.300159603f, 0.75696665f, 1.52694726f};
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++) {
        const int64_t s = slot_of(slots, first, i);
        const double *location = l->location + s * N_FORECASTERS;
        int who = chosen(l, s);
        who = isnan(location[who]) ? PERSISTENCE : who;
        const float *widening = l->widening + (s * N_FORECASTERS + who) * N_LEVELS;
        double widest = -INFINITY;
        for (int j = 0; j < N_LEVELS; j++) {
            widest = most(widest, exp((double)(widening[j] + start[j])));
            widths[i * N_LEVELS + j] = l->scale[s * N_FORECASTERS + who] * widest;
        }
        whos[i] = who;
        locations[i] = location[who];
    }
    return 0;
}

/* Smoothing.smooth. */
static double smooth(const League *l, int64_t s, double value)
{
    double *level = l->level + s * N_SMOOTHINGS, *trend = l->trend + s * N_SMOOTHINGS, following[N_SMOOTHINGS];
    const double *error = l->candidate_error + s * N_SMOOTHINGS;
    const int is_new = isnan(level[0] + DAMPINGS[0] * trend[0]);
    for (int k = 0; k < N_SMOOTHINGS; k++) {
        const double location = is_new ? value : level[k] + DAMPINGS[k] * trend[k];
        double surprise = value - location;
        if (k < N_BOUNDED && l->n_smoothed[s] >= 20 && error[k] > 0)
            surprise = clip(surprise, -error[k], error[k]);
        level[k] = location + LEVEL_GAINS[k] * surprise;
        trend[k] = DAMPINGS[k] * trend[k] + LEVEL_GAINS[k] * TREND_GAINS[k] * surprise;
        following[k] = level[k] + DAMPINGS[k] * trend[k];
    }
    return following[argmin(error, N_SMOOTHINGS)];
}

/* Autoregression.regress. */
static double regress(const League *l, int64_t s, double value, double now, double next)
{
    const double unit = most(l->usual_change[s], 1e-12 * fabs(value) + 1e-30);
    double slow = l->slow[s];
    slow = isnan(slow) ? value : slow + 0.05 * (value - slow);
    const double ways[N_INPUTS] = {value - l->last[s], slow - value, next - now, next - value};
    float *x = l->inputs + s * N_INPUTS;
    for (int i = 0; i < N_INPUTS; i++)
        x[i] = (float)clip((isnan(ways[i]) ? 0.0 : ways[i]) / unit, -20.0, 20.0);
    l->last[s] = value, l->slow[s] = slow, l->unit[s] = unit;
    return value + unit * clip(product(x, l->coefficients + s * N_INPUTS), -20.0, 20.0);
}

/* Seasonal.repeat_season. */
static double repeat_season(const League *l, int64_t s, double value, double now, double next)
{
    const double above = value - now;
    double offset = l->offset[s], *location = l->form_location + s * N_FORMS;
    if (!isnan(above))
        offset = isnan(offset) ? above : offset + 0.1 * (above - offset);
    l->offset[s] = offset;
    location[0] = next, location[1] = next + offset, location[2] = next + above;
    if (isnan(location[0]) || isnan(location[1]) || isnan(location[2]))
        location[0] = location[1] = location[2] = NAN;
    return location[argmin(l->form_error + s * N_FORMS, N_FORMS)];
}

/* League.foretell; what smoothing and autoregression foretell goes to found, [n][2]. */
int ft_league_foretell(const League *l, const int64_t *slots, int first, int n, int capacity, const double *values,
                       const double *now, const double *next, double *found)
{
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++) {
        const int64_t s = slot_of(slots, first, i);
        double *location = l->location + s * N_FORECASTERS;
        location[LSTM] = location[BLEND] = NAN;
        location[PERSISTENCE] = values[i];
        location[SMOOTHING] = found[2 * i] = smooth(l, s, values[i]);
        location[AUTOREGRESSION] = found[2 * i + 1] = regress(l, s, values[i], now[i], next[i]);
        location[SEASONAL] = repeat_season(l, s, values[i], now[i], next[i]);
        for (int64_t f = s * N_FORECASTERS; f < (s + 1) * N_FORECASTERS; f++)
            l->scale[f] = l->n_errors[f] > 0 ? l->usual[f] : NAN;
    }
    return 0;
}

/* League._blend. */
static double blended(const League *l, int64_t s, double value)
{
    const int mood = mood_of(l, s);
    const int64_t at = (s * N_MOODS + mood) * N_FORECASTERS;
    const double *location = l->location + s * N_FORECASTERS;
    double error[N_FORECASTERS], way[BLEND], smallest = INFINITY, ways = 0, weights = 0;
    int n_out = 0;
    proven(l->mood_error + at, l->n_mood_errors + at, N_PROVEN[mood], error);
    for (int f = 0; f < BLEND; f++) {
        const int is_out = isnan(location[f]) || isinf(error[f]);
        error[f] = is_out ? INFINITY : error[f] + 1e-300;
        way[f] = is_out ? 0.0 : location[f] - value;
        n_out += is_out;
    }
    if (n_out == BLEND)
        error[PERSISTENCE] = 1.0;
    for (int f = 0; f < BLEND; f++)
        smallest = least(smallest, error[f]);
    for (int f = 0; f < BLEND; f++) {
        double weight = smallest / error[f];
        for (int k = 0; k < 4; k++)
            weight *= weight;
        ways += way[f] * weight;
        weights += weight;
    }
    return value + ways / weights;
}

/* League.join. */
int ft_league_join(const League *l, const int64_t *slots, int first, int n, int capacity, const double *values,
                   const double *locations, const double *scales)
{
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++) {
        const int64_t s = slot_of(slots, first, i);
        const double way = locations[i] - values[i];
        l->way[s] = way;
        l->location[s * N_FORECASTERS + LSTM] = values[i] + SHARES[argmin(l->share_error + s * N_SHARES, N_SHARES)] * way;
        l->scale[s * N_FORECASTERS + LSTM] = scales[i];
        l->location[s * N_FORECASTERS + BLEND] = blended(l, s, values[i]);
    }
    return 0;
}

int ft_version(void)
{
    return 1;
}
