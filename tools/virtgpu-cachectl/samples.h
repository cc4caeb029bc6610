/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All devices at one time and a while before, to see what changed. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include <time.h>

#include "device.h"

struct samples {
	struct devices now, before;
	struct timespec when;
	double seconds;			/* between the two */
};

/* Looks at all devices; what was "now" becomes "before" */
void samples_take(struct samples *samples);
void samples_free(struct samples *samples);

/* What DEVICE, one of "now", was before; NULL if it has just come */
const struct device *sample_before(const struct samples *samples,
				   const struct device *device);

/* How fast a counter of DEVICE's rises, a second */
double sample_rate(const struct samples *samples, const struct device *device,
		   const char *attr);

/* An argument: seconds, or with a unit; complains if it is none */
bool interval_parse(const char *text, struct timespec *interval);

#endif
