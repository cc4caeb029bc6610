// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory cgroups. BO pages are charged to who creates them, and stay so while
 * the cache holds them: reclaim in a group must get them, must get nobody
 * else's, and what was charged to one group never serves another.
 */
#include "virtgpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT (96 * MIB)
#define CACHED (64 * MIB)
#define LARGE (88 * MIB)		/* leaves room for little else */
#define SMALL_BO MIB
#define OTHER_BO (1536 * KIB)		/* another bucket, beyond 1/8 */

#define ROUNDS 20			/* unless $CGROUP_ROUNDS says */

/* What a client does, over and over, in a group with LIMIT */
struct job {
	const char *group;		/* where it is */
	const char *limited;		/* itself or its parent */
	int rounds;
	enum tier tier;			/* where what it frees goes */
	uint64_t memory;		/* which it then takes */
	uint64_t bos;			/* or BOs, of another size */
};

static void take_bos(int fd, uint64_t bytes)
{
	struct bo bo[LIMIT / OTHER_BO];
	int n = bytes / OTHER_BO;

	for (int i = 0; i < n; i++)
		bo[i] = bo_create(fd, buffer(OTHER_BO));
	for (int i = 0; i < n; i++) {
		bo_wait(&bo[i]);
		bo_close(&bo[i]);
	}
}

static void be_client(void *arg)
{
	const struct job *job = arg;
	uint64_t used;
	int fd;

	group_enter(job->group);
	fd = render_open();
	bo_cycle(fd, buffer(4096));
	used = group_read(job->limited, "memory.current");
	for (int i = 0; i < job->rounds; i++) {
		bos_free(fd, CACHED / SMALL_BO, SMALL_BO, job->tier);
		if (job->bos)
			take_bos(fd, job->bos);
		if (job->memory)
			memory_give(memory_take(job->memory - used),
				    job->memory - used);
	}
	close(fd);
}

/* A new one for each test, as one that failed leaves its behind */
static const char *limited_group(void)
{
	static char name[32];
	static int n;

	snprintf(name, sizeof(name), "bo-cache-limited-%d", n++);
	group_make(name, LIMIT);
	return name;
}

/* Runs it: nobody is killed, nothing is refused; -> times at the limit */
static uint64_t do_job(const struct job *job)
{
	const char *group = job->limited;
	uint64_t kills = group_stat(group, "memory.events", "oom_kill");
	uint64_t max = group_stat(group, "memory.events", "max");
	uint64_t start = now_ms();
	int status = client_run(be_client, (void *)job);

	kills = group_stat(group, "memory.events", "oom_kill") - kills;
	max = group_stat(group, "memory.events", "max") - max;
	printf("# cache %s: %d rounds in %llu ms, %llu times at the limit, "
	       "%llu killed\n", knob_read("enabled") ? "on" : "off",
	       job->rounds, (unsigned long long)(now_ms() - start),
	       (unsigned long long)max, (unsigned long long)kills);
	assert_int_equal(kills, 0);
	assert_int_equal(status, 0);
	return max;
}

/* The control: with the cache off the job can be done as well */
static uint64_t do_job_off_and_on(struct job job)
{
	const char *rounds = getenv("CGROUP_ROUNDS");
	uint64_t pressure = stat_of("rejected_pressure");
	uint64_t purged = stat_of("purged_pressure");
	uint64_t tight = stat_of("rejected_tight"), max;

	knob_write("timeout_ms", 60000);
	knob_write("max_bytes", 2 * CACHED);
	knob_write("enabled", 0);
	job.rounds = 2;
	do_job(&job);
	knob_write("enabled", 1);
	job.rounds = rounds && atoi(rounds) > 0 ? atoi(rounds) : ROUNDS;
	max = do_job(&job);
	purged = stat_of("purged_pressure") - purged;
	pressure = stat_of("rejected_pressure") - pressure;
	tight = stat_of("rejected_tight") - tight;
	printf("# %llu entries purged; not kept: %llu after pressure, %llu for "
	       "lack of room\n", (unsigned long long)purged,
	       (unsigned long long)pressure, (unsigned long long)tight);
	assert_counters_add_up();
	return max;
}

static void in_a_group(struct job job)
{
	job.limited = limited_group();
	job.group = job.limited;
	do_job_off_and_on(job);
	group_remove(job.group);
}

/* Catches: a client killed for what it has freed long ago */
static void memory_after_bos(void **state)
{
	(void)state;
	need_virgl();
	need_cache();
	in_a_group((struct job){ .tier = RESOURCE, .memory = 64 * MIB });
}

static void other_bos_after_bos(void **state)
{
	(void)state;
	need_virgl();
	need_cache();
	in_a_group((struct job){ .tier = RESOURCE, .bos = 64 * MIB });
}

static void memory_up_to_the_limit(void **state)
{
	(void)state;
	need_virgl();
	need_cache();
	in_a_group((struct job){ .tier = RESOURCE, .memory = LARGE });
}

static void memory_up_to_the_limit_after_shared_bos(void **state)
{
	(void)state;
	need_virgl();
	need_cache();
	in_a_group((struct job){ .tier = PAGES, .memory = LARGE });
}

/* Catches: a shrinker that looks at one level only */
static void a_limit_on_the_parent(void **state)
{
	struct job job = { .tier = BOTH, .memory = LARGE };
	char child[64];

	(void)state;
	need_virgl();
	need_cache();
	job.limited = limited_group();
	job.group = child;
	snprintf(child, sizeof(child), "%s/child", job.limited);
	group_make(child, 0);
	do_job_off_and_on(job);
	group_remove(job.group);
	group_remove(job.limited);
}

/*
 * The test itself is the neighbour from here on: in a group of its own, it
 * frees BOs and later wants them back.
 */
#define BOS 8

/* What it frees here is held; -> bytes */
static uint64_t free_some(int fd, uint32_t bytes)
{
	uint64_t before = held_bytes();

	bos_free(fd, BOS, bytes, BOTH);
	wait_for_rest();
	assert_int_equal(held_bytes(), before + BOS * bytes);
	return BOS * bytes;
}

/* How many of as many creates are served from the cache */
static unsigned int hits_of(int fd, uint32_t bytes)
{
	uint64_t hits = stat_of("hits_resource") + stat_of("hits_pages");

	for (int i = 0; i < BOS; i++)
		bo_create(fd, buffer(bytes));
	return stat_of("hits_resource") + stat_of("hits_pages") - hits;
}

/* Catches: reclaim in one group that takes from another, or makes it wait */
static void anothers_entries_stay(void **state)
{
	struct job job = { .rounds = 2, .tier = BOTH, .memory = LARGE };
	uint64_t purged, held;
	int fd;

	(void)state;
	need_virgl();
	need_cache();
	fd = render_open();
	knob_write("timeout_ms", 60000);
	knob_write("max_bytes", 2 * CACHED);
	job.limited = limited_group();
	job.group = job.limited;
	held = free_some(fd, 256 * KIB);
	purged = stat_of("purged_pressure");
	do_job(&job);
	wait_for_rest();
	/* the control: the other one's were within reach of reclaim */
	assert_true(stat_of("purged_pressure") > purged);
	assert_true(held_bytes() >= held);
	assert_int_equal(hits_of(fd, 256 * KIB), BOS);
	close(fd);
	group_remove(job.group);
	assert_counters_add_up();
}

/* Catches: memory.reclaim that leaves something, or takes from others */
static void reclaim_empties_one_group(void **state)
{
	int fd, other;
	uint64_t held;

	(void)state;
	need_virgl();
	need_cache();
	fd = render_open();
	other = render_open();
	knob_write("timeout_ms", 60000);
	held = free_some(fd, 256 * KIB);
	group_make("bo-cache-other", 0);
	group_enter("bo-cache-other");
	free_some(other, 512 * KIB);
	/* It says EAGAIN, as there is not that much */
	try_group_write("bo-cache-other", "memory.reclaim", "1G");
	wait_until(!stat_of("release_bos"));
	assert_int_equal(held_bytes(), held);
	group_enter_own();
	assert_int_equal(hits_of(fd, 256 * KIB), BOS);
	close(other);
	close(fd);
	group_remove("bo-cache-other");
	assert_counters_add_up();
}

/*
 * Catches: what is charged to one group handed to another, in either tier. The
 * control is that its own group gets it.
 */
static void entries_stay_in_their_group(void **state)
{
	int fd, other;

	(void)state;
	need_virgl();
	need_cache();
	fd = render_open();
	other = render_open();
	knob_write("timeout_ms", 60000);
	group_make("bo-cache-a", 0);
	group_make("bo-cache-b", 0);
	group_enter("bo-cache-a");
	free_some(fd, 256 * KIB);
	group_enter("bo-cache-b");
	assert_int_equal(hits_of(fd, 256 * KIB), 0);
	assert_int_equal(hits_of(other, 256 * KIB), 0);
	group_enter("bo-cache-a");
	assert_int_equal(hits_of(fd, 256 * KIB), BOS);
	close(other);
	close(fd);
	group_enter(".");
	group_remove("bo-cache-a");
	group_remove("bo-cache-b");
	assert_counters_add_up();
}

/* Below a group of their own, or others' that go away would be counted too */
#define SHORT "bo-cache-short"
#define SHORT_LIVED SHORT "/lived"

/* Groups that are gone and still take up memory */
static uint64_t dying(void)
{
	return group_stat(SHORT, "cgroup.stat", "nr_dying_descendants");
}

static void be_short_lived(void *arg)
{
	int fd;

	group_enter(arg);
	fd = render_open();
	bos_free(fd, BOS, 256 * KIB, BOTH);
}

/* -> how long a group stays after it was removed */
static uint64_t afterlife_ms(void)
{
	uint64_t start;

	assert_int_equal(dying(), 0);
	group_make(SHORT_LIVED, 0);
	assert_int_equal(client_run(be_short_lived, SHORT_LIVED), 0);
	start = now_ms();
	group_remove(SHORT_LIVED);
	wait_until(!dying());
	return now_ms() - start;
}

/* Catches: a group kept alive by an entry, or by the cache for good */
static void a_removed_group_goes(void **state)
{
	const unsigned int timeout_ms = 3000, slack_ms = 5000;
	uint64_t off, on;

	(void)state;
	need_virgl();
	need_cache();
	knob_write("timeout_ms", timeout_ms);
	knob_write("enabled", 0);
	/* Nothing is read from a file for the first time in the groups */
	assert_int_equal(client_run(be_short_lived, "."), 0);
	group_make(SHORT, 0);
	off = afterlife_ms();
	knob_write("enabled", 1);
	on = afterlife_ms();
	group_remove(SHORT);
	printf("# gone after %llu ms with the cache off, %llu ms on\n",
	       (unsigned long long)off, (unsigned long long)on);
	assert_true(on <= off + timeout_ms + slack_ms);
	assert_counters_add_up();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(memory_after_bos),
		test(other_bos_after_bos),
		test(memory_up_to_the_limit),
		test(memory_up_to_the_limit_after_shared_bos),
		test(a_limit_on_the_parent),
		test_in_group(anothers_entries_stay),
		test_in_group(reclaim_empties_one_group),
		test_in_group(entries_stay_in_their_group),
		test(a_removed_group_goes),
	};

	return run(tests);
}
