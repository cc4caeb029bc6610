// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers by size class. */

#include "histogram.h"

#define BUCKET_UNIT_SHIFT 12		/* they are of 4 KiB pages */

unsigned int class_of(uint64_t value)
{
	unsigned int order;

	if (value < 8)
		return value;
	order = 63 - __builtin_clzll(value);
	return 8 + (order - 3) * 8 + ((value >> (order - 3)) & 7);
}

uint64_t class_from(unsigned int class)
{
	if (class < 8)
		return class;
	return (uint64_t)(8 + class % 8) << (class / 8 - 1);
}

uint64_t bucket_from(unsigned int bucket)
{
	return class_from(bucket) << BUCKET_UNIT_SHIFT;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->n++;
	histogram->sum += value;
	if (value > histogram->max)
		histogram->max = value;
	histogram->count[class_of(value)]++;
}

uint64_t histogram_mean(const struct histogram *histogram)
{
	return histogram->n ? histogram->sum / histogram->n : 0;
}

uint64_t histogram_quantile(const struct histogram *histogram, double part)
{
	uint64_t left = part * histogram->n;

	for (unsigned int class = 0; class < CLASSES; class++) {
		if (histogram->count[class] > left)
			return class_from(class);
		left -= histogram->count[class];
	}
	return histogram->max;
}

uint64_t octave_from(unsigned int octave)
{
	return octave ? 1ull << (octave - 1) : 0;
}

uint64_t histogram_octave(const struct histogram *histogram,
			  unsigned int octave)
{
	unsigned int class = class_of(octave_from(octave)), end;
	uint64_t n = 0;

	end = octave + 1 < OCTAVES ? class_of(octave_from(octave + 1)) :
	      CLASSES;
	while (class < end)
		n += histogram->count[class++];
	return n;
}
