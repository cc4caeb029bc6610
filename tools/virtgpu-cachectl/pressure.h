/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether memory is short, by the kernel's pressure stall information (PSI): how
 * long tasks had to wait for memory.
 */
#ifndef PRESSURE_H
#define PRESSURE_H

#include <poll.h>
#include <stdint.h>

#include "cachectl.h"

/* How often it is looked at, where the kernel can't tell by itself */
#define PRESSURE_SAMPLE_MS 200
#define PRESSURE_SAMPLES (1000 / PRESSURE_SAMPLE_MS)

/**
 * struct pressure - what is watched
 * @path: the file that says it
 * @trigger: by which the kernel tells, which takes privileges; or -1
 * @stall_us: how much of a second tasks have to wait to make it short
 * @total_us: how long they had waited at the last looks, the latest at @at
 * @at: how often it was looked
 * @due: when to look again
 */
struct pressure {
	char *path;
	int trigger;
	uint64_t stall_us;
	uint64_t total_us[PRESSURE_SAMPLES];
	unsigned int at;
	uint64_t due;
};

/* Of the cgroup whose folder is CGROUP, or of the system if that is NULL */
enum status pressure_open(struct pressure *pressure, const char *cgroup,
			  uint64_t stall_ms);
void pressure_close(struct pressure *pressure);

/* For poll(), and when to call pressure_rose() anyway */
struct pollfd pressure_poll(const struct pressure *pressure);
uint64_t pressure_due(const struct pressure *pressure);

/* Whether memory is short: 1 or 0, or -1 when the file is gone */
int pressure_rose(struct pressure *pressure, short revents, uint64_t now);

#endif
