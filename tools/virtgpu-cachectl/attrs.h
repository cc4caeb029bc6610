/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The knobs and counters of a device's cache.  One table says all that there is
 * to say of each; columns, metrics, "show" and "get" are made of it.
 */
#ifndef ATTRS_H
#define ATTRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "units.h"

enum kind { KNOB, COUNTER, GAUGE };

/**
 * struct attr - a knob or counter
 * @name: the file in bo_cache/, or for others than knobs in bo_cache/stats/
 * @column: its column in tables
 * @help: what it is
 * @metric: the metric it is a part of ...
 * @label: ... and as which: NAME=VALUE with quotes, or NULL
 * @unit: what it is counted in
 * @kind: whether it can be set, and whether it can fall
 * @total: it is the sum of others, which the metrics have
 */
struct attr {
	const char *name;
	const char *column;
	const char *help;
	const char *metric;
	const char *label;
	enum unit unit;
	enum kind kind;
	bool total;
};

#define ATTRS 45
extern const struct attr attrs[];

/**
 * struct snapshot - what they all were at one time
 * @value: the numbers
 * @known: false if the driver has no such file
 */
struct snapshot {
	uint64_t value[ATTRS];
	bool known[ATTRS];
};

const struct attr *attr_find(const char *name);	/* or NULL */
char *attr_path(const struct attr *attr, const char *device);

/* By name; 0 if it isn't known */
uint64_t snapshot_value(const struct snapshot *snapshot, const char *name);

#endif
