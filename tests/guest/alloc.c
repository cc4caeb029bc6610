// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cache never makes an allocation fail: what it holds is given up before
 * a create is refused. Shown in a memory cgroup, where "full" is exact: BO
 * pages are charged to who creates them and stay charged while cached.
 */
#include "virtgpu.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUP "bo-cache-alloc"
#define LIMIT (96 * MIB)
#define SMALL (2 * MIB)
#define LARGE (3 * MIB)			/* another bucket, beyond 1/8 */

/*
 * Creates BOs until one fails. As large ones are asked for, each is as
 * likely to be refused by stock: the count is what is compared.
 */
static int fill_group(int fd, uint32_t bytes, struct bo *bo, int max)
{
	shape_t shape = buffer(bytes);
	int n = 0;

	while (n < max && !try_bo_create(fd, &shape, &bo[n]))
		n++;
	return n;
}

/* In a process of its own, so that its charge ends with it; -> BOs */
static int large_after_small(void)
{
	struct bo bo[LIMIT / SMALL];
	int status, pid = fork();

	must(pid >= 0);
	if (!pid) {
		int fd, n;

		group_enter(GROUP);
		fd = render_open();
		n = fill_group(fd, SMALL, bo, LIMIT / SMALL * 3 / 4);
		while (n--) {
			bo_wait(&bo[n]);
			bo_close(&bo[n]);
		}
		_exit(fill_group(fd, LARGE, bo, ARRAY_SIZE(bo)));
	}
	must(waitpid(pid, &status, 0) == pid);
	must(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* To the kernel's reclaim, or to a create that failed nevertheless */
static uint64_t given_up(void)
{
	return stat_of("purged_pressure") + stat_of("purged_alloc");
}

/*
 * Catches: a failed allocation returned to the client while the cache holds
 * what it needs. The control is that with the cache off the group does fill
 * up, and that with it on the cache had to be emptied for it.
 */
static void a_full_group_gets_what_is_cached(void **state)
{
	uint64_t purged;
	int off, on;

	(void)state;
	need_virgl();
	need_cache();
	knob_write("max_bytes", 128 * MIB);
	knob_write("timeout_ms", 60000);
	group_make(GROUP, LIMIT);
	knob_write("enabled", 0);
	off = large_after_small();
	wait_for_rest();
	knob_write("enabled", 1);
	purged = given_up();
	on = large_after_small();
	purged = given_up() - purged;
	printf("# %llu MiB group: %d BOs with the cache off, %d on; "
	       "%llu entries given up for it\n", LIMIT / MIB, off, on,
	       (unsigned long long)purged);
	assert_true(off > 0 && off <= (int)(LIMIT / LARGE));
	assert_true(purged > 0);
	assert_true(on >= off);
	assert_counters_add_up();
	group_remove(GROUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_full_group_gets_what_is_cached),
	};

	return run(tests);
}
