// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Creates of which one allocation fails, where the kernel can inject that.
 */
#include "virtgpu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xf86drm.h>

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
 * to be gained, and it is not tried again.
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
		test(a_create_that_fails_is_tried_again),
	};

	return run(tests);
}
