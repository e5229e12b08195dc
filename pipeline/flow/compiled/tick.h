/* The columns that the flow's helper works on, in the order of its layouts in __init__.py; names as in Python. */
#include "../../core/compiled.h"

enum { NEXT, SHORT, LONG, ACTIVITY, N_TARGETS };
enum { SEASON, SEASON_HIGH, SEASON_LOW, SEASON_BEFORE, SMOOTHING, AUTOREGRESSION, N_OUTLOOK };

typedef struct {
    int64_t *n;
    double *newest, *time, *value;
    uint8_t *is_taught;
    float *outlook, *context;
} Windows;

typedef struct {
    double *location_of_scale, *spread_of_scale, *interval_of_scale;
    int64_t *n_since;
    double *location;
    float *scale;
} Pending;

typedef struct {
    double *mean, *var;
} Scaling;

typedef struct {
    double *usual_spread;
    int32_t *n_still;
} Usual;

typedef struct {
    double *bin_s, *anchor_s;
    int64_t *n_bins;
    double *newest_s;
    int64_t *bin, *n_in_bin;
    double *place, *mean, *place_before, *mean_before, *usual_change, *ring;
} Season;

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
