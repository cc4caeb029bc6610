// SPDX-License-Identifier: GPL-2.0-or-later
/* All devices at one time and a while before, to see what changed. */

#include "samples.h"

/* What it takes to look is not to be most of it; what a terminal can wait */
#define MIN_MS 10
#define MAX_MS 1000000

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
	const char *wrong;
	uint64_t ms;

	wrong = unit_parse(UNIT_INTERVAL, text, &ms);
	if (!wrong && ms < MIN_MS)
		wrong = "is too small";
	if (!wrong && ms > MAX_MS)
		wrong = "is too large";
	if (wrong) {
		complain("interval: '%s' %s", text, wrong);
		advise("it is in seconds or has a unit, for example 2, 0.5 or 250ms");
		return false;
	}
	interval->tv_sec = ms / 1000;
	interval->tv_nsec = ms % 1000 * 1000000;
	return true;
}
