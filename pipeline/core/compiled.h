/* What the compiled helpers of the stages share: how streams are addressed, and numpy's arithmetic.
 *
 * Compiled without contraction (-ffp-contract=off): what is added and multiplied has the bits that numpy's has.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* short_floats.shortened and lengthened: numbers in two bytes. */
static inline uint16_t shortened(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return isnan(value) ? 0x7FC0 : (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

/* short_floats.shortened_up. */
static inline uint16_t shortened_up(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + (bits >> 31 ? 0 : 0xFFFF)) >> 16);
}

static inline float lengthened(uint16_t value)
{
    const uint32_t bits = (uint32_t)value << 16;
    float found;
    memcpy(&found, &bits, sizeof found);
    return found;
}

/* The streams of a tick: slots one by one, or, where slots is NULL, n beside each other from first on. */
static inline int64_t slot_of(const int64_t *slots, int64_t first, int i)
{
    return slots ? slots[i] : first + i;
}

/* Say whether all of them are there. */
static inline int all_fit(const int64_t *slots, int64_t first, int n, int64_t capacity)
{
    if (!slots)
        return n == 0 || (first >= 0 && first + n <= capacity);
    for (int i = 0; i < n; i++)
        if (slots[i] < 0 || slots[i] >= capacity)
            return 0;
    return 1;
}

/* numpy's minimum and maximum: what is no number stays so. */
static inline double least(double a, double b)
{
    return a < b || isnan(a) ? a : b;
}

static inline double most(double a, double b)
{
    return a > b || isnan(a) ? a : b;
}

static inline double clip(double a, double low, double high)
{
    return least(most(a, low), high);
}

/* numpy's argmin: the first of the smallest, or the first that is no number. */
static inline int argmin(const double *a, int n)
{
    int best = 0;
    for (int i = 0; i < n; i++) {
        if (isnan(a[i]))
            return i;
        if (a[i] < a[best])
            best = i;
    }
    return best;
}
