/* A histogram of durations: log-linear, of fixed size, 2-3 ns a record.
 *
 * Each power of two of nanoseconds is cut into 128 equal buckets; below 256 ns a bucket is one nanosecond wide. A bucket stands for
 * its middle, which is at most 0.4 % from what was recorded. Durations above 137 s land in the last bucket; count, sum and
 * maximum are exact. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    HISTOGRAM_PRECISION = 7, /* bits: 128 buckets a power of two */
    HISTOGRAM_RANGE = 37,    /* bits: 2^37 ns = 137 s */
    HISTOGRAM_BUCKETS = (HISTOGRAM_RANGE - HISTOGRAM_PRECISION + 1) << HISTOGRAM_PRECISION,
};

struct histogram {
    uint64_t count;
    int64_t sum_ns;
    int64_t max_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline void histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}

static inline int histogram_bucket(uint64_t ns)
{
    if (ns < 2u << HISTOGRAM_PRECISION)
        return (int)ns;
    int shift = 63 - __builtin_clzll(ns) - HISTOGRAM_PRECISION;
    uint64_t bucket = ((uint64_t)shift << HISTOGRAM_PRECISION) + (ns >> shift);
    return bucket < HISTOGRAM_BUCKETS ? (int)bucket : HISTOGRAM_BUCKETS - 1;
}

static inline void histogram_record(struct histogram *histogram, int64_t ns)
{
    if (ns < 0)
        ns = 0;
    histogram->count++;
    histogram->sum_ns += ns;
    if (ns > histogram->max_ns)
        histogram->max_ns = ns;
    histogram->buckets[histogram_bucket((uint64_t)ns)]++;
}

/* The middle of a bucket in microseconds. */
static inline double histogram_middle_us(int bucket)
{
    if (bucket < 2 << HISTOGRAM_PRECISION)
        return bucket / 1e3;
    int shift = (bucket >> HISTOGRAM_PRECISION) - 1;
    uint64_t low = (uint64_t)(bucket - (shift << HISTOGRAM_PRECISION)) << shift;
    return ((double)low + (double)(1ULL << shift) / 2) / 1e3;
}

/* The duration in microseconds that `share` (0 to 1) of all records do not exceed; 0 without records. */
static inline double histogram_quantile_us(const struct histogram *histogram, double share)
{
    double wanted = share * (double)histogram->count;
    uint64_t seen = 0;
    for (int bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen && (double)seen >= wanted) {
            double middle = histogram_middle_us(bucket), most = (double)histogram->max_ns / 1e3;
            return middle < most ? middle : most;
        }
    }
    return 0;
}

static inline double histogram_mean_us(const struct histogram *histogram)
{
    return histogram->count ? (double)histogram->sum_ns / (double)histogram->count / 1e3 : 0;
}

/* [[microseconds, count], ...] of the buckets that hold something. */
static inline void histogram_write(const struct histogram *histogram, FILE *file)
{
    const char *separator = "";
    fputc('[', file);
    for (int bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        if (!histogram->buckets[bucket])
            continue;
        fprintf(file, "%s[%.3f,%llu]", separator, histogram_middle_us(bucket),
                (unsigned long long)histogram->buckets[bucket]);
        separator = ",";
    }
    fputs("]\n", file);
}

#endif
