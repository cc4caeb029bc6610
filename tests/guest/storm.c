// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Thousands of BOs expire at once while a client is at work: it must hardly
 * notice.
 */
#include "virtgpu.h"

#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xf86drm.h>

#define BOS 4000
#define WINDOW 4				/* as documented */
#define EXPIRE_MS 1000

/* Leaves BOS entries that are old enough to expire once the knob is turned */
static void gather(int fd)
{
	knob_write("timeout_ms", 60000);
	bos_free(fd, BOS, 4096, RESOURCE);
	wait_until(held_bos() >= BOS);
	wait_for_rest();
	sleep_ms(EXPIRE_MS);
}

static void set_off(void *arg)
{
	(void)arg;
	knob_write("timeout_ms", EXPIRE_MS);
}

/* A command, on a BO that stays young: all releases are the worker's */
static void upload(int fd)
{
	struct bo bo = bo_create(fd, buffer(64 * KIB));

	bo_to_host(&bo);
	bo_wait(&bo);
	bo_close(&bo);
}

/*
 * Catches: releases sent as fast as the ring takes them, answers that are not
 * waited for. The control is that there are as many releases as entries.
 */
static void releases_go_out_by_the_window(void **state)
{
	int fd = card_open(), other = card_open(), n = 0;
	struct commands c;

	(void)state;
	need_virgl();
	need_cache();
	gather(fd);
	upload(other);
	commands_start();
	set_off(NULL);
	do {
		upload(other);
		n++;
	} while (held_bos() > 2 || stat_of("release_bos"));
	c = commands_stop();
	printf("# %u releases, at most %u at once, %u before a command of the "
	       "client's, which sent %d meanwhile\n", c.unrefs,
	       c.unrefs_at_once, c.unrefs_ahead, n);
	assert_true(c.unrefs >= BOS);
	assert_true(n > 10);
	assert_true(c.unrefs_at_once > 1 && c.unrefs_at_once <= WINDOW);
	assert_true(c.unrefs_ahead > 0 && c.unrefs_ahead <= WINDOW);
	close(other);
	close(fd);
	assert_counters_add_up();
}

/* Pages that the host has let go of need no command */
static void pages_go_without_a_command(void **state)
{
	int fd = card_open();
	struct commands c;

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	bos_free(fd, BOS, 4096, PAGES);
	wait_until(held_bos() == BOS);
	wait_for_rest();
	commands_start();
	sleep_ms(EXPIRE_MS);
	set_off(NULL);
	wait_until(!held_bos() && !stat_of("release_bos"));
	c = commands_stop();
	assert_int_equal(c.all, 0);
	close(fd);
	assert_counters_add_up();
}

/* Without a nap, so that there are many samples */
static void wait_for_host(struct bo *bo)
{
	struct drm_virtgpu_3d_wait arg = { .handle = bo->handle };

	must(!drmIoctl(bo->fd, DRM_IOCTL_VIRTGPU_WAIT, &arg));
}

/*
 * A create and a close, served from the resource tier or with all their commands;
 * the time between, when the host is waited for, does not count.
 */
static uint64_t us_of_a_cycle(int fd, bool from_cache)
{
	shape_t shape = buffer(4096);
	uint64_t start = now_us(), us;
	struct bo bo;

	shape.bind = from_cache ? BIND_INDEX : BIND_CUSTOM;
	bo = has_virgl() ? bo_create(fd, shape) : bo_dumb(fd, 64, 16);
	us = now_us() - start;
	wait_for_host(&bo);
	start = now_us();
	bo_close(&bo);
	return us + now_us() - start;
}

/* How the client is to fare */
static bool served;

#define ROUNDS 4				/* unless $STORM_ROUNDS says */
#define SAMPLES_MIN 50				/* for a 99th percentile */
#define SAMPLES_MAX 200000

struct samples {
	unsigned int n;
	uint64_t us[SAMPLES_MAX];
};

static void sample(int fd, struct samples *s)
{
	must(s->n < SAMPLES_MAX);
	s->us[s->n++] = us_of_a_cycle(fd, served);
}

static uint64_t p99(struct samples *s)
{
	must(s->n >= SAMPLES_MIN);
	qsort(s->us, s->n, sizeof(*s->us), by_value);
	return s->us[s->n * 99 / 100];
}

/* Whether something is being released; asked between all samples */
static bool storm_goes_on(void)
{
	return held_bos() > 16 || stat_of("release_bos") > 16;
}

static void storm_of_the_cache(int fd, int other, struct samples *storm)
{
	gather(fd);
	us_of_a_cycle(other, served);
	set_off(NULL);
	while (storm_goes_on())
		sample(other, storm);
}

/* For comparison: without the cache, somebody with as many BOs is killed */
static void hold_many(void *arg)
{
	int fd = card_open();

	(void)arg;
	for (int i = 0; i < BOS; i++)
		bo_plain(fd, 4096);
}

static void storm_without_cache(int other, struct samples *storm)
{
	struct client client;

	knob_write("enabled", 0);
	client = client_ready(hold_many, NULL);
	us_of_a_cycle(other, served);
	must(!kill(client.pid, SIGKILL));
	do {
		sample(other, storm);
	} while (stat_of("release_bos") > 16 || !client_gone(&client));
	knob_write("enabled", 1);
}

/*
 * Where processors are emulated, QEMU's work for any command takes time away from
 * all of them, and its one lock makes the guest wait in between.  There the
 * measure is how a client fares beside one other that is at work, which costs it
 * as much; else how it fares alone.
 */
static bool is_emulated(void)
{
	unsigned int eax, name[4] = { 0 };

	__cpuid(0x40000000, eax, name[0], name[1], name[2]);
	return !strcmp((char *)name, "TCGTCGTCGTCG");
}

static void be_at_work(void *arg)
{
	int fd = card_open();

	(void)arg;
	while (true)
		us_of_a_cycle(fd, false);
}

static void in_calm_weather(int other, struct samples *calm, unsigned int n)
{
	struct client neighbour = { 0 };

	if (is_emulated())
		neighbour = client_start(be_at_work, NULL);
	us_of_a_cycle(other, served);
	while (calm->n < n) {
		storm_goes_on();
		sample(other, calm);
	}
	if (neighbour.pid)
		client_kill(&neighbour);
}

static bool hardly_noticed(int fd, int other)
{
	const char *said = getenv("STORM_ROUNDS");
	int rounds = said && atoi(said) > 0 ? atoi(said) : ROUNDS;
	static struct samples calm, storm, without;

	calm.n = storm.n = without.n = 0;
	for (int i = 0; i < rounds || storm.n < SAMPLES_MIN ||
	     without.n < SAMPLES_MIN; i++) {
		storm_of_the_cache(fd, other, &storm);
		in_calm_weather(other, &calm, storm.n);
		storm_without_cache(other, &without);
	}
	printf("# p99 of create and close: %llu us, in the storm %llu us, in "
	       "one without the cache %llu us; %u, %u and %u samples\n",
	       (unsigned long long)p99(&calm),
	       (unsigned long long)p99(&storm),
	       (unsigned long long)p99(&without), calm.n, storm.n, without.n);
	return p99(&storm) <= 2 * p99(&calm);
}

/*
 * Catches: a client that waits for the ring, or for the cache's lock. Others
 * on the host may get in the way, but not each time.
 */
static void a_client_hardly_notices(void **state)
{
	int fd = card_open(), other = card_open(), tries = 1;

	(void)state;
	need_cache();
	served = false;
	while (!hardly_noticed(fd, other))
		assert_true(tries++ < 3);
	close(other);
	close(fd);
	assert_counters_add_up();
}

/* Catches: the cache's lock held for long, work done where it is in the way */
static void a_client_that_is_served_hardly_notices(void **state)
{
	int fd = card_open(), other = card_open(), tries = 1;

	(void)state;
	need_virgl();
	need_cache();
	served = true;
	while (!hardly_noticed(fd, other))
		assert_true(tries++ < 3);
	close(other);
	close(fd);
	assert_counters_add_up();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(releases_go_out_by_the_window),
		test(pages_go_without_a_command),
		test(a_client_hardly_notices),
		test(a_client_that_is_served_hardly_notices),
	};

	return run(tests);
}
