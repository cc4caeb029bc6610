// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What scripts/bench measures in a guest: each case prints lines of JSON.
 *
 * Where the guest's clock counts instructions (scripts/guest --icount) and there
 * is one processor, "all_ns" is what a case cost the guest altogether: in ioctls,
 * workers and interrupts. Another process takes the time that nothing needs, so
 * that it can be subtracted.
 */
#include "virtgpu.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xf86drm.h>

#define ROUNDS 3
/* It differs by a hundredth from round to round, and that is a limit */
#define CYCLE_ROUNDS 9
#define FILE_BYTES_MAX (32 * MIB)	/* of BOs alive in one burst */
#define MAX_BURST 32
#define MAX_BOS 100000

/* How BOs are come by */
enum way { STOCK, OFF, RESOURCE_TIER, PAGES_TIER, MISS, WAYS };

static const char *const way_name[] = {
	"stock", "off", "resource", "pages", "miss"
};

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* The process that runs when nobody else wants to */

static pid_t idler;

static void idler_start(void)
{
	const struct sched_param none = { 0 };

	fflush(NULL);
	idler = fork();
	must(idler >= 0);
	if (!idler) {
		must(!sched_setscheduler(0, SCHED_IDLE, &none));
		for (;;)
			;
	}
}

static void idler_stop(void)
{
	must(!kill(idler, SIGKILL));
	must(waitpid(idler, NULL, 0) == idler);
	idler = 0;
}

static uint64_t busy_ns(void)
{
	clockid_t clock;

	must(!clock_getcpuclockid(idler, &clock));
	return now_ns() - clock_ns(clock);
}

/* BOs without anything that is not asked for */

static uint32_t create(int fd, const shape_t *shape)
{
	shape_t arg = *shape;

	must(!drmIoctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &arg));
	return arg.bo_handle;
}

static void destroy(int fd, uint32_t handle)
{
	struct drm_gem_close arg = { .handle = handle };

	must(!drmIoctl(fd, DRM_IOCTL_GEM_CLOSE, &arg));
}

/*
 * A client that closes each BO before it makes the next has another one: else the kernel
 * would make and destroy the table of its handles each time.
 */
static struct bo other_bo(int fd)
{
	return bo_create(fd, buffer(12 * KIB));
}

/*
 * The pages tier is for what can't be in the other: a buffer whose content the host
 * copies.
 */
static shape_t shape_for(enum way way, uint32_t bytes)
{
	shape_t shape = buffer(bytes);

	if (way == PAGES_TIER)
		shape.bind = BIND_CUSTOM;
	return shape;
}

static unsigned int burst_of(uint64_t bytes)
{
	uint64_t n = FILE_BYTES_MAX / bytes;

	return n > MAX_BURST ? MAX_BURST : n;
}

/*
 * All that was sent to the host has come back and is dealt with.  The BO for it is of
 * a size that nobody else wants.
 */
static void settle(int fd)
{
	struct bo bo = bo_create(fd, buffer(12 * KIB));

	bo_from_host(&bo);
	bo_wait(&bo);
	bo_close(&bo);
	sleep_ms(30);
	if (has_cache())
		wait_until(!stat_of("release_bos"));
}

static void empty_cache(int fd)
{
	if (!has_cache())
		return;
	knob_write("purge", 1);
	settle(fd);
	knob_write("purge", 1);
	wait_until(!stat_of("release_bos") && !held_bos());
}

struct burst {
	uint64_t create_ns, close_ns, all_ns;
	uint64_t hits;
};

static void burst_create(int fd, const shape_t *shape, unsigned int n,
			 uint32_t *handles)
{
	for (unsigned int i = 0; i < n; i++)
		handles[i] = create(fd, shape);
}

static void burst_close(int fd, unsigned int n, const uint32_t *handles)
{
	for (unsigned int i = 0; i < n; i++)
		destroy(fd, handles[i]);
}

/* What the creates of a burst are to find */
static void prepare(int fd, enum way way, const shape_t *shape, unsigned int n,
		    uint32_t *handles)
{
	if (has_cache()) {
		knob_write("enabled", way != OFF);
		knob_write("timeout_ms", 60000);
		knob_write("max_bytes", 1024 * MIB);
	}
	empty_cache(fd);
	if (way == RESOURCE_TIER || way == PAGES_TIER) {
		burst_create(fd, shape, n, handles);
		burst_close(fd, n, handles);
		settle(fd);
		/* Longer than pages wait to be zeroed */
		sleep_ms(50);
	}
}

static uint64_t hits_of(enum way way)
{
	return way == RESOURCE_TIER ? stat_of("hits_resource") :
	       way == PAGES_TIER ? stat_of("hits_pages") :
	       way == MISS ? stat_of("misses") : 0;
}

static struct burst burst(int fd, enum way way, const shape_t *shape,
			  unsigned int n, uint32_t *handles)
{
	struct burst b = { .hits = hits_of(way) };
	uint64_t all, start;

	all = busy_ns();
	start = now_ns();
	burst_create(fd, shape, n, handles);
	b.create_ns = now_ns() - start;
	/* The host has made them: those who wait for it are not in the next */
	sleep_ms(30);
	start = now_ns();
	burst_close(fd, n, handles);
	b.close_ns = now_ns() - start;
	sleep_ms(50);
	b.all_ns = busy_ns() - all;
	b.hits = hits_of(way) - b.hits;
	if (way >= RESOURCE_TIER)
		must(b.hits >= n);
	return b;
}

/* Which ways there are: on the stock driver its own only */
static bool way_exists(enum way way)
{
	return has_cache() == (way != STOCK);
}

static const uint32_t sizes[] = {
	4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 1 * MIB, 4 * MIB, 16 * MIB
};

static void cycle_size(int fd, uint32_t bytes, int round)
{
	unsigned int n = burst_of(bytes);
	uint32_t handles[MAX_BURST];

	for (enum way way = 0; way < WAYS; way++) {
		shape_t shape = shape_for(way, bytes);
		struct burst b;

		if (!way_exists(way))
			continue;
		prepare(fd, way, &shape, n, handles);
		b = burst(fd, way, &shape, n, handles);
		printf("{\"case\": \"cycle\", \"way\": \"%s\", \"bytes\": %u, "
		       "\"round\": %d, \"create_ns\": %.1f, \"close_ns\": %.1f, "
		       "\"all_ns\": %.1f}\n", way_name[way], bytes, round,
		       (double)b.create_ns / n, (double)b.close_ns / n,
		       (double)b.all_ns / n);
	}
}

static void cycle(void **state)
{
	int fd = render_open();

	(void)state;
	idler_start();
	for (int round = 0; round < CYCLE_ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
			cycle_size(fd, sizes[i], round);
	idler_stop();
	close(fd);
}

static void null_ioctl(int fd)
{
	int value = 0;
	struct drm_virtgpu_getparam get = {
		.param = VIRTGPU_PARAM_3D_FEATURES, .value = (uintptr_t)&value
	};

	must(!drmIoctl(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &get));
}

static double null_ioctl_ns(int fd)
{
	uint64_t start = now_ns();
	const int n = 20000;

	for (int i = 0; i < n; i++)
		null_ioctl(fd);
	return (double)(now_ns() - start) / n;
}

/*
 * What a handle costs, with nothing made for it: a BO of somebody else's is opened
 * and closed.  On the 2D device that sends no command.
 */
static void handle(void **state)
{
	int fd = card_open(), n = 5000;
	int owner = card_open();
	struct bo bo = bo_dumb(owner, 64, 64);
	struct bo other = bo_dumb(fd, 64, 64);
	struct drm_gem_open open = { .name = bo_flink(&bo) };
	double null_ns;
	uint64_t start;

	(void)state;
	must(!has_virgl());
	for (int round = 0; round < ROUNDS; round++) {
		null_ns = null_ioctl_ns(fd);
		start = now_ns();
		for (int i = 0; i < n; i++) {
			must(!drmIoctl(fd, DRM_IOCTL_GEM_OPEN, &open));
			destroy(fd, open.handle);
		}
		printf("{\"case\": \"handle\", \"round\": %d, \"null_ns\": "
		       "%.1f, \"cycle_ns\": %.1f}\n", round, null_ns,
		       (double)(now_ns() - start) / n);
	}
	bo_close(&other);
	bo_close(&bo);
	close(owner);
	close(fd);
}

/* An ioctl that does nothing, and create and close again and again */
static void loop(void **state)
{
	int fd = render_open(), n = 5000;
	struct bo other = other_bo(fd);
	uint64_t start, cycle_ns;
	double null_ns;

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	for (int round = 0; round < ROUNDS; round++) {
		null_ns = null_ioctl_ns(fd);
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			shape_t shape = buffer(sizes[i]);

			bo_cycle(fd, shape);
			settle(fd);
			start = now_ns();
			for (int k = 0; k < n; k++)
				bo_cycle(fd, shape);
			cycle_ns = now_ns() - start;
			printf("{\"case\": \"loop\", \"bytes\": %u, \"round\": "
			       "%d, \"null_ns\": %.1f, \"cycle_ns\": %.1f}\n",
			       sizes[i], round, null_ns, (double)cycle_ns / n);
			knob_write("purge", 1);
			settle(fd);
		}
	}
	bo_close(&other);
	close(fd);
}

/* The first write to each page of a new BO */
static void touch_one(int fd, enum way way, uint32_t bytes, int round)
{
	shape_t shape = shape_for(way, bytes);
	uint32_t handle;
	uint64_t start;
	struct bo bo;
	double ns;

	prepare(fd, way, &shape, 1, &handle);
	bo = bo_create(fd, shape);
	start = now_ns();
	bo_map(&bo);
	for (uint64_t at = 0; at < bytes; at += 4096)
		bo.map[at / 4] = 1;
	ns = now_ns() - start;
	bo_close(&bo);
	printf("{\"case\": \"touch\", \"way\": \"%s\", \"bytes\": %u, \"round\": "
	       "%d, \"touch_ns\": %.1f}\n", way_name[way], bytes, round, ns);
}

static void touch(void **state)
{
	int fd = render_open();

	(void)state;
	for (int round = 0; round < ROUNDS; round++)
		for (enum way way = 0; way < WAYS; way++)
			if (way_exists(way))
				touch_one(fd, way, 1 * MIB, round);
	close(fd);
}

/* With more and more others in the cache */
static void held(void **state)
{
	static const unsigned int held[] = { 10, 100, 1000, 10000, MAX_BOS };
	uint32_t *handles = calloc(MAX_BOS, sizeof(*handles));
	shape_t small = buffer(4096), shape = buffer(64 * KIB);
	int fd = render_open(), n = 5000;
	uint64_t start;

	(void)state;
	need_cache();
	must(handles);
	knob_write("timeout_ms", 60000);
	knob_write("max_bytes", 1024 * MIB);
	for (size_t i = 0; i < ARRAY_SIZE(held); i++) {
		empty_cache(fd);
		burst_create(fd, &small, held[i], handles);
		burst_close(fd, held[i], handles);
		settle(fd);
		bo_cycle(fd, shape);
		for (int round = 0; round < ROUNDS; round++) {
			start = now_ns();
			for (int k = 0; k < n; k++)
				bo_cycle(fd, shape);
			printf("{\"case\": \"held\", \"entries\": %u, \"round\": "
			       "%d, \"cycle_ns\": %.1f}\n", held[i], round,
			       (double)(now_ns() - start) / n);
		}
		must(stat_of("held_resource_bos") >= held[i]);
	}
	knob_write("purge", 1);
	wait_until(!stat_of("release_bos"));
	free(handles);
	close(fd);
}

/* To the page: each processor keeps some of the count to itself */
static uint64_t shmem_pages(void)
{
	must(!try_file_write("/proc/sys/vm/stat_refresh", "1"));
	return vmstat_of("nr_shmem");
}

/*
 * What a cycle is made of, counted by trace events; no clock.  What must not take a page
 * is closed before the next is made, and its close counts as well: for many handles the
 * GEM core needs a page of slab now and then.
 */
static void count_one(int fd, enum way way, uint32_t bytes, int round)
{
	shape_t shape = shape_for(way, bytes);
	unsigned int n = burst_of(bytes);
	bool alone = way == RESOURCE_TIER;
	int64_t shmem, zeroed, allocated, counting;
	uint32_t handles[MAX_BURST];
	uint64_t hits;
	struct commands c;

	prepare(fd, way, &shape, n, handles);
	shmem = shmem_pages();
	commands_start();
	/* What it takes to read the count is counted too, the first time more */
	for (int i = 0; i < 2; i++) {
		pages_start();
		counting = pages_stop().all;
	}
	hits = hits_of(way);
	pages_start();
	for (unsigned int i = 0; i < n; i++) {
		handles[i] = create(fd, &shape);
		if (alone)
			destroy(fd, handles[i]);
	}
	allocated = pages_stop().all - counting;
	/* The kernel zeroes each page of shared memory, and nobody else's */
	zeroed = shmem_pages() - shmem;
	if (!alone)
		burst_close(fd, n, handles);
	c = commands_stop();
	if (way >= RESOURCE_TIER)
		must(hits_of(way) - hits >= n);
	printf("{\"case\": \"count\", \"way\": \"%s\", \"bytes\": %u, "
	       "\"round\": %d, \"commands\": %.3f, \"pages\": %.3f, "
	       "\"zeroed_bytes\": %.1f}\n", way_name[way], bytes, round,
	       (double)c.all / n, (double)allocated / n, 4096.0 * zeroed / n);
}

static void count(void **state)
{
	int fd = render_open();
	struct bo other = other_bo(fd);

	(void)state;
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
			for (enum way way = 0; way < WAYS; way++)
				if (way_exists(way))
					count_one(fd, way, sizes[i], round);
	bo_close(&other);
	close(fd);
}

/*
 * In time, not in instructions: what a hit saves is the host's work too.  Off and on
 * take turns, each when the ring is full of the commands before.
 */
static double cycle_us(int fd, const shape_t *shape, int n, int warm_up)
{
	uint64_t start;

	for (int i = 0; i < warm_up; i++)
		bo_cycle(fd, *shape);
	start = now_ns();
	for (int i = 0; i < n; i++)
		bo_cycle(fd, *shape);
	return (now_ns() - start) / 1e3 / n;
}

static void timed(void **state)
{
	int fd = render_open();

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	for (int round = 0; round < 9; round++)
		for (uint32_t bytes = 64 * KIB; bytes <= MIB; bytes *= 16) {
			shape_t shape = buffer(bytes);
			double off, on;

			knob_write("enabled", 0);
			off = cycle_us(fd, &shape, 32 * MIB / bytes, 300);
			knob_write("enabled", 1);
			settle(fd);
			on = cycle_us(fd, &shape, 10000, 4);
			printf("{\"case\": \"timed\", \"bytes\": %u, \"round\": "
			       "%d, \"off_us\": %.2f, \"hit_us\": %.2f}\n",
			       bytes, round, off, on);
		}
	close(fd);
}

/*
 * Two clients at once, each on a processor of its own, and as a yardstick two that do
 * nothing with BOs: a machine with other work has no two whole processors to give.
 */
#define NO_BOS 0

struct pair {
	unsigned int ready;
	unsigned int go;
	uint64_t end_ns[2];
};

static void runner(struct pair *p, int cpu, uint32_t bytes, int n)
{
	shape_t shape = buffer(bytes);
	cpu_set_t set;
	int fd;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(!sched_setaffinity(0, sizeof(set), &set));
	fd = render_open();
	if (bytes != NO_BOS)
		bo_cycle(fd, shape);
	__atomic_add_fetch(&p->ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&p->go, __ATOMIC_SEQ_CST))
		;
	for (int i = 0; i < n; i++) {
		if (bytes == NO_BOS)
			null_ioctl(fd);
		else
			bo_cycle(fd, shape);
	}
	p->end_ns[cpu] = now_ns();
	_exit(0);
}

/* How long each of N cycles takes CLIENTS at once, in nanoseconds */
static double run_clients(int clients, uint32_t bytes, uint32_t bytes2, int n)
{
	struct pair *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t start, end = 0;
	int status;

	must(p != MAP_FAILED);
	fflush(NULL);
	for (int i = 0; i < clients; i++)
		if (!fork())
			runner(p, i, i ? bytes2 : bytes, n);
	while (__atomic_load_n(&p->ready, __ATOMIC_SEQ_CST) < (unsigned)clients)
		sleep_ms(1);
	sleep_ms(50);
	start = now_ns();
	__atomic_store_n(&p->go, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < clients; i++) {
		must(wait(&status) > 0);
		must(!status);
		if (p->end_ns[i] > end)
			end = p->end_ns[i];
	}
	munmap(p, sizeof(*p));
	return (double)(end - start) / n;
}

static void two(void **state)
{
	/* Of about the same length, a few tenths of a second */
	const int n = 10000, null_n = 50000;

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	for (int round = 0; round < 9; round++) {
		double null_one = run_clients(1, NO_BOS, 0, null_n);
		double one = run_clients(1, 64 * KIB, 0, n);
		double same = run_clients(2, 64 * KIB, 64 * KIB, n);
		double other = run_clients(2, 64 * KIB, 256 * KIB, n);
		double null_two = run_clients(2, NO_BOS, NO_BOS, null_n);

		printf("{\"case\": \"two\", \"round\": %d, \"one_ns\": %.1f, "
		       "\"same_ns\": %.1f, \"other_ns\": %.1f, "
		       "\"null_one_ns\": %.1f, \"null_two_ns\": %.1f}\n",
		       round, one, same, other, null_one, null_two);
	}
}

/* A client while thousands of entries of another expire */

static int by_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void latencies(int fd, int n, const char *when, int round)
{
	double *us = calloc(n, sizeof(*us));
	uint64_t start;

	must(us);
	for (int i = 0; i < n; i++) {
		shape_t shape = buffer((1 + i % 16) * 4096);

		start = now_ns();
		bo_cycle(fd, shape);
		us[i] = (now_ns() - start) / 1e3;
	}
	qsort(us, n, sizeof(*us), by_double);
	printf("{\"case\": \"beside\", \"when\": \"%s\", \"round\": %d, "
	       "\"median_us\": %.1f, \"p99_us\": %.1f, \"longest_us\": %.1f}\n",
	       when, round, us[n / 2], us[n * 99 / 100], us[n - 1]);
	free(us);
}

static void beside(void **state)
{
	enum { BOS = 4096, CYCLES = 4000 };
	uint32_t *handles = calloc(BOS, sizeof(*handles));
	shape_t small = buffer(4096);
	int fd = render_open(), other = render_open();

	(void)state;
	need_cache();
	must(handles);
	knob_write("max_bytes", 256 * MIB);
	for (int round = 0; round < ROUNDS; round++) {
		knob_write("timeout_ms", 60000);
		latencies(fd, CYCLES, "warm-up", round);
		latencies(fd, CYCLES, "quiet", round);
		burst_create(other, &small, BOS, handles);
		burst_close(other, BOS, handles);
		settle(fd);
		/* All that is held is older than that */
		knob_write("timeout_ms", 20);
		wait_until(stat_of("held_resource_bos") < BOS);
		knob_write("timeout_ms", 60000);
		latencies(fd, CYCLES, "expiry", round);
		settle(fd);
	}
	free(handles);
	close(other);
	close(fd);
}

/* Real programs, one after another */
static void churn(void **state)
{
	const int runs = 10;

	(void)state;
	need_cache();
	for (int round = 0; round < 3; round++)
		for (int on = 0; on < 2; on++) {
			uint64_t start, pages;
			struct commands c;

			knob_write("enabled", on);
			knob_write("timeout_ms", 60000);
			wait_for_rest();
			commands_start();
			pages = vmstat_of("pgfree");
			start = now_us();
			for (int i = 0; i < runs; i++)
				must(!system("kmscube -c 2 > /dev/null 2>&1"));
			start = now_us() - start;
			pages = vmstat_of("pgfree") - pages;
			c = commands_stop();
			printf("{\"case\": \"churn\", \"way\": \"%s\", \"round\": "
			       "%d, \"run_us\": %.0f, \"commands\": %.1f, "
			       "\"creates\": %.1f, \"freed_pages\": %.0f}\n",
			       on ? "on" : "off", round, (double)start / runs,
			       (double)c.all / runs, (double)c.creates / runs,
			       (double)pages / runs);
		}
}

/* An empty cache does nothing */
static void idle(void **state)
{
	const unsigned int seconds = 60;
	unsigned int works;

	(void)state;
	need_cache();
	wait_for_rest();
	works_start();
	sleep_ms(seconds * 1000);
	works = works_stop();
	printf("{\"case\": \"idle\", \"seconds\": %u, \"works\": %u}\n",
	       seconds, works);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		test(cycle), test(handle), test(loop), test(touch), test(held), test(count), test(timed),
		test(two), test(beside), test(churn), test(idle),
	};
	int failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		cmocka_set_test_filter(argv[i]);
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return failed;
}
