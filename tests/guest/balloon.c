// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A balloon, by which the host takes memory away: it is inflated against a
 * full cache, as it is without one, and nothing is tossed to and fro.
 */
#include "virtgpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CACHED (192 * MIB)
#define LEFT (112 * MIB)		/* for the system and the client */

static uint64_t ram;

static uint64_t balloon_actual(void)
{
	const char *p = strstr(qmp("{\"execute\": \"query-balloon\"}\n"),
			       "\"actual\": ");

	must(p);
	return strtoull(p + strlen("\"actual\": "), NULL, 10);
}

/* -> how long it took, in milliseconds */
static uint64_t balloon_leave(uint64_t bytes)
{
	uint64_t start = now_ms();
	char command[128];

	snprintf(command, sizeof(command), "{\"execute\": \"balloon\", "
		 "\"arguments\": {\"value\": %llu}}\n",
		 (unsigned long long)bytes);
	must(strstr(qmp(command), "\"return\""));
	wait_until(balloon_actual() == bytes);
	return now_ms() - start;
}

static void need_balloon(void)
{
	need_qmp();
	if (strstr(qmp("{\"execute\": \"query-balloon\"}\n"), "\"error\""))
		skip();
	must(!system("modprobe virtio_balloon"));
	ram = balloon_actual();
}

/* Until it is killed */
static void churn(void *arg)
{
	int fd = card_open();

	(void)arg;
	for (unsigned int i = 0;; i++)
		bos_free(fd, 2, (1 + i % 16) * 64 * KIB, i % 3 ? BOTH : PAGES);
}

/* What the balloon is to take, now that nothing is held */
static uint64_t to_take(void)
{
	drop_caches("3");
	return (meminfo_kib("MemAvailable") * KIB - LEFT) / MIB * MIB;
}

static uint64_t inflate_against_a_client(uint64_t bytes)
{
	struct client client = client_start(churn, NULL);
	uint64_t ms = balloon_leave(ram - bytes);

	client_kill(&client);
	return ms;
}

/*
 * Catches: a cache that holds on to what the host wants, entries that come
 * back as fast as they are reclaimed, a client killed for it.
 */
static void a_full_cache_makes_room(void **state)
{
	uint64_t kills = vmstat_of("oom_kill"), bytes, pages, off, on;
	uint64_t inflated, deflated, purged;
	int fd;

	(void)state;
	need_virgl();
	need_cache();
	need_balloon();
	bytes = to_take();
	pages = bytes / 4096;
	knob_write("enabled", 0);
	off = inflate_against_a_client(bytes);
	balloon_leave(ram);

	knob_write("enabled", 1);
	knob_write("timeout_ms", 60000);
	knob_write("max_bytes", CACHED);
	fd = card_open();
	bos_free(fd, CACHED / MIB, MIB, BOTH);
	wait_for_rest();
	/* the control: there is no room for both */
	assert_int_equal(held_bytes(), CACHED);
	assert_true(CACHED > LEFT);
	purged = stat_of("purged_pressure");
	inflated = vmstat_of("balloon_inflate");
	deflated = vmstat_of("balloon_deflate");
	on = inflate_against_a_client(bytes);
	inflated = vmstat_of("balloon_inflate") - inflated;
	printf("# %llu MiB inflated in %llu ms with the cache off, %llu ms on; "
	       "%llu pages of %llu, %llu entries purged\n",
	       (unsigned long long)(bytes / MIB), (unsigned long long)off,
	       (unsigned long long)on, (unsigned long long)inflated,
	       (unsigned long long)pages,
	       (unsigned long long)(stat_of("purged_pressure") - purged));
	assert_true(inflated >= pages && inflated * 10 <= pages * 11);
	assert_int_equal(vmstat_of("balloon_deflate"), deflated);
	assert_true(stat_of("purged_pressure") > purged);
	assert_int_equal(vmstat_of("oom_kill"), kills);

	balloon_leave(ram);
	deflated = vmstat_of("balloon_deflate") - deflated;
	assert_true(deflated >= pages && deflated * 10 <= pages * 11);
	/* and the cache is of use again */
	wait_until((bos_free(fd, 1, 96 * KIB, PAGES), wait_for_rest(),
		    held_bos()));
	purged = stat_of("hits_pages");
	bo_plain(fd, 96 * KIB);
	assert_int_equal(stat_of("hits_pages"), purged + 1);
	close(fd);
	assert_counters_add_up();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_full_cache_makes_room),
	};

	return run(tests);
}
