// SPDX-License-Identifier: GPL-2.0-or-later
/* "stat": what happens, one line a device and interval, as vmstat has it. */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "device.h"
#include "samples.h"
#include "units.h"

/* A screenful, about: then the heading comes again */
#define HEADING_LINES 20

struct field {
	const char *heading;
	const char *attr;
	int width;
};

static const struct field fields[] = {
	{ "resource", "held_resource_bytes", 9 },
	{ "pages", "held_pages_bytes", 9 },
	{ "purgeable", "held_purgeable_bytes", 9 },
	{ "release", "release_bytes", 9 },
	{ "puts", "puts", 8 },
	{ "hits-res", "hits_resource", 8 },
	{ "hits-pag", "hits_pages", 8 },
	{ "hits-pur", "hits_purgeable", 8 },
	{ "misses", "misses", 8 },
	{ "expired", "expired", 8 },
	{ "purged", "purged", 8 },
	{ "rejected", "rejected", 8 },
};

static void print_heading(void)
{
	printf("%-9s", "device");
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		printf(" %*s", fields[i].width, fields[i].heading);
	putchar('\n');
}

/* Without SAMPLES the counters as they are, else how fast they rise */
static void print_line(const struct options *opts, const struct device *device,
		       const struct samples *samples)
{
	const struct field *field;
	const struct attr *attr;
	uint64_t value;
	char *text;

	printf("%-9s", device->name);
	for (field = fields; field < fields + ARRAY_SIZE(fields); field++) {
		attr = attr_find(field->attr);
		value = attr->kind == COUNTER && samples ?
			(uint64_t)llround(sample_rate(samples, device,
						      field->attr)) :
			device_value(device, field->attr);
		text = unit_format(attr->unit, value, opts->bytes);
		printf(" %*s", field->width, text);
		free(text);
	}
	putchar('\n');
}

static void print_lines(const struct options *opts,
			const struct samples *samples, const char *only,
			unsigned int *lines)
{
	const struct device *device;

	for (size_t i = 0; i < samples->now.n; i++) {
		device = &samples->now.v[i];
		if (!sample_before(samples, device) ||
		    (only && strcmp(only, device->name)))
			continue;
		if (!opts->noheadings && *lines % HEADING_LINES == 0)
			print_heading();
		print_line(opts, device, samples);
		++*lines;
	}
}

static bool parse_arguments(int argc, char **argv, struct timespec *interval,
			    uint64_t *count)
{
	*count = 0;
	if (argc && !interval_parse(argv[0], interval))
		return false;
	if (argc < 2 || (number_parse(argv[1], count) && *count))
		return true;
	complain("'%s' is no count", argv[1]);
	advise("it is how many times to look, from 1");
	return false;
}

/* COUNT times, or for ever if it is 0 */
static enum status watch(const struct options *opts, struct timespec interval,
			 uint64_t count, const char *only)
{
	struct samples samples = { 0 };
	enum status status = DONE;
	unsigned int lines = 0;

	samples_take(&samples);
	for (uint64_t i = 0; !status && (!count || i < count); i++) {
		nanosleep(&interval, NULL);
		samples_take(&samples);
		print_lines(opts, &samples, only, &lines);
		status = end_of_output(DONE);
	}
	samples_free(&samples);
	return status;
}

enum status cmd_stat(const struct options *opts, int argc, char **argv)
{
	struct timespec interval;
	struct devices devices;
	enum status status;
	uint64_t count;

	if (!parse_arguments(argc, argv, &interval, &count))
		return USAGE;
	status = devices_choose(&devices, opts->device, true);
	if (status)
		return status;
	if (argc) {
		status = watch(opts, interval, count,
			       opts->device ? devices.v[0].name : NULL);
	} else {
		if (!opts->noheadings)
			print_heading();
		for (size_t i = 0; i < devices.n; i++)
			print_line(opts, &devices.v[i], NULL);
	}
	devices_free(&devices);
	return status;
}
