// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory pressure: the kernel's reclaim gets what the cache holds, oldest
 * first, and the cache keeps its hands off for a while. Reclaim is told what
 * to do by debugfs, where the shrinker can be run for so many pages, and by
 * drop_caches.
 */
#include "virtgpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096
#define BACKOFF_MIN_MS 250
#define BACKOFF_MAX_MS 16000
/* Others' shmem (journals, sockets) may come and go by this much */
#define SHMEM_NOISE_KIB 256

/*
 * Catches: a count that is not what is held, a tier without a shrinker, pages
 * that are unlinked and not freed.
 */
static void drop_caches_empties_both_tiers(void **state)
{
	uint64_t shmem, held, bos, purged;
	int fd = card_open();
	int64_t more;

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	shmem = shmem_kib();
	bos_free(fd, 32, 512 * KIB, BOTH);
	wait_for_rest();
	bos = held_bos();
	held = held_bytes();
	purged = stat_of("purged_pressure");
	/* the control: there is something in each tier, and reclaim sees it */
	assert_int_equal(bos, 32);
	assert_int_equal(held, 32 * 512 * KIB);
	assert_int_equal(stat_of("held_resource_bos"), has_virgl() ? 16 : 0);
	assert_true(shmem_kib() - shmem >= held / KIB - SHMEM_NOISE_KIB);
	assert_int_equal(shrink_count(), held / PAGE);
	drop_caches("2");
	wait_until(!held_bos() && !stat_of("release_bos"));
	more = shmem_kib() - shmem;
	printf("# %llu pages counted, %llu entries purged, %lld KiB of shmem "
	       "left\n", (unsigned long long)held / PAGE,
	       (unsigned long long)(stat_of("purged_pressure") - purged),
	       (long long)more);
	assert_int_equal(stat_of("purged_pressure") - purged, bos);
	assert_int_equal(shrink_count(), 0);
	assert_true(llabs(more) <= SHMEM_NOISE_KIB);
	assert_counters_add_up();
	close(fd);
}

#define AGES 12

/*
 * Catches: a scan that takes the youngest, one tier before the other, or more
 * than it was told to.
 */
static void the_oldest_goes_first(void **state)
{
	int fd = card_open(), kept = 0;
	struct bo bo[AGES], again;
	uint64_t hits;

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	for (int i = 0; i < AGES; i++) {
		bo[i] = bo_plain(fd, MIB);
		if (i & 1)
			close(bo_export(&bo[i]));
		bo_wait(&bo[i]);
	}
	for (int i = 0; i < AGES; i++) {
		bo_close(&bo[i]);
		wait_until(held_bos() == i + 1u);
		sleep_ms(10);
	}
	for (int i = 0; i < AGES; i++)
		assert_true(cache_holds(bo[i].res));
	shrink(4 * MIB / PAGE);
	while (kept < AGES && !cache_holds(bo[kept].res))
		kept++;
	printf("# told to free 4 of %d MiB, the oldest %d went\n", AGES, kept);
	assert_int_equal(kept, 4);
	for (int i = kept; i < AGES; i++)
		assert_true(cache_holds(bo[i].res));
	wait_until(!stat_of("release_bos"));
	/* What is left is of use: the youngest of each tier */
	hits = stat_of("hits_pages") + stat_of("hits_resource");
	again = bo_plain(fd, MIB);
	if (has_virgl())
		assert_int_equal(again.res, bo[AGES - 2].res);
	if (has_virgl())
		bo_create(fd, texture(512, 512, BIND_SAMPLER_VIEW));
	else
		bo_plain(fd, MIB);
	assert_int_equal(stat_of("hits_pages") + stat_of("hits_resource"),
			 hits + 2);
	close(fd);
	assert_counters_add_up();
}

/* Frees a BO: whether the cache took it */
static bool is_kept(int fd)
{
	struct bo bo = bo_plain(fd, 64 * KIB);
	uint64_t puts = stat_of("puts");
	uint64_t rejected = stat_of("rejected_pressure");

	bo_wait(&bo);
	bo_close(&bo);
	wait_until(stat_of("puts") > puts ||
		   stat_of("rejected_pressure") > rejected);
	return stat_of("puts") > puts;
}

/* Has an entry purged by pressure; -> just before when */
static uint64_t come_under_pressure(int fd)
{
	uint64_t purged = stat_of("purged_pressure"), when;

	wait_until(is_kept(fd));
	when = now_ms();
	shrink_all();
	assert_true(stat_of("purged_pressure") > purged);
	return when;
}

/*
 * Catches: a cache that takes new entries while the kernel looks for memory.
 * Where the machine is so slow that a period is over before the BO is freed,
 * the next one is longer.
 */
static void frees_bypass_the_cache_after_pressure(void **state)
{
	int fd = card_open(), tries = 0;
	uint64_t rejected, backoffs;

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	rejected = stat_of("rejected_pressure");
	while (stat_of("rejected_pressure") == rejected) {
		struct bo bo = bo_plain(fd, 128 * KIB);
		uint64_t since;

		assert_true(tries++ < 8);
		bo_wait(&bo);
		backoffs = stat_of("backoffs");
		since = come_under_pressure(fd);
		assert_int_equal(stat_of("backoffs"), backoffs + 1);
		bo_close(&bo);
		wait_for_rest();
		if (held_bos())
			assert_true(now_ms() - since >=
				    stat_of("backoff_ms"));
		knob_write("purge", 1);
	}
	assert_true(stat_of("rejected_pressure") > rejected);
	assert_counters_add_up();
	close(fd);
}

/* Catches: a back-off that never ends, or ends before its time */
static void backing_off_ends(void **state)
{
	shape_t shape = buffer(64 * KIB);
	int fd = card_open();
	uint64_t since, ms;

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	since = come_under_pressure(fd);
	ms = stat_of("backoff_ms");
	wait_until(is_kept(fd));
	since = now_ms() - since;
	printf("# back-off of %llu ms, the first entry after %llu ms\n",
	       (unsigned long long)ms, (unsigned long long)since);
	assert_true(ms >= BACKOFF_MIN_MS);
	assert_true(since + 10 >= ms);	/* jiffies */
	if (has_virgl()) {
		uint64_t hits = stat_of("hits_resource");

		bo_cycle(fd, shape);
		assert_int_equal(stat_of("hits_resource"), hits + 1);
	}
	close(fd);
}

/* Catches: a back-off that does not learn, or learns without measure */
static void it_takes_longer_each_time(void **state)
{
	uint64_t last = 0;
	unsigned int longer = 0;
	int fd = card_open();

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	for (int i = 0; i < 5; i++) {
		uint64_t ms;

		come_under_pressure(fd);
		ms = stat_of("backoff_ms");
		printf("# %llu ms\n", (unsigned long long)ms);
		assert_true(ms >= BACKOFF_MIN_MS && ms <= BACKOFF_MAX_MS);
		longer += i && ms == 2 * last;
		last = ms;
	}
	assert_true(longer >= 3);
	close(fd);
}

/*
 * What the host still has is nobody's to free. Catches: a count that promises
 * it, for which reclaim would come back in vain.
 */
static void what_is_on_its_way_is_not_counted(void **state)
{
	unsigned int seen = 0;
	int fd = card_open();

	(void)state;
	need_virgl();
	need_cache();
	knob_write("timeout_ms", 60000);
	bos_free(fd, 2000, PAGE, RESOURCE);
	wait_until(shrink_count() == 2000);
	shrink(2000);
	do {
		uint64_t before = stat_of("release_bytes");
		uint64_t count = shrink_count();

		assert_int_equal(count, 0);
		seen += before > 0;
	} while (stat_of("release_bos"));
	printf("# seen %u times\n", seen);
	assert_true(seen > 0);
	assert_int_equal(stat_of("release_bytes"), 0);
	close(fd);
	assert_counters_add_up();
}

/* Catches: sscanf() instead of kstrto*() */
static void bad_text_is_refused(void **state)
{
	static const char *const bad[] = { "\n", "text\n", "-1\n", "1 2\n",
					   "0x\n", "1e3\n" };
	uint64_t purged, count;
	int fd = card_open();

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	bos_free(fd, 4, 64 * KIB, BOTH);
	wait_for_rest();
	purged = stat_of("purged_pressure");
	count = shrink_count();
	assert_true(count > 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (try_shrink(bad[i]) != -EINVAL)
			fail_msg("shrink took '%s'", bad[i]);
	assert_int_equal(shrink_count(), count);
	assert_int_equal(stat_of("purged_pressure"), purged);
	close(fd);
}

/* Catches: an event that is missing, or comes with every entry */
static void backing_off_is_traced(void **state)
{
	int fd = card_open();
	uint64_t backoffs;
	unsigned int n;

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	bos_free(fd, 8, 64 * KIB, BOTH);
	wait_for_rest();
	backoffs = stat_of("backoffs");
	events_start("bo_cache_backoff");
	shrink_all();
	n = events_stop();
	assert_int_equal(n, 1);
	assert_int_equal(stat_of("backoffs"), backoffs + 1);
	close(fd);
}

/* Catches: a shrinker that stays behind when the cache is off */
static void off_has_nothing_to_give(void **state)
{
	uint64_t purged = stat_of("purged_pressure");
	int fd = card_open();

	(void)state;
	need_cache();
	knob_write("enabled", 0);
	bos_free(fd, 4, 64 * KIB, BOTH);
	wait_for_rest();
	assert_int_equal(shrink_count(), 0);
	drop_caches("2");
	shrink(1000);
	assert_int_equal(stat_of("purged_pressure"), purged);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_group(drop_caches_empties_both_tiers),
		test_in_group(the_oldest_goes_first),
		test_in_group(frees_bypass_the_cache_after_pressure),
		test_in_group(backing_off_ends),
		test_in_group(it_takes_longer_each_time),
		test_in_group(what_is_on_its_way_is_not_counted),
		test_in_group(bad_text_is_refused),
		test_in_group(backing_off_is_traced),
		test_in_group(off_has_nothing_to_give),
		/* and where there are no groups but the root's */
		test(drop_caches_empties_both_tiers),
	};

	return run(tests);
}
