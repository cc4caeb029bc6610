// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fuzz target for all text that virtgpu-cachectl reads: arguments, sysfs,
 * debugfs, fdinfo.  It is linked with the program's own files, whose main() is
 * called cachectl_main() there.
 *
 * The first byte says what the rest is.  FUZZ_TREE is a folder for files; the
 * program is told that it is the root, first of all, so that no argument leads
 * out of there.
 */
#include <assert.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buckets.h"
#include "clients.h"
#include "files.h"
#include "units.h"

#define DEVICE "/sys/bus/virtio/drivers/virtio_gpu/virtio0"
#define WORDS 16

int cachectl_main(int argc, char **argv);

static const char *tree(void)
{
	const char *path = getenv("FUZZ_TREE");

	assert(path);
	return path;
}

/* What is printed with a unit can be read again, and means about the same */
static void fuzz_quantity(const char *text)
{
	static const enum unit units[] = {
		UNIT_NONE, UNIT_SWITCH, UNIT_BYTES, UNIT_MS, UNIT_INTERVAL
	};
	uint64_t value, again;
	char *printed;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (unit_parse(units[i], text, &value))
			continue;
		printed = unit_format(units[i], value, true);
		assert(number_parse(printed, &again) && again == value);
		free(printed);
		printed = unit_format(units[i], value, false);
		/* No unit is above T to read */
		if (units[i] != UNIT_INTERVAL && !strpbrk(printed, "PE")) {
			assert(!unit_parse(units[i], printed, &again));
			assert(units[i] == UNIT_BYTES ?
			       again >= value - value / 8 &&
			       again <= value + value / 8 + 1 : again == value);
		}
		free(printed);
	}
	number_parse(text, &value);
}

static void fuzz_bucket(const char *text)
{
	struct bucket bucket;

	bucket_parse(text, &bucket);
}

static void fuzz_fdinfo(const char *text)
{
	FILE *file = fmemopen((char *)text, strlen(text), "r");
	struct usage usage;

	if (!file)
		return;
	usage_parse(file, &usage);
	fclose(file);
}

/* What would not end, asks this machine, or leaves the tree */
static bool is_barred(const char *word)
{
	return !strcmp(word, "stat") || !strcmp(word, "top") ||
	       !strcmp(word, "doctor") || !strncmp(word, "--s", 3);
}

/* Words are separated by newlines */
static void fuzz_arguments(const char *text)
{
	char *argv[WORDS + 4] = { "cachectl", "--sysroot", (char *)tree() };
	char *copied = strdup(text), *rest = copied, *word;
	bool barred = false;
	int argc = 3;

	assert(copied);
	while (argc < WORDS + 3 && (word = strsep(&rest, "\n"))) {
		barred |= is_barred(word);
		argv[argc++] = word;
	}
	/* getopt_long() begins anew */
	optind = 0;
	if (!barred)
		cachectl_main(argc, argv);
	free(copied);
}

static void fuzz_file(const char *name, const char *text)
{
	static const char *const commands[] = {
		"--output-all\n--json", "show", "metrics",
		"set\n--persist\nmax_bytes=1M", "reset",
	};
	char *before;

	assert(!root_set(tree()));
	assert(!file_read(name, &before));
	assert(!file_write(name, text));
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fuzz_arguments(commands[i]);
	/* As it was, for the next */
	assert(!root_set(tree()));
	assert(!file_write(name, before));
	root_close();
	free(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = {
		DEVICE "/bo_cache/stats/puts", DEVICE "/bo_cache/timeout_ms",
		DEVICE "/features", "/sys/kernel/debug/dri/0/bo_cache/buckets",
		"/sys/module/virtio_gpu/parameters/bo_cache_max_bytes",
		"/etc/udev/rules.d/90-virtgpu-cachectl.rules",
		"/proc/meminfo",
	};
	static void (*const targets[])(const char *) = {
		fuzz_quantity, fuzz_bucket, fuzz_fdinfo, fuzz_arguments
	};
	unsigned int what;
	char *text;

	if (!size)
		return 0;
	text = strndup((const char *)data + 1, size - 1);
	assert(text);
	what = data[0] % (ARRAY_SIZE(targets) + ARRAY_SIZE(files));
	if (what < ARRAY_SIZE(targets))
		targets[what](text);
	else
		fuzz_file(files[what - ARRAY_SIZE(targets)], text);
	free(text);
	return 0;
}
