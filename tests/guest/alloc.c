// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cache never makes an allocation fail: what it holds is given up before
 * a create is refused. Shown in a memory cgroup, where "full" is exact: BO
 * pages are charged to who creates them and stay charged while cached.
 */
#include "virtgpu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xf86drm.h>

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

/* Has the NTH allocation of a create fail; whether there are so many */
static bool create_with_fault(int fd, unsigned int nth, int *error)
{
	struct drm_virtgpu_resource_create arg = buffer(16 * KIB);
	int fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	char text[16];
	bool injected;

	must(fail_nth >= 0);
	snprintf(text, sizeof(text), "%u", nth);
	must(write(fail_nth, text, strlen(text)) > 0);
	*error = drmIoctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &arg) ?
		 errno : 0;
	memset(text, 0, sizeof(text));
	must(pread(fail_nth, text, sizeof(text) - 1, 0) > 0);
	injected = !atoi(text);
	must(write(fail_nth, "0", 1) == 1);
	close(fail_nth);
	if (!*error)
		bo_close(&(struct bo){ .fd = fd, .handle = arg.bo_handle });
	return injected;
}

/* How many creates fail of those of which one allocation does */
static unsigned int creates_that_fail(int fd, bool cached)
{
	unsigned int nth = 0, failed = 0;
	bool injected;
	int error;

	do {
		/* The last one may be with the host, and would come back */
		wait_for_rest();
		knob_write("purge", 1);
		wait_for_rest();
		if (cached)
			bos_free(fd, 2, 64 * KIB, RESOURCE);
		injected = create_with_fault(fd, ++nth, &error);
		/* A file of shmem for which there is no memory has no space */
		must(!error || (injected &&
				(error == ENOMEM || error == ENOSPC)));
		failed += !!error;
	} while (injected);
	printf("# %u of %u creates fail with %s cached\n", failed, nth,
	       cached ? "something" : "nothing");
	return failed;
}

/*
 * Catches: an allocation that fails once and is not tried again when the cache
 * has made room.  The control is that without anything cached there is nothing
 * to be gained, and it is not tried again.  What is left is not the cache's:
 * the handle, for one.
 */
static void a_create_that_fails_is_tried_again(void **state)
{
	unsigned int without, with;
	int fd;

	(void)state;
	need_cache();
	if (!has_faults())
		skip();
	knob_write("timeout_ms", 60000);
	fd = render_open();
	switch_faults(true);
	without = creates_that_fail(fd, false);
	with = creates_that_fail(fd, true);
	switch_faults(false);
	close(fd);
	assert_true(without > 8);		/* each page, and more */
	assert_true(with < without / 2);
	assert_counters_add_up();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_full_group_gets_what_is_cached),
		test(a_create_that_fails_is_tried_again),
	};

	return run(tests);
}
