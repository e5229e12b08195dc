/* Ticks one after the other, phase by phase, until one is through or Python has something to do.
 *
 * What nearly every reading passes is done here and in the other files, stream by stream; what is rare - a gap, a
 * drift to confirm, a verdict, an episode, a season to look for - is left to Python, which then calls again. Optional:
 * where it was not built numpy does the same to the last bit, but for exponentials, logarithms and the like.
 */
#include <time.h>

#include "tick.h"

enum { THROUGH = -1, NOT_THERE = -2 };

static int (*const PHASES[])(const Run *) = {arrive, judge, decide, watch, report, learn, advance, networks, foretell};
enum { N_PHASES = sizeof PHASES / sizeof *PHASES };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* Go on; return the phase after which Python has something to do, or one of the above. */
int ft_run(Run *r)
{
    for (;; r->tick++, r->phase = 0) {
        if (r->tick >= r->n_ticks)
            return THROUGH;
        r->first = r->rows->bounds[r->tick];
        r->n = r->rows->bounds[r->tick + 1] - r->first;
        while (r->phase < N_PHASES) {
            const double began_s = r->seconds ? now() : 0;
            const int found = PHASES[r->phase](r);
            if (r->seconds)
                r->seconds[r->phase] += now() - began_s;
            r->phase++;
            if (found)
                return found < 0 ? NOT_THERE : (int)r->phase - 1;
        }
    }
}

int ft_version(void)
{
    return 3;
}
