/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers by size class, eight classes an octave, as the driver sorts BOs by
 * their pages.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#define CLASSES 496			/* of 64 bits */

unsigned int class_of(uint64_t value);
uint64_t class_from(unsigned int class);	/* the least value in it */

/* The size class that trace events and debugfs call bucket: its least bytes */
uint64_t bucket_from(unsigned int bucket);
#define BUCKETS 137			/* the last: all that is larger */

struct histogram {
	uint64_t n;
	uint64_t sum;
	uint64_t max;
	uint64_t count[CLASSES];
};

void histogram_add(struct histogram *histogram, uint64_t value);
uint64_t histogram_mean(const struct histogram *histogram);
/* What PART of the values, of 1, are below; as exact as the classes are */
uint64_t histogram_quantile(const struct histogram *histogram, double part);
/* Octaves: 0, 1, 2 and 3, 4 to 7, ... */
#define OCTAVES 65
uint64_t octave_from(unsigned int octave);
uint64_t histogram_octave(const struct histogram *histogram,
			  unsigned int octave);

#endif
