/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio GPUs that have a driver, as sysfs shows them.  They may go away at any
 * time: what is read of one that did is an error that callers pass over.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "attrs.h"
#include "cachectl.h"

#define DRIVER_PATH "/sys/bus/virtio/drivers/virtio_gpu"

/**
 * struct device - a virtio GPU
 * @name: the virtio device's, for example virtio0
 * @parent: what it is on, for example 0000:00:02.0, or NULL
 * @card: its DRM card node's name, or NULL
 * @render: its DRM render node's name, or NULL
 * @cached: the driver has the cache; else it is the stock driver
 * @now: its knobs and counters
 */
struct device {
	char *name;
	char *parent;
	char *card;
	char *render;
	bool cached;
	struct snapshot now;
};

struct devices {
	struct device *v;
	size_t n;
};

/* All of them, by name, with their knobs and counters as they are now */
void devices_find(struct devices *devices);
void devices_free(struct devices *devices);

/*
 * Those that NAME means, or all if it is NULL; at least one, each with a
 * cache if CACHED is set.  Else it complains.
 */
enum status devices_choose(struct devices *devices, const char *name,
			   bool cached);

struct device *devices_by_name(const struct devices *devices, const char *name);
/* The device that a node in /dev/dri belongs to, or NULL */
struct device *devices_by_node(const struct devices *devices, const char *node);

bool device_on(const struct device *device);	/* the cache keeps BOs */
uint64_t device_value(const struct device *device, const char *attr);
uint64_t device_held_bytes(const struct device *device);

/* Whether a virtio device offers a feature, by the number of its bit */
bool virtio_has_feature(const char *device, unsigned int bit);

#endif
