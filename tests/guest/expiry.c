// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cache goes to zero by itself: timeout_ms after the last free nothing
 * is left of it in guest or host, and nothing of it runs any more.
 */
#include "virtgpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TIMEOUT_MS 1000
#define GONE_MS 1250			/* the contract's figure */
#define BOS 32
#define BO_BYTES (512 * KIB)
/* Others' shmem (journals, sockets) may come and go by this much */
#define SHMEM_NOISE_KIB 256

/* The contract's figure is for an idle machine; an emulated one may add */
static unsigned int gone_ms(void)
{
	const char *slack = getenv("VIRTGPU_TEST_SLACK_MS");

	return GONE_MS + (slack ? atoi(slack) : 0);
}

/* Frees as a client does: half are its own, half have been shared */
static void fill(int fd)
{
	bos_free(fd, BOS, BO_BYTES, BOTH);
}

static void be_client(void *arg)
{
	(void)arg;
	fill(card_open());
}

/* Whether that was so in time; it must be so in the end */
static bool all_gone(uint64_t freed, uint64_t shmem)
{
	uint64_t held;
	int64_t more;

	sleep_until_ms(freed + gone_ms());
	held = held_bos() + stat_of("release_bos");
	more = shmem_kib() - shmem;
	printf("# %llu ms after the last free: %llu BOs, %lld KiB of shmem "
	       "more\n", (unsigned long long)(now_ms() - freed),
	       (unsigned long long)held, (long long)more);
	if (!held && !held_bytes() && !stat_of("release_bytes") &&
	    labs(more) <= SHMEM_NOISE_KIB)
		return true;
	wait_until(!held_bos() && !stat_of("release_bos"));
	return false;
}

/*
 * An emulated machine stands still when its host has other work: what is late
 * may be the machine. A clock that is late is so every time.
 */
static void in_time(bool (*is_in_time)(int arg), int arg)
{
	for (int tries = 1; !is_in_time(arg); tries++)
		assert_true(tries < 3);
}

/* What state a client is in after it freed everything */
enum after { SLEEPS, STOPPED, EXITED, KILLED };

static bool client_frees_in_time(int after)
{
	uint64_t shmem = shmem_kib(), freed;
	struct client client;
	struct commands c;
	bool in_time;

	commands_start();
	client = client_ready(be_client, NULL);
	freed = now_ms();
	/* the control: there is something that can go away */
	wait_until(held_bytes() >= BOS / 2 * BO_BYTES);
	assert_true(shmem_kib() - shmem >= BOS / 2 * BO_BYTES / KIB);
	if (after == STOPPED)
		client_stop(&client);
	if (after == EXITED)
		client_exit(&client);
	if (after == KILLED)
		client_kill(&client);
	in_time = all_gone(freed, shmem);
	c = commands_stop();
	printf("# %u creates, %u unrefs\n", c.creates, c.unrefs);
	assert_true(c.creates > 0);
	assert_int_equal(c.creates, c.unrefs);
	if (after == SLEEPS || after == STOPPED)
		client_kill(&client);
	assert_counters_add_up();
	return in_time;
}

/* Catches: expiry that waits for the owner's next ioctl, as Mesa's does */
static void gone_while_the_client_sleeps(void **state)
{
	(void)state;
	need_cache();
	in_time(client_frees_in_time, SLEEPS);
}

/* Catches: expiry that needs the owner to run */
static void gone_while_the_client_is_stopped(void **state)
{
	(void)state;
	need_cache();
	in_time(client_frees_in_time, STOPPED);
}

/* Catches: a demoted entry whose time starts again, or that is forgotten */
static void gone_after_the_client_exited(void **state)
{
	(void)state;
	need_cache();
	in_time(client_frees_in_time, EXITED);
}

static void gone_after_the_client_was_killed(void **state)
{
	(void)state;
	need_cache();
	in_time(client_frees_in_time, KILLED);
}

static bool old_goes_in_time(int fd)
{
	struct bo bo = bo_create(fd, buffer(4 * MIB));
	uint64_t end;

	bo_wait(&bo);
	bo_close(&bo);
	end = now_ms() + gone_ms();
	assert_true(held_bytes() >= 4 * MIB);
	while (now_ms() < end)
		bo_cycle(fd, buffer(8 * KIB));
	return held_bytes() < 4 * MIB;
}

/* Catches: a timer armed for the youngest entry, put off by every free */
static void an_old_entry_goes_while_others_come(void **state)
{
	int fd = render_open();

	(void)state;
	need_virgl();
	need_cache();
	in_time(old_goes_in_time, fd);
	close(fd);
}

/* Catches: an entry dropped before its time, a timer armed too early */
static void an_entry_stays_for_its_time(void **state)
{
	shape_t shape = buffer(256 * KIB);
	int fd = render_open();
	struct bo bo;
	uint32_t res;

	(void)state;
	need_virgl();
	need_cache();
	knob_write("timeout_ms", 20000);
	bo = bo_create(fd, shape);
	bo_wait(&bo);
	res = bo.res;
	bo_close(&bo);
	sleep_ms(2 * TIMEOUT_MS);
	bo = bo_create(fd, shape);
	assert_int_equal(bo.res, res);
	bo_close(&bo);
	close(fd);
}

/*
 * Catches: a timer that stays armed, or polls, on an empty cache. The watch
 * sees every work of the driver's, so it needs no name; the control is that
 * it sees the expiry itself.
 */
static void an_empty_cache_does_not_wake(void **state)
{
	int fd = card_open();

	(void)state;
	need_cache();
	works_start();			/* the first takes long */
	works_stop();
	knob_write("timeout_ms", 5 * TIMEOUT_MS);
	fill(fd);
	wait_for_rest();
	assert_true(held_bos() > 0);
	works_start();
	wait_until(!held_bos());
	assert_true(works_stop() > 0);
	wait_for_rest();
	works_start();
	sleep_ms(5 * TIMEOUT_MS);
	assert_int_equal(works_stop(), 0);
	close(fd);
}

static bool shorter_holds_in_time(int fd)
{
	knob_write("timeout_ms", 60000);
	fill(fd);
	wait_for_rest();
	assert_true(held_bos() > 0);
	knob_write("timeout_ms", TIMEOUT_MS);
	sleep_ms(gone_ms());
	return !held_bos();
}

/* Catches: entries left when the clock is turned forward under them */
static void a_shorter_timeout_holds_at_once(void **state)
{
	int fd = card_open();

	(void)state;
	need_cache();
	in_time(shorter_holds_in_time, fd);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(gone_while_the_client_sleeps),
		test(gone_while_the_client_is_stopped),
		test(gone_after_the_client_exited),
		test(gone_after_the_client_was_killed),
		test(an_old_entry_goes_while_others_come),
		test(an_entry_stays_for_its_time),
		test(an_empty_cache_does_not_wake),
		test(a_shorter_timeout_holds_at_once),
	};

	return run(tests);
}
