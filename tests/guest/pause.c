// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest is paused and goes on, many times, while the cache gives things
 * back: nothing is lost and nothing is stuck. The guest says so itself to
 * QEMU, in one breath, as it could not say the second.
 */
#include "virtgpu.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BOS 1500
#define PAUSES 60

static void pause_guest(void)
{
	must(strstr(qmp("{\"execute\": \"stop\"}\n{\"execute\": \"cont\"}\n"),
		    "\"return\""));
}

static void empty_by_purge(void *arg)
{
	(void)arg;
	knob_write("purge", 1);
}

static void empty_by_age(void *arg)
{
	(void)arg;
	knob_write("timeout_ms", 100);
}

static void empty_by_pressure(void *arg)
{
	(void)arg;
	shrink(shrink_count());
}

/* Catches: a release that waits for an answer that came while it slept */
static void paused_while(void (*empty)(void *))
{
	unsigned int during = 0;
	struct client client;
	struct commands c;
	int fd;

	need_cache();
	need_qmp();
	fd = card_open();
	knob_write("timeout_ms", 60000);
	commands_start();
	bos_free(fd, BOS, 4096, BOTH);
	wait_until(held_bos() == BOS && !stat_of("release_bos"));
	client = client_start(empty, NULL);
	wait_until(held_bos() < BOS || stat_of("release_bos"));
	for (int i = 0; i < PAUSES || stat_of("release_bos"); i++) {
		during += stat_of("release_bos") > 0;
		pause_guest();
		assert_true(i < 10 * PAUSES);
	}
	client_exit(&client);
	wait_until(!held_bos() && !stat_of("release_bos"));
	c = commands_stop();
	printf("# %u creates, %u unrefs, paused %u times in between\n",
	       c.creates, c.unrefs, during);
	assert_true(during > 0);
	assert_int_equal(c.creates, BOS);
	assert_int_equal(c.unrefs, BOS);
	close(fd);
	assert_counters_add_up();
}

static void paused_while_purging(void **state)
{
	(void)state;
	paused_while(empty_by_purge);
}

static void paused_while_expiring(void **state)
{
	(void)state;
	paused_while(empty_by_age);
}

static void paused_while_reclaiming(void **state)
{
	(void)state;
	paused_while(empty_by_pressure);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_group(paused_while_purging),
		test_in_group(paused_while_expiring),
		test_in_group(paused_while_reclaiming),
	};

	return run(tests);
}
