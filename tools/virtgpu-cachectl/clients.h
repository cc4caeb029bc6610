/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who uses a device, and how much of it is whose: from the fdinfo of open DRM
 * files.  A user sees its own processes, root all.
 */
#ifndef CLIENTS_H
#define CLIENTS_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "device.h"

/* What the kernel calls regions: "memory" is open, "cached" is closed */
struct usage {
	uint64_t id;			/* of the DRM file */
	uint64_t total;
	uint64_t resident;
	uint64_t purgeable;
	uint64_t cached;
};

/**
 * struct client - an open DRM file
 * @pid: a process that has it
 * @name: that process's
 * @device: the device's name
 * @usage: what of it is the client's
 */
struct client {
	pid_t pid;
	char *name;
	char *device;
	struct usage usage;
};

struct clients {
	struct client *v;
	size_t n;
};

void clients_find(struct clients *clients, const struct devices *devices);
void clients_free(struct clients *clients);

/* False if it is no file of this driver's, or the kernel does not tell */
bool usage_parse(FILE *fdinfo, struct usage *usage);

#endif
