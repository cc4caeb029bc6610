// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hundred clients on two processors that come, work and go, while somebody
 * takes most of the memory and gives it back, again and again.
 */
#include "virtgpu.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLIENTS 100
#define RAM_MAX (1024 * MIB)
#define LEFT (96 * MIB)			/* by the hog */
#define SHMEM_NOISE_KIB 512
#define MEMORY_NOISE_KIB (48 * 1024)

static void be_client(void *arg)
{
	unsigned int seed = (uintptr_t)arg;

	client_churn(seed, now_ms() + 2000 + rand_r(&seed) % 6000);
}

/* Takes what is available, holds it a little, leaves */
static void be_hog(void *arg)
{
	uint64_t available = meminfo_kib("MemAvailable") * KIB;

	(void)arg;
	must(!try_file_write("/proc/self/oom_score_adj", "1000"));
	must(nice(-20) == -20);		/* or it would get nowhere */
	if (available > LEFT)
		memory_take(available - LEFT);
	sleep_ms(1000);
}

static void start(struct client *client, struct pollfd *done,
		  void (*work)(void *))
{
	static uintptr_t seed;

	seed++;
	*client = client_start(work, (void *)seed);
	*done = (struct pollfd){ .fd = client->ready, .events = POLLIN };
}

struct count {
	unsigned int clients, hogs;
};

static struct count crowd(unsigned int seconds)
{
	struct client client[CLIENTS + 1];
	struct pollfd done[CLIENTS + 1];
	struct count count = { .clients = CLIENTS, .hogs = 1 };
	uint64_t end = now_ms() + seconds * 1000;

	for (int i = 0; i <= CLIENTS; i++)
		start(&client[i], &done[i], i < CLIENTS ? be_client : be_hog);
	while (now_ms() < end) {
		poll(done, ARRAY_SIZE(done), 1000);
		for (int i = 0; i <= CLIENTS; i++) {
			if (!done[i].revents)
				continue;
			client_exit(&client[i]);
			start(&client[i], &done[i],
			      i < CLIENTS ? be_client : be_hog);
			if (i < CLIENTS)
				count.clients++;
			else
				count.hogs++;
		}
	}
	for (int i = 0; i <= CLIENTS; i++)
		client_exit(&client[i]);
	return count;
}

static uint64_t available_kib(void)
{
	drop_caches("3");
	return meminfo_kib("MemAvailable");
}

/*
 * Catches: what a race under shortage loses, a client killed for memory that
 * the cache has; the kernel's report fails too.
 */
static void a_crowd_in_a_small_house(void **state)
{
	uint64_t kills, shmem, available, purged;
	struct count off, on;
	int64_t more, less;

	(void)state;
	if (meminfo_kib("MemTotal") * KIB > RAM_MAX)
		skip();
	need_cache();
	kills = vmstat_of("oom_kill");
	knob_write("enabled", 0);
	off = crowd(15);
	assert_int_equal(vmstat_of("oom_kill"), kills);
	wait_for_rest();
	available = available_kib();
	shmem = shmem_kib();

	knob_write("enabled", 1);
	knob_write("max_bytes", 256 * MIB);
	purged = stat_of("purged_pressure");
	on = crowd(60);
	purged = stat_of("purged_pressure") - purged;
	assert_int_equal(vmstat_of("oom_kill"), kills);
	wait_for_rest();
	assert_counters_add_up();
	wait_until(!held_bos() && !stat_of("release_bos"));
	less = available - available_kib();
	more = shmem_kib() - shmem;
	printf("# %u clients and %u hogs in 15 s with the cache off, %u and %u "
	       "in 60 s with it on; %llu entries purged, %llu back-offs; then "
	       "%lld KiB of shmem more, %lld KiB less available\n",
	       off.clients, off.hogs, on.clients, on.hogs,
	       (unsigned long long)purged,
	       (unsigned long long)stat_of("backoffs"), (long long)more,
	       (long long)less);
	assert_true(on.hogs > 2 && purged > 0);
	assert_true(more <= SHMEM_NOISE_KIB);
	assert_true(less <= MEMORY_NOISE_KIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_crowd_in_a_small_house),
	};

	return run(tests);
}
