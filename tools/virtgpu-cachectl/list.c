// SPDX-License-Identifier: GPL-2.0-or-later
/* Without a command: one line a device, in columns as they are asked for. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "device.h"
#include "table.h"

/* Columns that are not just a knob or a counter */
struct special {
	const char *column;
	const char *help;
	char *(*text)(const struct device *device);
};

static char *copy(const char *text)
{
	return text ? checked(strdup(text)) : NULL;
}

static char *device_text(const struct device *device)
{
	return copy(device->name);
}

static char *parent_text(const struct device *device)
{
	return copy(device->parent);
}

static char *card_text(const struct device *device)
{
	return copy(device->card);
}

static char *render_text(const struct device *device)
{
	return copy(device->render);
}

static char *state_text(const struct device *device)
{
	return copy(!device->cached ? "stock" :
		    device_on(device) ? "on" : "off");
}

/* Purgeable BOs are not looked for by creates, which are what can miss. */
static char *hit_rate_text(const struct device *device)
{
	uint64_t hits = device_value(device, "hits_resource") +
			device_value(device, "hits_pages");

	return percent_format(hits, hits + device_value(device, "misses"));
}

static const struct special specials[] = {
	{ "DEVICE", "the virtio device", device_text },
	{ "PARENT", "the device it is on, for PCI its address", parent_text },
	{ "CARD", "its DRM card node", card_text },
	{ "RENDER", "its DRM render node", render_text },
	{ "STATE", "on, off, or stock if the driver has no cache", state_text },
	{ "HIT%", "of the creates, how many the cache could serve",
	  hit_rate_text },
};

#define SPECIALS ARRAY_SIZE(specials)
#define COLUMNS (SPECIALS + ATTRS)

static const char defaults[] =
	"DEVICE,STATE,TIMEOUT,RESOURCE,PAGES,PURGEABLE,LIMIT,HIT%,EXPIRED,PURGED";

/* Columns by number: first the special ones, then the knobs and counters */

static const char *column_name(size_t column)
{
	return column < SPECIALS ? specials[column].column :
	       attrs[column - SPECIALS].column;
}

static const char *column_key(size_t column)
{
	return column < SPECIALS ? NULL : attrs[column - SPECIALS].name;
}

static const char *column_help(size_t column)
{
	return column < SPECIALS ? specials[column].help :
	       attrs[column - SPECIALS].help;
}

static enum column_type column_type(size_t column)
{
	if (column < SPECIALS)
		return COLUMN_TEXT;
	return attrs[column - SPECIALS].unit == UNIT_NONE ? COLUMN_NUMBER :
	       COLUMN_QUANTITY;
}

static char *column_text(size_t column, const struct device *device,
			 const struct options *opts)
{
	size_t i = column - SPECIALS;

	if (column < SPECIALS)
		return specials[column].text(device);
	if (!device->now.known[i])
		return NULL;
	return unit_format(attrs[i].unit, device->now.value[i], opts->bytes);
}

struct columns {
	size_t *v;
	size_t n;
};

static void add_column(struct columns *columns, size_t column)
{
	columns->v = grown(columns->v, columns->n, sizeof(*columns->v));
	columns->v[columns->n++] = column;
}

/* Adds those that LIST names, with commas between them */
static enum status add_columns(struct columns *columns, const char *list)
{
	char *copied = checked(strdup(list)), *rest = copied, *name;
	enum status status = DONE;
	size_t i;

	while ((name = strsep(&rest, ","))) {
		for (i = 0; i < COLUMNS; i++)
			if (!strcasecmp(name, column_name(i)))
				break;
		if (i == COLUMNS) {
			complain("unknown column '%s'", name);
			advise("'virtgpu-cachectl --list-columns' shows those there are");
			status = USAGE;
			break;
		}
		add_column(columns, i);
	}
	free(copied);
	return status;
}

static enum status choose_columns(struct columns *columns,
				  const struct options *opts)
{
	const char *list = opts->columns;

	if (opts->all_columns) {
		for (size_t i = 0; i < COLUMNS; i++)
			add_column(columns, i);
		return DONE;
	}
	if (list && *list != '+')
		return add_columns(columns, list);
	if (add_columns(columns, defaults))
		return FAILED;
	return list ? add_columns(columns, list + 1) : DONE;
}

static enum status list_columns(const struct options *opts)
{
	struct libscols_table *table = table_new("columns", opts);
	struct libscols_line *line;

	table_column(table, "COLUMN", COLUMN_TEXT, opts);
	table_column(table, "KEY", COLUMN_TEXT, opts);
	table_column(table, "DESCRIPTION", COLUMN_TEXT, opts);
	for (size_t i = 0; i < COLUMNS; i++) {
		line = table_line(table, NULL);
		table_cell(line, 0, copy(column_name(i)));
		table_cell(line, 1, copy(column_key(i)));
		table_cell(line, 2, copy(column_help(i)));
	}
	return table_end(table);
}

static enum status list_devices(const struct options *opts,
				const struct columns *columns,
				const struct devices *devices)
{
	struct libscols_table *table = table_new("devices", opts);
	struct libscols_line *line;

	for (size_t i = 0; i < columns->n; i++)
		table_column(table, column_name(columns->v[i]),
			     column_type(columns->v[i]), opts);
	for (size_t d = 0; d < devices->n; d++) {
		line = table_line(table, NULL);
		for (size_t i = 0; i < columns->n; i++)
			table_cell(line, i,
				   column_text(columns->v[i], &devices->v[d],
					       opts));
	}
	return table_end(table);
}

enum status cmd_list(const struct options *opts, int argc, char **argv)
{
	struct columns columns = { NULL, 0 };
	struct devices devices = { NULL, 0 };
	enum status status, printed;

	(void)argc;
	(void)argv;
	if (opts->list_columns)
		return list_columns(opts);
	status = choose_columns(&columns, opts);
	if (!status) {
		status = devices_choose(&devices, opts->device, false);
		/* No device is an empty list, which JSON can say */
		if (!status || opts->json) {
			printed = list_devices(opts, &columns, &devices);
			status = status ? status : printed;
		}
		devices_free(&devices);
	}
	free(columns.v);
	return status;
}
