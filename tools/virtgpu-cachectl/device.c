// SPDX-License-Identifier: GPL-2.0-or-later
/* virtio GPUs that have a driver, as sysfs shows them. */

#include "device.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

static void device_free(struct device *device)
{
	free(device->name);
	free(device->parent);
	free(device->card);
	free(device->render);
}

/* The name of the folder that the virtio device's is in */
static char *find_parent(const char *device)
{
	char *path = format(DRIVER_PATH "/%s", device);
	char *target = link_read(path);
	char *last, *parent = NULL;

	free(path);
	if (!target)
		return NULL;
	last = strrchr(target, '/');
	if (last) {
		*last = '\0';
		last = strrchr(target, '/');
		parent = checked(strdup(last ? last + 1 : target));
	}
	free(target);
	return parent;
}

/* The nodes are children of the device that the virtio device is on. */
static void find_nodes(struct device *device, const char *below)
{
	char *path = format(DRIVER_PATH "/%s/%s", device->name, below);
	DIR *dir = dir_open(path);
	struct dirent *entry;
	char **node;

	free(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (!strncmp(entry->d_name, "card", 4) &&
		    !strchr(entry->d_name, '-'))
			node = &device->card;
		else if (!strncmp(entry->d_name, "renderD", 7))
			node = &device->render;
		else
			continue;
		free(*node);
		*node = checked(strdup(entry->d_name));
	}
	closedir(dir);
}

static void read_attr(struct device *device, size_t i)
{
	char *path = attr_path(&attrs[i], device->name);
	char *text;

	device->now.known[i] = !file_read(path, &text) &&
			       number_parse(text, &device->now.value[i]);
	free(text);
	free(path);
}

static bool has_cache(const char *device)
{
	char *path = format(DRIVER_PATH "/%s/bo_cache", device);
	bool has = file_exists(path);

	free(path);
	return has;
}

/* False if it went away meanwhile */
static bool device_read(struct device *device, const char *name)
{
	char *path;
	bool there;

	memset(device, 0, sizeof(*device));
	device->name = checked(strdup(name));
	device->parent = find_parent(name);
	find_nodes(device, "../drm");
	if (!device->card)
		find_nodes(device, "drm");
	device->cached = has_cache(name);
	if (device->cached) {
		for (size_t i = 0; i < ATTRS; i++)
			read_attr(device, i);
		there = has_cache(name);
	} else {
		path = format(DRIVER_PATH "/%s", name);
		/* It might have gone and come back in between */
		there = file_exists(path) && !has_cache(name);
		free(path);
	}
	if (!there)
		device_free(device);
	return there;
}

/* virtio2 before virtio10 */
static int by_name(const void *a, const void *b)
{
	return strverscmp(((const struct device *)a)->name,
			  ((const struct device *)b)->name);
}

static bool is_device_name(const char *name)
{
	return !strncmp(name, "virtio", 6) && isdigit((unsigned char)name[6]);
}

void devices_find(struct devices *devices)
{
	DIR *dir = dir_open(DRIVER_PATH);
	struct dirent *entry;

	devices->v = NULL;
	devices->n = 0;
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (!is_device_name(entry->d_name))
			continue;
		devices->v = grown(devices->v, devices->n,
				   sizeof(*devices->v));
		if (device_read(&devices->v[devices->n], entry->d_name))
			devices->n++;
	}
	closedir(dir);
	if (devices->n)
		qsort(devices->v, devices->n, sizeof(*devices->v), by_name);
}

void devices_free(struct devices *devices)
{
	for (size_t i = 0; i < devices->n; i++)
		device_free(&devices->v[i]);
	free(devices->v);
	devices->v = NULL;
	devices->n = 0;
}

static bool equal(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

struct device *devices_by_name(const struct devices *devices, const char *name)
{
	for (size_t i = 0; i < devices->n; i++)
		if (equal(devices->v[i].name, name))
			return &devices->v[i];
	return NULL;
}

struct device *devices_by_node(const struct devices *devices, const char *node)
{
	for (size_t i = 0; i < devices->n; i++)
		if (equal(devices->v[i].card, node) ||
		    equal(devices->v[i].render, node))
			return &devices->v[i];
	return NULL;
}

static struct device *by_any_name(const struct devices *devices,
				  const char *name)
{
	const char *slash = strrchr(name, '/');
	struct device *device = devices_by_name(devices, name);

	if (!device)
		device = devices_by_node(devices, slash ? slash + 1 : name);
	for (size_t i = 0; i < devices->n && !device; i++)
		if (equal(devices->v[i].parent, name))
			device = &devices->v[i];
	return device;
}

static void keep_only(struct devices *devices, struct device *device)
{
	struct device kept = *device;

	*device = devices->v[0];
	devices->v[0] = kept;
	while (devices->n > 1)
		device_free(&devices->v[--devices->n]);
}

enum status devices_choose(struct devices *devices, const char *name,
			   bool cached)
{
	struct device *device;

	devices_find(devices);
	if (name) {
		device = by_any_name(devices, name);
		if (!device) {
			complain("%s: no such device in %s", name,
				 DRIVER_PATH);
			advise("'virtgpu-cachectl' lists those there are");
			goto err_free;
		}
		keep_only(devices, device);
	}
	if (!devices->n) {
		complain("no device in %s", DRIVER_PATH);
		advise("'virtgpu-cachectl doctor' looks for the reason");
		goto err_free;
	}
	for (size_t i = 0; i < devices->n && cached; i++) {
		if (devices->v[i].cached)
			continue;
		complain("%s: its driver has no cache", devices->v[i].name);
		advise("load the virtio-gpu module that has it; 'virtgpu-cachectl doctor' says more");
		goto err_free;
	}
	return DONE;

err_free:
	devices_free(devices);
	return NO_DEVICE;
}

bool device_on(const struct device *device)
{
	return device->cached && device_value(device, "enabled") &&
	       device_value(device, "timeout_ms");
}

uint64_t device_value(const struct device *device, const char *attr)
{
	return snapshot_value(&device->now, attr);
}

uint64_t device_held_bytes(const struct device *device)
{
	return device_value(device, "held_resource_bytes") +
	       device_value(device, "held_pages_bytes");
}

/* The file has a digit a bit, the lowest first. */
bool virtio_has_feature(const char *device, unsigned int bit)
{
	char *path = format("/sys/bus/virtio/devices/%s/features", device);
	char *text;
	bool has;

	has = !file_read(path, &text) && strlen(text) > bit &&
	      text[bit] == '1';
	free(text);
	free(path);
	return has;
}
