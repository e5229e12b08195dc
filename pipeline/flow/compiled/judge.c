/* What flow/scoring.py does to a reading of every stream before it is scored: the forecasts that are due, the newest
 * readings, and what the views make of both.
 *
 * Optional: where it was not built numpy does the same to the last bit, but for the logarithm of the activity. Names are
 * those of the Python classes; pipeline/flow/compiled/__init__.py lists the columns in the order of the structures.
 */
#include "tick.h"

enum { N_RECENT = 60, N_OF_FORECASTS = 5, N_SETTLING = 16, N_STILL = 180 };

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

/* Windows.push, and the newest n values, oldest first, as recent_values. */
static void push(const Windows *w, int64_t s, int width, double time, double value, int n, double *newest)
{
    double *values = w->value + s * width;
    const int64_t at = w->n[s] % width;
    w->time[s * width + at] = time;
    values[at] = value;
    w->is_taught[s * width + at] = 1;
    w->newest[s] = time;
    w->n[s]++;
    int64_t from = (at + 1 - n) % width;
    from += from < 0 ? width : 0;
    for (int i = 0; i < n; i++, from = from + 1 == width ? 0 : from + 1)
        newest[i] = values[from];
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
static void realised(const double *newest, const int32_t *lengths, double spread, double *came)
{
    const int n_long = lengths[LONG];
    double change[n_long];
    for (int i = 0; i < n_long; i++)
        change[i] = fabs(newest[i + 1] - newest[i]);
    came[NEXT] = newest[n_long];
    came[SHORT] = sum(newest + n_long + 1 - lengths[SHORT], lengths[SHORT]) / lengths[SHORT];
    came[LONG] = sum(newest + 1, n_long) / n_long;
    came[ACTIVITY] = log(sum(change, n_long) / n_long + 0.01 * spread);
}

/* Everything of one tick: see looked() in __init__.py for what goes out. */
int ft_look(const Windows *w, const Pending *p, const Scaling *sc, const Usual *u, const int64_t *slots, int first, int n,
            int capacity, int width, int n_members, int n_pending, const int32_t *lengths, const double *times,
            const double *values, double *of_forecasts, double *of_past, double *sizes, double *sides, double *next,
            double *recent, uint8_t *is_still)
{
    const int n_views = N_OF_FORECASTS * n_members + 2;
    const int n_newest = lengths[LONG] + 1 > N_RECENT ? lengths[LONG] + 1 : N_RECENT;
    double newest[n_newest];
    if (!all_fit(slots, first, n, capacity))
        return -1;
    for (int i = 0; i < n; i++) {
        const int64_t s = slot_of(slots, first, i), number = p->n_since[s];
        double came[N_TARGETS], mean, deviation, total = 0;
        push(w, s, width, times[i], values[i], n_newest, newest);
        realised(newest + n_newest - lengths[LONG] - 1, lengths, p->spread_of_scale[s], came);
        recent_of(newest + n_newest - N_RECENT, w->n[s], &mean, &deviation);
        const double level = sc->mean[s], spread = spread_of(sc, s), floor = 0.02 * spread;
        for (int m = 0; m < n_members; m++) {
            int64_t ring = (s * n_members + m) * n_pending;
            double *view = of_forecasts + ((size_t)i * n_members + m) * N_OF_FORECASTS;
            for (int c = 0; c < N_TARGETS; ring += lengths[c], c++) {
                const int64_t at = ring + number % lengths[c];
                const double scale = number < lengths[c] + N_SETTLING ? NAN : (double)p->scale[at];
                const double residual = isnan(scale) ? NAN : came[c] - p->location[at];
                view[c] = residual / (scale + (c == ACTIVITY ? 0.1 : floor));
                if (c == NEXT) {
                    view[N_TARGETS] = shrunk(residual, floor);
                    sizes[(size_t)i * (n_members + 1) + m] = most(fabs(residual), floor);
                }
            }
            total += view[NEXT];
        }
        next[i] = total / n_members;
        of_past[2 * i] = deviation - u->usual_spread[s];
        of_past[2 * i + 1] = shrunk(values[i] - level, floor);
        sizes[(size_t)i * (n_members + 1) + n_members] = most(fabs(mean - level), floor);
        for (int v = 0; v < n_views; v++) {
            const double view = v < n_views - 2 ? of_forecasts[(size_t)i * (n_views - 2) + v]
                                                : of_past[2 * i + v - (n_views - 2)];
            sides[(size_t)i * 2 * n_views + v] = isnan(view) ? -INFINITY : view;
            sides[(size_t)i * 2 * n_views + n_views + v] = isnan(view) ? -INFINITY : -view;
        }
        recent[i] = mean;
        recent[n + i] = deviation;
        recent[2 * n + i] = newest[n_newest - 2];
        is_still[i] = u->n_still[s] >= N_STILL && deviation <= 1e-12 * fabs(mean);
    }
    return 0;
}
