// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Short-lived clients one after another, what tier 2 is for: unmodified
 * programs on the suite's own Mesa.
 */
#include "virtgpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RUNS 10

/* It stops as soon as it can read: its input is a pipe nobody writes to */
static void kmscube(void)
{
	must(!system("[ -p /tmp/silence ] || mkfifo /tmp/silence; "
		     "kmscube -c 2 0<>/tmp/silence >/tmp/kmscube.log 2>&1"));
}

/* Catches: an owner's exit that loses its entries, zeroing that is late */
static void kmscube_runs_share_pages(void **state)
{
	uint64_t pages, resources, creates;
	struct commands c;

	(void)state;
	need_virgl();
	need_cache();
	kmscube();
	pages = stat_of("hits_pages");
	resources = stat_of("hits_resource");
	commands_start();
	for (int i = 1; i < RUNS; i++)
		kmscube();
	c = commands_stop();
	pages = stat_of("hits_pages") - pages;
	resources = stat_of("hits_resource") - resources;
	creates = c.creates + resources;
	printf("# %llu creates, %llu from pages, %llu from resources\n",
	       (unsigned long long)creates, (unsigned long long)pages,
	       (unsigned long long)resources);
	assert_true(creates >= 2 * (RUNS - 1));
	assert_true(pages * 100 >= creates * 85);
	assert_counters_add_up();
}

/* The program itself does as well with the cache as without */
static void kmscube_runs(void **state)
{
	(void)state;
	need_virgl();
	for (int i = 0; i < 3; i++)
		kmscube();
	if (has_cache())
		wait_until(!held_bos());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(kmscube_runs),
		test_lasting(kmscube_runs_share_pages),
	};

	return run(tests);
}
