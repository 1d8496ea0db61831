/* When the requests of an open loop are due: evenly, or as a Poisson process.
 *
 * Requests are taken in order, so a due request that finds no free connection needs no place in a queue: it stays the next one. The
 * random numbers are the same in each run. */
#ifndef LOAD_ARRIVALS_H
#define LOAD_ARRIVALS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct arrivals {
    double start_ns;
    double gap_ns; /* mean */
    double elapsed_ns;
    int64_t index;
    uint64_t state;
    bool poisson;
};

static inline struct arrivals arrivals_from(int64_t start_ns, double rate, bool poisson)
{
    return (struct arrivals){
        .start_ns = (double)start_ns, .gap_ns = 1e9 / rate, .state = 0x9e3779b97f4a7c15ULL, .poisson = poisson};
}

static inline int64_t arrivals_next(const struct arrivals *arrivals)
{
    return (int64_t)(arrivals->start_ns + arrivals->elapsed_ns);
}

/* Uniform over (0, 1] (xorshift64*). */
static inline double uniform(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)((*state * 0x2545f4914f6cdd1dULL >> 11) + 1) / 9007199254740992.0;
}

static inline void arrivals_take(struct arrivals *arrivals)
{
    arrivals->index++;
    if (arrivals->poisson)
        arrivals->elapsed_ns -= arrivals->gap_ns * log(uniform(&arrivals->state));
    else
        arrivals->elapsed_ns = (double)arrivals->index * arrivals->gap_ns;
}

/* How many are due until `now` and not taken. */
static inline int64_t arrivals_due(struct arrivals arrivals, int64_t now)
{
    int64_t count = 0;
    for (; arrivals_next(&arrivals) <= now; arrivals_take(&arrivals))
        count++;
    return count;
}

#endif
