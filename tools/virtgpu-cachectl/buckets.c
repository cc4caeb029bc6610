// SPDX-License-Identifier: GPL-2.0-or-later
/* What a cache holds by size class, from debugfs. */

#include "buckets.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

/* The folder is called as the number in the card's name. */
char *buckets_path(const struct device *device)
{
	const char *card = device->card ? device->card : "card?";

	return format("/sys/kernel/debug/dri/%s/bo_cache/buckets", card + 4);
}

bool bucket_parse(const char *line, struct bucket *bucket)
{
	unsigned int number;

	return sscanf(line, "%u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		      " %" SCNu64 " %" SCNu64 " %" SCNu64, &number,
		      &bucket->from,
		      &bucket->bos[BUCKET_RESOURCE],
		      &bucket->bytes[BUCKET_RESOURCE],
		      &bucket->bos[BUCKET_PAGES],
		      &bucket->bytes[BUCKET_PAGES],
		      &bucket->bos[BUCKET_PURGEABLE],
		      &bucket->bytes[BUCKET_PURGEABLE]) == 8;
}

int buckets_read(const struct device *device,
		 void (*call)(const struct bucket *bucket, void *arg),
		 void *arg)
{
	char *path = buckets_path(device), *line = NULL;
	FILE *file = file_open(path);
	struct bucket bucket;
	size_t size = 0;
	int error;

	free(path);
	if (!file)
		return errno;
	while (getline(&line, &size, file) >= 0)
		if (bucket_parse(line, &bucket))
			call(&bucket, arg);
	error = ferror(file) ? EIO : 0;
	free(line);
	fclose(file);
	return error;
}
