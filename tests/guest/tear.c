// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MADVISE torn at from all sides: threads of one client use, map, export and
 * close what others say is not needed, while the cache drops it.
 */
#include "virtgpu.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xf86drm.h>

#include <drm/virtgpu_drm.h>

#define BOS 16
#define BYTES (16 * KIB)

/* A BO that the threads share; whoever has the lock may say what it contains */
static struct shared {
	pthread_mutex_t lock;
	_Atomic uint32_t handle;		/* changes when it is closed */
	uint32_t *map;
	uint32_t word;				/* what it is full of */
} shared[BOS];

static int fd;
static atomic_bool over;
static atomic_uint kept, lost, used, refused, faulted;

static int advise(uint32_t handle, uint32_t madv)
{
	struct drm_virtgpu_madvise arg = { .bo_handle = handle, .madv = madv };

	return drmIoctl(fd, DRM_IOCTL_VIRTGPU_MADVISE, &arg) ? -errno :
	       (int)arg.retained;
}

/* A page that is gone raises SIGBUS, and only where it was expected */
static _Thread_local sigjmp_buf *volatile expected;

static void on_fault(int signal)
{
	(void)signal;
	if (!expected)
		_exit(98);
	siglongjmp(*expected, 1);
}

static bool try_touch(const volatile uint32_t *word)
{
	sigjmp_buf here;

	if (sigsetjmp(here, 1)) {
		expected = NULL;
		return false;
	}
	expected = &here;
	(void)*word;
	expected = NULL;
	return true;
}

static void make(struct shared *s)
{
	bool blob = has_blob() && (s - shared) % 2;
	struct bo bo = blob ? bo_blob(fd, BYTES) : bo_plain(fd, BYTES);

	s->map = bo_map(&bo);
	s->handle = bo.handle;
	s->word = 0;
}

static void fill(struct shared *s, uint32_t word)
{
	for (size_t i = 0; i < BYTES / 4; i++)
		s->map[i] = word;
	s->word = word;
}

static void must_contain(struct shared *s)
{
	for (size_t i = 0; i < BYTES / 4; i++)
		must(s->map[i] == s->word);
}

/* Says it is not needed, waits, and wants it back in one way or the other */
static void adviser(struct shared *s, unsigned int *seed)
{
	bool replace = rand_r(seed) % 2;
	int retained;

	pthread_mutex_lock(&s->lock);
	must_contain(s);
	fill(s, rand_r(seed));
	retained = advise(s->handle, VIRTGPU_MADV_DONTNEED);
	if (retained == -EINVAL) {		/* it has been exported */
		pthread_mutex_unlock(&s->lock);
		return;
	}
	/* 0: it is on its way out already */
	must(retained == 0 || retained == 1);
	usleep(rand_r(seed) % 20000);
	retained = advise(s->handle, replace ? VIRTGPU_MADV_WILLNEED_REPLACE :
			  VIRTGPU_MADV_WILLNEED);
	if (retained == 0 && !replace) {
		/* Pages are there until the host has answered */
		try_touch(s->map);
		must(advise(s->handle, VIRTGPU_MADV_WILLNEED_REPLACE) == 0);
	}
	must(retained == 0 || retained == 1);
	if (retained)
		kept++;
	else
		lost++;
	if (!retained)
		s->word = 0;
	must_contain(s);
	pthread_mutex_unlock(&s->lock);
}

/* What a user of a BO that may go at any time may be told */
static void used_or_refused(int ret)
{
	must(!ret || errno == EINVAL || errno == ENOENT);
	if (ret)
		refused++;
	else
		used++;
}

static void executor(struct shared *s, unsigned int *seed)
{
	const uint32_t nop = 0;
	uint32_t handle = s->handle;
	struct drm_virtgpu_execbuffer arg = {
		.command = (uintptr_t)&nop, .size = sizeof(nop),
		.bo_handles = (uintptr_t)&handle, .num_bo_handles = 1,
		.fence_fd = -1,
	};

	(void)seed;
	if (has_virgl())
		used_or_refused(drmIoctl(fd, DRM_IOCTL_VIRTGPU_EXECBUFFER,
					 &arg));
}

static void sender(struct shared *s, unsigned int *seed)
{
	struct drm_virtgpu_3d_transfer_to_host arg = {
		.bo_handle = s->handle,
		.box = { .w = 1 + rand_r(seed) % 64, .h = 1, .d = 1 },
	};

	used_or_refused(drmIoctl(fd, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST,
				 &arg));
}

static void mapper(struct shared *s, unsigned int *seed)
{
	struct drm_virtgpu_map arg = { .handle = s->handle };
	uint32_t *map;

	if (drmIoctl(fd, DRM_IOCTL_VIRTGPU_MAP, &arg))
		return;
	map = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, arg.offset);
	if (map == MAP_FAILED) {
		must(errno == EINVAL || errno == EACCES);
		refused++;
		return;
	}
	if (!try_touch(map + rand_r(seed) % (BYTES / 4)))
		faulted++;
	must(!munmap(map, BYTES));
}

static void closer(struct shared *s, unsigned int *seed)
{
	struct drm_gem_close arg = { 0 };

	if (rand_r(seed) % 8)
		return;
	pthread_mutex_lock(&s->lock);
	if (rand_r(seed) % 2)
		advise(s->handle, VIRTGPU_MADV_DONTNEED);
	arg.handle = s->handle;
	must(!munmap(s->map, BYTES));
	must(!drmIoctl(fd, DRM_IOCTL_GEM_CLOSE, &arg));
	make(s);
	pthread_mutex_unlock(&s->lock);
}

static void exporter(struct shared *s, unsigned int *seed)
{
	int dmabuf;

	if (rand_r(seed) % 16)
		return;
	if (!drmPrimeHandleToFD(fd, s->handle, DRM_CLOEXEC, &dmabuf))
		close(dmabuf);
}

static void turner(struct shared *s, unsigned int *seed)
{
	(void)s;
	switch (rand_r(seed) % 4) {
	case 0:
		drop_caches("2");
		break;
	case 1:
		knob_write("purge", 1);
		break;
	default:
		knob_write("timeout_ms", 1 + rand_r(seed) % 30);
	}
	usleep(5000);
}

static void (*const roles[])(struct shared *, unsigned int *) = {
	adviser, adviser, executor, sender, mapper, closer, exporter, turner,
};

static void *play(void *arg)
{
	size_t role = (uintptr_t)arg;
	unsigned int seed = role + 1;

	while (!over)
		roles[role](&shared[rand_r(&seed) % BOS], &seed);
	return NULL;
}

/*
 * Catches: pages freed under a user or a mapping, a resource named that is gone,
 * content that is not what WILLNEED said
 */
static void nothing_is_torn(void **state)
{
	const char *seconds = getenv("TEAR_SECONDS");
	struct sigaction act = { .sa_handler = on_fault };
	pthread_t thread[ARRAY_SIZE(roles)];

	(void)state;
	need_cache();
	alarm(0);
	must(!sigaction(SIGBUS, &act, NULL));
	fd = card_open();
	for (int i = 0; i < BOS; i++) {
		pthread_mutex_init(&shared[i].lock, NULL);
		make(&shared[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		must(!pthread_create(&thread[i], NULL, play, (void *)i));
	sleep(seconds ? atoi(seconds) : 30);
	over = true;
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		must(!pthread_join(thread[i], NULL));
	printf("# kept %u times, lost %u times; used %u times, refused %u "
	       "times; %u mappings without pages\n", kept, lost, used, refused,
	       faulted);
	assert_true(kept && lost && used && refused);
	for (int i = 0; i < BOS; i++)
		must(!munmap(shared[i].map, BYTES));
	close(fd);
	wait_until(!held_bos() && !stat_of("release_bos"));
	assert_counters_add_up();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(nothing_is_torn),
	};

	return run(tests);
}
