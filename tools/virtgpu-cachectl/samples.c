// SPDX-License-Identifier: GPL-2.0-or-later
/* All devices at one time and a while before, to see what changed. */

#include "samples.h"

#include <ctype.h>
#include <stdlib.h>

void samples_take(struct samples *samples)
{
	struct timespec when;

	devices_free(&samples->before);
	samples->before = samples->now;
	devices_find(&samples->now);
	clock_gettime(CLOCK_MONOTONIC, &when);
	samples->seconds = when.tv_sec - samples->when.tv_sec +
			   (when.tv_nsec - samples->when.tv_nsec) / 1e9;
	samples->when = when;
}

void samples_free(struct samples *samples)
{
	devices_free(&samples->now);
	devices_free(&samples->before);
}

const struct device *sample_before(const struct samples *samples,
				   const struct device *device)
{
	const struct device *before = devices_by_name(&samples->before,
						      device->name);

	if (!before || !before->cached)
		return NULL;
	/* It went and came back under its old name: counters begin anew */
	for (size_t i = 0; i < ATTRS; i++)
		if (attrs[i].kind == COUNTER &&
		    before->now.value[i] > device->now.value[i])
			return NULL;
	return before;
}

double sample_rate(const struct samples *samples, const struct device *device,
		   const char *attr)
{
	const struct device *before = sample_before(samples, device);

	if (!before || samples->seconds <= 0)
		return 0;
	return (device_value(device, attr) - device_value(before, attr)) /
	       samples->seconds;
}

bool interval_parse(const char *text, struct timespec *interval)
{
	char *end;
	double seconds = strtod(text, &end);
	uint64_t ms;

	if (*end && !unit_parse(UNIT_MS, text, &ms)) {
		seconds = ms / 1e3;
		end = "";
	}
	if (!isdigit((unsigned char)*text) || *end || seconds < 0.01 ||
	    seconds > 1e6) {
		complain("'%s' is no interval", text);
		advise("it is in seconds, 0.01 or more, or has a unit: 2, 0.5 or 250ms");
		return false;
	}
	interval->tv_sec = seconds;
	interval->tv_nsec = (seconds - interval->tv_sec) * 1e9;
	return true;
}
