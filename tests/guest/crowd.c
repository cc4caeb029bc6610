// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hundred clients on two processors that come, work and go, while somebody
 * takes most of the memory and gives it back, again and again.
 */
#include "virtgpu.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLIENTS 100
#define RAM_MAX (1024 * MIB)
#define LEFT (32 * MIB)			/* by the hog */
#define HOG_BOS 48			/* of a MiB */
#define PIECE (4 * MIB)
#define PIECES 32
#define SHMEM_NOISE_KIB 512
#define MEMORY_NOISE_KIB (48 * 1024)

static void be_client(void *arg)
{
	unsigned int seed = (uintptr_t)arg;

	client_churn(seed, now_ms() + 2000 + rand_r(&seed) % 6000);
}

/* What the hog is told, and says */
struct hog {
	uint64_t end;
	volatile unsigned int turns;
};

/*
 * Takes what is available and, piece by piece, what the cache has until it has
 * given some of it; gives all of that back.  False if there was nothing to take.
 */
static bool press(void)
{
	uint64_t purged = stat_of("purged_pressure"), held = held_bytes();
	uint64_t bytes = meminfo_kib("MemAvailable") * KIB + held / 2;
	void *taken, *piece[PIECES];
	unsigned int n;

	if (bytes <= LEFT)
		return false;
	taken = memory_take(bytes - LEFT);
	for (n = 0; n < PIECES && n * PIECE < held &&
	     stat_of("purged_pressure") == purged; n++)
		piece[n] = memory_take(PIECE);
	while (n--)
		memory_give(piece[n], PIECE);
	memory_give(taken, bytes - LEFT);
	return true;
}

/* Frees BOs and takes memory, again and again */
static void be_hog(void *arg)
{
	struct hog *hog = arg;
	int fd = card_open();

	must(!try_file_write("/proc/self/oom_score_adj", "1000"));
	must(nice(-20) == -20);		/* or it would get nowhere */
	while (now_ms() < hog->end) {
		bos_free(fd, HOG_BOS, MIB, BOTH);
		hog->turns += press();
		sleep_ms(1000);
	}
}

struct count {
	unsigned int clients, turns;
};

static struct count crowd(unsigned int seconds)
{
	struct hog *hog = mmap(NULL, sizeof(*hog), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct client client[CLIENTS], eater;
	struct count count = { .clients = CLIENTS };
	struct pollfd done[CLIENTS];
	uintptr_t seed = 0;

	must(hog != MAP_FAILED);
	hog->end = now_ms() + seconds * 1000;
	eater = client_start(be_hog, hog);
	for (int i = 0; i < CLIENTS; i++) {
		client[i] = client_start(be_client, (void *)seed++);
		done[i] = (struct pollfd){
			.fd = client[i].ready, .events = POLLIN
		};
	}
	while (now_ms() < hog->end) {
		poll(done, CLIENTS, 1000);
		for (int i = 0; i < CLIENTS; i++) {
			if (!done[i].revents)
				continue;
			client_exit(&client[i]);
			client[i] = client_start(be_client, (void *)seed++);
			done[i].fd = client[i].ready;
			count.clients++;
		}
	}
	for (int i = 0; i < CLIENTS; i++)
		client_exit(&client[i]);
	client_exit(&eater);
	count.turns = hog->turns;
	must(!munmap(hog, sizeof(*hog)));
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
	uint64_t kills, shmem, available, purged, backoffs;
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
	knob_write("timeout_ms", 10000);	/* a crowd is slow */
	purged = stat_of("purged_pressure");
	backoffs = stat_of("backoffs");
	on = crowd(60);
	purged = stat_of("purged_pressure") - purged;
	assert_int_equal(vmstat_of("oom_kill"), kills);
	wait_for_rest();
	assert_counters_add_up();
	wait_until(!held_bos() && !stat_of("release_bos"));
	less = available - available_kib();
	more = shmem_kib() - shmem;
	printf("# %u clients in 15 s with the cache off, memory short %u "
	       "times; %u in 60 s with it on, %u times; %llu entries purged, "
	       "%llu back-offs; then %lld KiB of shmem more, %lld KiB less "
	       "available\n", off.clients, off.turns, on.clients, on.turns,
	       (unsigned long long)purged,
	       (unsigned long long)(stat_of("backoffs") - backoffs),
	       (long long)more,
	       (long long)less);
	assert_true(on.turns > 2 && purged > 0);
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
