/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a cache holds by size class, from debugfs. */
#ifndef BUCKETS_H
#define BUCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "device.h"

enum { BUCKET_RESOURCE, BUCKET_PAGES, BUCKET_PURGEABLE, BUCKET_TIERS };

struct bucket {
	uint64_t from;			/* bytes of the smallest BO in it */
	uint64_t bos[BUCKET_TIERS];
	uint64_t bytes[BUCKET_TIERS];
};

char *buckets_path(const struct device *device);

/*
 * Calls CALL with each bucket that has something.  Returns 0 or an errno:
 * debugfs need not be there, and is for root.
 */
int buckets_read(const struct device *device,
		 void (*call)(const struct bucket *bucket, void *arg),
		 void *arg);

/* One line of the file; false for those that are no bucket */
bool bucket_parse(const char *line, struct bucket *bucket);

#endif
