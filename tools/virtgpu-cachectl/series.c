// SPDX-License-Identifier: GPL-2.0-or-later
/* A quantity over time. */

#include "series.h"

#define WIDTH_MIN 1000000		/* nanoseconds */

/* Two intervals become one */
static void halve(struct series *series)
{
	uint64_t a, b;

	for (size_t i = 0; i < series->n; i += 2) {
		a = series->most[i];
		b = i + 1 < series->n ? series->most[i + 1] : 0;
		series->most[i / 2] = a > b ? a : b;
	}
	series->n = (series->n + 1) / 2;
	series->width *= 2;
}

void series_set(struct series *series, uint64_t ns, uint64_t value)
{
	size_t i;

	if (!series->width) {
		series->start = ns;
		series->width = WIDTH_MIN;
	}
	while ((ns - series->start) / series->width >= SERIES_MAX)
		halve(series);
	i = (ns - series->start) / series->width;
	while (series->n <= i)
		series->most[series->n++] = series->now;
	if (series->most[i] < value)
		series->most[i] = value;
	series->now = value;
}

void series_shorten(struct series *series, size_t max)
{
	while (series->n > max)
		halve(series);
}
