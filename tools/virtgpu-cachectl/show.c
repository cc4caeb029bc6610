// SPDX-License-Identifier: GPL-2.0-or-later
/* "show": all that there is to know of a device, as a tree. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "buckets.h"
#include "device.h"
#include "table.h"

enum { NAME, VALUE, MEANING };

struct tree {
	struct libscols_table *table;
	const struct options *opts;
	struct libscols_line *parent;
};

/* Takes VALUE, not NAME */
static struct libscols_line *add(const struct tree *tree, const char *name,
				 char *value, const char *meaning)
{
	struct libscols_line *line = table_line(tree->table, tree->parent);

	table_cell(line, NAME, checked(strdup(name)));
	table_cell(line, VALUE, value);
	if (meaning)
		table_cell(line, MEANING, checked(strdup(meaning)));
	return line;
}

static void add_text(const struct tree *tree, const char *name,
		     const char *value, const char *meaning)
{
	if (value)
		add(tree, name, checked(strdup(value)), meaning);
}

static void add_attrs(const struct tree *tree, const struct device *device,
		      bool knobs)
{
	const struct snapshot *now = &device->now;

	for (size_t i = 0; i < ATTRS; i++)
		if (now->known[i] && knobs == (attrs[i].kind == KNOB))
			add(tree, attrs[i].name,
			    unit_format(attrs[i].unit, now->value[i],
					tree->opts->bytes), attrs[i].help);
}

static void add_bucket(const struct bucket *bucket, void *arg)
{
	static const char *const tiers[BUCKET_TIERS] = {
		"resource", "pages", "purgeable"
	};
	const struct tree *tree = arg;
	bool plain = tree->opts->bytes;
	struct tree below = *tree;
	char *name;

	name = unit_format(UNIT_BYTES, bucket->from, plain);
	below.parent = add(tree, name, NULL, "and larger");
	free(name);
	for (int i = 0; i < BUCKET_TIERS; i++) {
		if (!bucket->bos[i])
			continue;
		name = format("%s_bos", tiers[i]);
		add(&below, name,
		    unit_format(UNIT_NONE, bucket->bos[i], plain), NULL);
		free(name);
		name = format("%s_bytes", tiers[i]);
		add(&below, name,
		    unit_format(UNIT_BYTES, bucket->bytes[i], plain), NULL);
		free(name);
	}
}

static void add_buckets(const struct tree *tree, const struct device *device)
{
	struct tree below = *tree;
	char *path, *why;
	int error;

	below.parent = add(tree, "buckets", NULL,
			   "what is held, by the size of its backing");
	error = buckets_read(device, add_bucket, &below);
	if (!error)
		return;
	path = buckets_path(device);
	why = format("%s: %s; debugfs must be mounted, and is for root", path,
		     strerror(error));
	table_cell(below.parent, MEANING, why);
	free(path);
}

static void add_device(struct tree *tree, const struct device *device)
{
	const char *state = !device->cached ? "the driver has no cache" :
			    device_on(device) ? "keeps freed BOs" :
			    "keeps nothing";

	tree->parent = NULL;
	tree->parent = add(tree, device->name, NULL, state);
	add_text(tree, "parent", device->parent, "the device it is on");
	add_text(tree, "card", device->card, "its DRM card node");
	add_text(tree, "render", device->render, "its DRM render node");
	if (!device->cached)
		return;
	add_attrs(tree, device, true);
	add_attrs(tree, device, false);
	add_buckets(tree, device);
}

enum status cmd_show(const struct options *opts, int argc, char **argv)
{
	struct tree tree = { .opts = opts };
	struct devices devices;
	enum status status;

	status = devices_choose(&devices, argc ? argv[0] : opts->device, false);
	if (status)
		return status;
	tree.table = table_new("devices", opts);
	table_column(tree.table, "NAME", COLUMN_TREE, opts);
	table_column(tree.table, "VALUE", COLUMN_RIGHT, opts);
	table_column(tree.table, "MEANING", COLUMN_TEXT, opts);
	for (size_t i = 0; i < devices.n; i++)
		add_device(&tree, &devices.v[i]);
	devices_free(&devices);
	return table_end(tree.table);
}
