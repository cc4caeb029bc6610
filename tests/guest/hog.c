// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A small machine with a full cache: whoever needs memory gets it, as with the
 * cache off. tests/run gives this a guest of 512 MiB.
 */
#include "virtgpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RAM_MAX (600 * MIB)
#define CACHED (256 * MIB)
#define NEEDED (350 * MIB)
#define BACKOFF_MAX_MS 16000

static void need_small_memory(void)
{
	if (meminfo_kib("MemTotal") * KIB > RAM_MAX)
		skip();
}

/* Takes the memory; -> how long that was, in milliseconds */
static uint64_t hog(void)
{
	uint64_t start = now_ms(), kills = vmstat_of("oom_kill");

	assert_true(memory_is_there(NEEDED));
	assert_int_equal(vmstat_of("oom_kill"), kills);
	return now_ms() - start;
}

/*
 * Catches: a cache that does not give way, or not in time; a tier that has no
 * part in it. The control is that what is taken and what is held does not fit.
 */
static void the_hog_gets_it(enum tier tier)
{
	uint64_t off, on, held, purged, expired, left;
	int fd;

	need_small_memory();
	need_cache();
	fd = card_open();
	knob_write("enabled", 0);
	bos_free(fd, CACHED / MIB, MIB, tier);
	wait_for_rest();
	off = hog();

	knob_write("enabled", 1);
	knob_write("timeout_ms", 60000);
	knob_write("max_bytes", CACHED);
	bos_free(fd, CACHED / MIB, MIB, tier);
	wait_for_rest();
	held = held_bytes();
	purged = stat_of("purged_pressure");
	expired = stat_of("expired");
	assert_int_equal(held, CACHED);
	assert_true(held + NEEDED > meminfo_kib("MemTotal") * KIB);
	on = hog();
	left = held_bytes();
	printf("# %llu MiB in %llu ms with the cache off, %llu ms on; of %llu "
	       "MiB held %llu are left\n", NEEDED / MIB,
	       (unsigned long long)off, (unsigned long long)on,
	       (unsigned long long)(held / MIB),
	       (unsigned long long)(left / MIB));
	assert_int_equal(stat_of("expired"), expired);
	assert_true(stat_of("purged_pressure") > purged);
	assert_int_equal(left, 0);
	close(fd);
	assert_counters_add_up();
}

static void from_the_resource_tier(void **state)
{
	(void)state;
	need_virgl();
	the_hog_gets_it(RESOURCE);
}

static void from_the_pages_tier(void **state)
{
	(void)state;
	the_hog_gets_it(PAGES);
}

/* Catches: a back-off that grows out of bounds, or not up to them */
static void backing_off_has_a_limit(void **state)
{
	uint64_t ms = 0, longest = 0;
	int fd;

	(void)state;
	need_small_memory();
	need_cache();
	fd = card_open();
	knob_write("timeout_ms", 60000);
	for (int i = 0; i < 8; i++) {
		wait_until((bos_free(fd, 1, MIB, PAGES), wait_for_rest(),
			    held_bos()));
		shrink_all();
		ms = stat_of("backoff_ms");
		longest = ms > longest ? ms : longest;
	}
	printf("# the last is %llu ms\n", (unsigned long long)ms);
	assert_int_equal(ms, BACKOFF_MAX_MS);
	assert_int_equal(longest, BACKOFF_MAX_MS);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_group(from_the_resource_tier),
		test_in_group(from_the_pages_tier),
		test_in_group(backing_off_has_a_limit),
	};

	return run(tests);
}
