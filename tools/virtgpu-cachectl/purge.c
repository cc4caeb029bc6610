// SPDX-License-Identifier: GPL-2.0-or-later
/* "purge": drops what is held, and says what that freed. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "files.h"
#include "table.h"

static const char *const tiers[] = { "resource", "pages", "purgeable" };

static bool is_tier(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(tiers); i++)
		if (!strcmp(tiers[i], name))
			return true;
	complain("unknown tier '%s'", name);
	advise("the tiers are resource, pages and purgeable");
	return false;
}

/* The write returns when it is free, or after ten seconds. */
static enum status purge(const struct device *device,
			 const struct options *opts)
{
	char *path = format(DRIVER_PATH "/%s/bo_cache/purge", device->name);
	int error;

	do
		error = file_write(path, opts->tier ? opts->tier : "all");
	while (error == ETIME && opts->wait);
	if (error) {
		complain("%s: %s", path, strerror(error));
		if (error == ETIME)
			advise("the host has not let go of all of it yet; --wait waits until it has");
		else if (status_of(error) == DENIED)
			advise("only root can purge");
		else if (status_of(error) == NO_DEVICE)
			advise("the device has just gone away");
	}
	free(path);
	return status_of(error);
}

static uint64_t fall(const struct device *before, const struct device *after,
		     const char *tier, const char *what)
{
	char *name = format("held_%s_%s", tier, what);
	uint64_t was = device_value(before, name);
	uint64_t is = device_value(after, name);

	free(name);
	return was > is ? was - is : 0;
}

/* Programs go on meanwhile: it is what was held before and is not any more. */
static void add_freed(struct libscols_table *table, const struct options *opts,
		      const struct device *before, const struct device *after)
{
	struct libscols_line *line;

	for (size_t i = 0; i < ARRAY_SIZE(tiers); i++) {
		if (opts->tier && strcmp(opts->tier, tiers[i]))
			continue;
		line = table_line(table, NULL);
		table_cell(line, 0, checked(strdup(before->name)));
		table_cell(line, 1, checked(strdup(tiers[i])));
		table_cell(line, 2, format("%" PRIu64, fall(before, after,
							    tiers[i], "bos")));
		table_cell(line, 3,
			   unit_format(UNIT_BYTES, fall(before, after, tiers[i],
							"bytes"), opts->bytes));
	}
}

static struct libscols_table *new_table(const struct options *opts)
{
	struct libscols_table *table = table_new("freed", opts);

	table_column(table, "DEVICE", COLUMN_TEXT, opts);
	table_column(table, "TIER", COLUMN_TEXT, opts);
	table_column(table, "BOS", COLUMN_NUMBER, opts);
	table_column(table, "SIZE", COLUMN_QUANTITY, opts);
	return table;
}

enum status cmd_purge(const struct options *opts, int argc, char **argv)
{
	enum status status, purged, printed;
	struct devices devices, after;
	struct libscols_table *table;
	struct device *device;

	(void)argc;
	(void)argv;
	if (opts->tier && !is_tier(opts->tier))
		return USAGE;
	status = devices_choose(&devices, opts->device, true);
	if (status)
		return status;
	table = new_table(opts);
	for (size_t i = 0; i < devices.n; i++) {
		purged = purge(&devices.v[i], opts);
		status = status ? status : purged;
		if (purged)
			continue;
		devices_find(&after);
		device = devices_by_name(&after, devices.v[i].name);
		if (device)
			add_freed(table, opts, &devices.v[i], device);
		devices_free(&after);
	}
	devices_free(&devices);
	printed = table_end(table);
	return status ? status : printed;
}
