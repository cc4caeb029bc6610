/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A quantity over time: in so many intervals, the most there was in each. */
#ifndef SERIES_H
#define SERIES_H

#include <stddef.h>
#include <stdint.h>

#define SERIES_MAX 256

/**
 * struct series - a quantity that changes now and then
 * @start: nanoseconds, when the first interval begins
 * @width: of an interval, as long as it must be for all to fit
 * @n: intervals there are
 * @most: in each
 * @now: what it is after the last change
 */
struct series {
	uint64_t start;
	uint64_t width;
	size_t n;
	uint64_t most[SERIES_MAX];
	uint64_t now;
};

/* At NS, not before the last time, it becomes VALUE */
void series_set(struct series *series, uint64_t ns, uint64_t value);
/* As few intervals as MAX, each as long as several of before */
void series_shorten(struct series *series, size_t max);

#endif
