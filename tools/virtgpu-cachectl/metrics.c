// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "metrics": OpenMetrics text of all devices.  No device is no metric, not an
 * error: what collects it runs on machines of all kinds.
 */

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "device.h"

#define PREFIX "virtgpu_bo_cache_"

static void print_quoted(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", stdout);
		else if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void print_sample(const struct device *device, const struct attr *attr)
{
	uint64_t value = device->now.value[attr - attrs];

	printf(PREFIX "%s%s{device=", attr->metric,
	       attr->kind == COUNTER ? "_total" : "");
	print_quoted(device->name);
	if (attr->label)
		printf(",%s", attr->label);
	if (attr->unit == UNIT_MS)
		printf("} %" PRIu64 ".%03u\n", value / 1000,
		       (unsigned int)(value % 1000));
	else
		printf("} %" PRIu64 "\n", value);
}

static void print_head(const struct attr *attr)
{
	static const struct {
		const char *metric, *help;
	} shared[] = {
		{ "hits", "BOs handed out again, by tier" },
		{ "purged", "BOs dropped for another reason than age" },
		{ "rejected", "BOs kept out of the resource tier" },
		{ "held_bos", "BOs held, by tier" },
		{ "held_bytes", "Backing of the BOs held, by tier" },
	};
	const char *help = NULL;

	printf("# TYPE " PREFIX "%s %s\n", attr->metric,
	       attr->kind == COUNTER ? "counter" : "gauge");
	if (attr->unit == UNIT_MS)
		printf("# UNIT " PREFIX "%s seconds\n", attr->metric);
	else if (attr->unit == UNIT_BYTES)
		printf("# UNIT " PREFIX "%s bytes\n", attr->metric);
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
		if (!strcmp(shared[i].metric, attr->metric))
			help = shared[i].help;
	if (!help)
		help = attr->help;
	printf("# HELP " PREFIX "%s %c%s\n", attr->metric, toupper(*help),
	       help + 1);
}

/* All of a metric's samples stand together, as OpenMetrics wants it. */
static void print_metric(const struct devices *devices, size_t first)
{
	const char *metric = attrs[first].metric;

	print_head(&attrs[first]);
	for (size_t d = 0; d < devices->n; d++)
		for (size_t i = first; i < ATTRS; i++)
			if (!attrs[i].total && devices->v[d].now.known[i] &&
			    !strcmp(attrs[i].metric, metric))
				print_sample(&devices->v[d], &attrs[i]);
}

static bool is_first(size_t i)
{
	for (size_t before = 0; before < i; before++)
		if (!attrs[before].total &&
		    !strcmp(attrs[before].metric, attrs[i].metric))
			return false;
	return !attrs[i].total;
}

static bool anyone_knows(const struct devices *devices, const char *metric)
{
	for (size_t d = 0; d < devices->n; d++)
		for (size_t i = 0; i < ATTRS; i++)
			if (devices->v[d].now.known[i] && !attrs[i].total &&
			    !strcmp(attrs[i].metric, metric))
				return true;
	return false;
}

static void print_info(const struct devices *devices)
{
	if (!devices->n)
		return;
	/* Not of the type "info": that is what Prometheus's older text lacks */
	printf("# TYPE " PREFIX "device gauge\n"
	       "# HELP " PREFIX "device What a device is\n");
	for (size_t i = 0; i < devices->n; i++) {
		const struct device *device = &devices->v[i];

		printf(PREFIX "device{device=");
		print_quoted(device->name);
		printf(",parent=");
		print_quoted(device->parent ? device->parent : "");
		printf(",card=");
		print_quoted(device->card ? device->card : "");
		printf(",cache=\"%s\"} 1\n", device->cached ? "yes" : "no");
	}
}

enum status cmd_metrics(const struct options *opts, int argc, char **argv)
{
	struct devices devices = { NULL, 0 };
	enum status status = DONE;

	(void)argc;
	(void)argv;
	if (opts->device)
		status = devices_choose(&devices, opts->device, false);
	else
		devices_find(&devices);
	if (!status) {
		print_info(&devices);
		for (size_t i = 0; i < ATTRS; i++)
			if (is_first(i) &&
			    anyone_knows(&devices, attrs[i].metric))
				print_metric(&devices, i);
		puts("# EOF");
	}
	devices_free(&devices);
	return status;
}
