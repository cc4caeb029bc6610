// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The knobs: what they refuse, what they do at once, and that turning them
 * under load breaks nothing and loses no count.
 */
#include "virtgpu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASSERT_REFUSED(name, text) do {					\
	uint64_t before_ = knob_read(name);				\
	if (try_knob_write(name, text) != -EINVAL)			\
		fail_msg("%s took '%s'", name, text);			\
	assert_int_equal(knob_read(name), before_);			\
} while (0)

/* A write of no bytes never reaches the driver: an empty line does */
static const char *const never_a_number[] = {
	"\n", " \n", "text\n", "-1\n", "1 2\n", "0x\n", "1e3\n",
	"18446744073709551616\n", "99999999999999999999999\n",
};

/* Catches: sscanf() instead of kstrto*(), a missing upper limit */
static void bad_numbers_are_refused(void **state)
{
	(void)state;
	need_cache();
	for (size_t i = 0; i < ARRAY_SIZE(never_a_number); i++) {
		ASSERT_REFUSED("timeout_ms", never_a_number[i]);
		ASSERT_REFUSED("max_bytes", never_a_number[i]);
	}
	ASSERT_REFUSED("timeout_ms", "60001\n");
	ASSERT_REFUSED("timeout_ms", "4294967296\n");	/* 0 in 32 bits */
	ASSERT_REFUSED("timeout_ms", "4294968296\n");	/* 1000 */
	ASSERT_REFUSED("max_bytes", "18446744073709551615\n");
}

static void bad_switches_are_refused(void **state)
{
	static const char *const bad[] = { "\n", "maybe\n", "-1\n", "2\n" };

	(void)state;
	need_cache();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ASSERT_REFUSED("enabled", bad[i]);
	knob_write("enabled", 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ASSERT_REFUSED("enabled", bad[i]);
}

static struct bo cached_bo(int fd, uint32_t bytes)
{
	struct bo bo = has_virgl() ? bo_create(fd, buffer(bytes)) :
				     bo_dumb(fd, 256, bytes / 1024);

	bo_wait(&bo);
	bo_close(&bo);
	return bo;
}

/* Catches: a purge that ignores its argument */
static void bad_purges_are_refused(void **state)
{
	static const char *const bad[] = { "\n", "0\n", "2\n", "pag\n", "-1\n",
					   "pages resource\n" };
	int fd = card_open();
	uint64_t held;

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	cached_bo(fd, 256 * KIB);
	wait_until(held_bos());
	wait_for_rest();
	held = held_bos();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(try_knob_write("purge", bad[i]), -EINVAL);
	assert_int_equal(held_bos(), held);
	close(fd);
}

static void good_values_are_kept(void **state)
{
	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	assert_int_equal(knob_read("timeout_ms"), 60000);
	knob_write("timeout_ms", 1);
	assert_int_equal(knob_read("timeout_ms"), 1);
	knob_write("max_bytes", 4 * MIB);
	assert_int_equal(knob_read("max_bytes"), 4 * MIB);
	must(!try_knob_write("enabled", "N\n"));
	assert_int_equal(knob_read("enabled"), 0);
	must(!try_knob_write("enabled", "y"));
	assert_int_equal(knob_read("enabled"), 1);
}

/* Catches: a knob anybody can turn */
static void only_root_writes(void **state)
{
	static const char *const names[] = { "enabled", "timeout_ms",
					     "max_bytes", "purge" };

	(void)state;
	need_cache();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char cmd[256];

		/* 0644, and for the write-only one 0200 */
		snprintf(cmd, sizeof(cmd),
			 "set -- /sys/bus/virtio/drivers/virtio_gpu/virtio*/bo_cache/%s; "
			 "test $(stat -c %%U:%%a $1) = root:%s", names[i],
			 strcmp(names[i], "purge") ? "644" : "200");
		assert_int_equal(system(cmd), 0);
	}
}

/* Catches: memory that is only unlinked when the write returns */
static void purge_frees_before_it_returns(void **state)
{
	static const char *const how[] = { "1\n", "all\n" };
	int fd = card_open();
	struct bo bo[8];
	int64_t more;

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
		uint64_t shmem = shmem_kib();

		for (int n = 0; n < 8; n++)
			bo[n] = bo_dumb(fd, 512, 512);
		for (int n = 0; n < 8; n++)
			bo_close(&bo[n]);
		cached_bo(fd, 2 * MIB);
		wait_for_rest();
		assert_true(held_bytes() >= 8 * MIB);
		must(!try_knob_write("purge", how[i]));
		assert_int_equal(held_bos(), 0);
		assert_int_equal(stat_of("release_bos"), 0);
		more = shmem_kib() - shmem;
		if (more > 256)
			fail_msg("%lld KiB not given back", (long long)more);
	}
	assert_counters_add_up();
	close(fd);
}

/* Catches: one tier's purge that takes the other too */
static void purge_takes_one_tier(void **state)
{
	int fd, shared;
	struct bo bo;

	(void)state;
	need_virgl();
	need_cache();
	fd = card_open();
	knob_write("timeout_ms", 60000);
	cached_bo(fd, 1 * MIB);
	bo = bo_create(fd, buffer(2 * MIB));
	shared = bo_export(&bo);
	close(shared);
	bo_wait(&bo);
	bo_close(&bo);
	wait_until(stat_of("held_pages_bos") == 1);
	assert_int_equal(stat_of("held_resource_bos"), 1);
	must(!try_knob_write("purge", "pages\n"));
	assert_int_equal(stat_of("held_pages_bos"), 0);
	assert_int_equal(stat_of("held_resource_bos"), 1);
	must(!try_knob_write("purge", "resource\n"));
	assert_int_equal(stat_of("held_resource_bos"), 0);
	close(fd);
	assert_counters_add_up();
}

/* Catches: a limit not applied to both tiers, or that drops the youngest */
static void limit_drops_the_oldest(void **state)
{
	int fd = card_open();
	uint64_t limited;
	struct bo bo[8];

	(void)state;
	need_virgl();
	need_cache();
	knob_write("timeout_ms", 60000);
	knob_write("max_bytes", 4 * MIB);
	limited = stat_of("purged_limit");
	for (int i = 0; i < 8; i++) {
		bo[i] = bo_create(fd, buffer(MIB));
		bo_wait(&bo[i]);
	}
	for (int i = 0; i < 8; i++) {
		bo_close(&bo[i]);
		assert_true(held_bytes() <= 4 * MIB);
	}
	wait_for_rest();
	assert_int_equal(held_bytes(), 4 * MIB);
	assert_int_equal(stat_of("purged_limit"), limited + 4);
	/* What is left are the last four */
	for (int i = 0; i < 4; i++) {
		struct bo again = bo_create(fd, buffer(MIB));

		assert_true(again.res >= bo[4].res && again.res <= bo[7].res);
	}
	close(fd);
	assert_counters_add_up();
}

static void limit_holds_for_dumb_buffers(void **state)
{
	int fd = card_open();
	struct bo bo[12];

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	knob_write("max_bytes", 4 * MIB);
	for (int i = 0; i < 12; i++)
		bo[i] = bo_dumb(fd, 512, 512);
	for (int i = 0; i < 12; i++) {
		bo_close(&bo[i]);
		assert_true(held_bytes() <= 4 * MIB);
	}
	/* and when it is lowered under what is held */
	wait_until(held_bytes() > MIB);
	knob_write("max_bytes", MIB);
	wait_for_rest();
	assert_true(held_bytes() <= MIB);
	/* one that never fits */
	knob_write("purge", 1);
	knob_write("max_bytes", 512 * KIB);
	cached_bo(fd, 1 * MIB);
	wait_for_rest();
	assert_int_equal(held_bos(), 0);
	close(fd);
	assert_counters_add_up();
}

/* Catches: entries that stay when the cache goes off, or still come in */
static void off_empties_and_stays_empty(void **state)
{
	static const char *const knob[] = { "enabled", "timeout_ms" };
	int fd = card_open();

	(void)state;
	need_cache();
	for (size_t i = 0; i < ARRAY_SIZE(knob); i++) {
		uint64_t puts, back = knob_read(knob[i]);

		cached_bo(fd, 256 * KIB);
		wait_until(held_bos());
		knob_write(knob[i], 0);
		wait_for_rest();
		assert_int_equal(held_bos(), 0);
		puts = stat_of("puts");
		for (int n = 0; n < 8; n++)
			cached_bo(fd, 256 * KIB);
		wait_for_rest();
		assert_int_equal(stat_of("puts"), puts);
		assert_int_equal(held_bos(), 0);
		knob_write(knob[i], back);
	}
	close(fd);
	assert_counters_add_up();
}

/* Clients of every kind while the knobs turn */

static void be_client(void *arg)
{
	client_churn((uintptr_t)arg, now_ms() + 4000);
}

/* Catches: races of the knobs with clients; the kernel's report fails too */
static void knobs_turn_under_load(void **state)
{
	struct client client[3];
	uint64_t end;

	(void)state;
	need_cache();
	for (size_t i = 0; i < ARRAY_SIZE(client); i++)
		client[i] = client_start(be_client, (void *)(i + 1));
	end = now_ms() + 3500;
	for (unsigned int i = 0; now_ms() < end; i++) {
		static const uint64_t timeout[] = { 1000, 0, 1, 50 };
		static const uint64_t limit[] = { 64 * MIB, 0, 256 * KIB };

		knob_write("timeout_ms", timeout[i % ARRAY_SIZE(timeout)]);
		knob_write("max_bytes", limit[i / 2 % ARRAY_SIZE(limit)]);
		knob_write("enabled", i % 5 != 0);
		if (i % 7 == 0)
			knob_write("purge", 1);
		sleep_ms(20);
	}
	for (size_t i = 0; i < ARRAY_SIZE(client); i++)
		client_exit(&client[i]);
	fresh_cache(NULL);
	assert_counters_add_up();
	assert_int_equal(held_bos(), 0);
}

/* Catches: an event counted twice or not at all */
static void counters_add_up(void **state)
{
	int fd = card_open();

	(void)state;
	need_cache();
	for (int i = 0; i < 30; i++)
		cached_bo(fd, (1 + i % 5) * 64 * KIB);
	assert_counters_add_up();
	knob_write("purge", 1);
	assert_counters_add_up();
	for (int i = 0; i < 10; i++)
		cached_bo(fd, 64 * KIB);
	close(fd);
	assert_counters_add_up();
	wait_until(!held_bos());
	assert_counters_add_up();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(bad_numbers_are_refused),
		test(bad_switches_are_refused),
		test(bad_purges_are_refused),
		test(good_values_are_kept),
		test(only_root_writes),
		test(purge_frees_before_it_returns),
		test(purge_takes_one_tier),
		test(limit_drops_the_oldest),
		test(limit_holds_for_dumb_buffers),
		test(off_empties_and_stays_empty),
		test(counters_add_up),
		test(knobs_turn_under_load),
	};

	return run(tests);
}
