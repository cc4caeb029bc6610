// SPDX-License-Identifier: MIT
/*
 * The BO cache of virtio-gpu: what a client gets can't be told from a new BO,
 * nobody gets what is another's, and nothing is kept for longer than told.
 *
 * What is claimed of any BO is tested on drivers without a cache too.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include "igt_virtgpu.h"

IGT_TEST_DESCRIPTION("Recycling of virtio-gpu BOs inside the kernel.");

#define BOS 8
#define SECRET 0xc3a55a3c

static virtgpu_shape some_texture(void)
{
	return virtgpu_texture(64, 64,
			       BIND_RENDER_TARGET | BIND_SAMPLER_VIEW);
}

/* Frees them; every second one reaches the pages tier, on any device */
static void free_bos(int fd, uint32_t bytes)
{
	struct virtgpu_bo bo[BOS];

	for (int i = 0; i < BOS; i++) {
		bo[i] = virtgpu_create_plain(fd, bytes);
		if (i & 1)
			virtgpu_share(&bo[i]);
		virtgpu_wait(&bo[i]);
	}
	for (int i = 0; i < BOS; i++)
		virtgpu_close(&bo[i]);
}

static void fill_cache(int fd, uint32_t bytes)
{
	free_bos(fd, bytes);
	virtgpu_wait_until(virtgpu_held_bos() == BOS);
}

/* Frees one of shape A: whether the next one, B, is it */
static bool recycles(int fd, virtgpu_shape a, virtgpu_shape b)
{
	struct virtgpu_bo bo = virtgpu_create(fd, a);
	uint32_t res = bo.res;
	bool same;

	virtgpu_wait(&bo);
	virtgpu_close(&bo);
	if (virtgpu_has_cache())
		virtgpu_wait_until(virtgpu_held_bos());
	bo = virtgpu_create(fd, b);
	same = bo.res == res;
	virtgpu_close(&bo);
	if (virtgpu_has_cache())
		virtgpu_set_knob("purge", 1);
	return same;
}

/* Creating */

/* Has the device keep pages that would do, if they were not too many */
static void leave_larger(int fd)
{
	int other = virtgpu_reopen(fd);
	struct virtgpu_bo bo = virtgpu_create_plain(other, 4 * PAGE);

	virtgpu_wait(&bo);
	virtgpu_close(&bo);
	drm_close_driver(other);
	if (virtgpu_has_cache())
		virtgpu_wait_until(virtgpu_stat("held_pages_bos"));
}

static void create_bo_4096(int fd)
{
	struct virtgpu_bo bo;

	virtgpu_begin(fd, NOTHING);
	leave_larger(fd);
	bo = virtgpu_create_plain(fd, PAGE);
	igt_assert_eq_u64(bo.size, PAGE);
	virtgpu_close(&bo);
	bo = virtgpu_create(fd, virtgpu_texture(32, 32, BIND_SAMPLER_VIEW));
	igt_assert_eq_u64(bo.size, PAGE);
	virtgpu_assert_full_of(&bo, 0);
	virtgpu_fill(&bo, SECRET);
	virtgpu_assert_full_of(&bo, SECRET);
	virtgpu_close(&bo);
}

/* No size is a page, as it always was */
static void create_bo_0(int fd)
{
	virtgpu_shape shape = virtgpu_texture(32, 32, BIND_SAMPLER_VIEW);
	struct virtgpu_bo bo;

	virtgpu_begin(fd, NOTHING);
	if (virtgpu_has_virgl(fd))
		shape = virtgpu_buffer(PAGE);
	shape.size = 0;
	leave_larger(fd);
	for (int i = 0; i < 2; i++) {
		bo = virtgpu_create(fd, shape);
		igt_assert_eq_u64(bo.size, PAGE);
		virtgpu_close(&bo);
	}
}

/* How pages get from one BO to the next */
enum way { SAME_FILE, OTHER_FILE, CLOSED_FILE };

static void create_bo_zeroed(int fd, enum way way)
{
	const uint32_t size = 3 * 4 * PAGE;
	struct virtgpu_bo bo;

	virtgpu_begin(fd, NOTHING);
	for (int i = 0; i < BOS; i++) {
		int other = virtgpu_reopen(fd);

		bo = virtgpu_create_plain(other, size);
		virtgpu_fill(&bo, SECRET);
		if (way == OTHER_FILE)
			virtgpu_share(&bo);
		virtgpu_close(&bo);
		if (way == CLOSED_FILE)
			drm_close_driver(other);
		if (virtgpu_has_cache())
			virtgpu_wait_until(virtgpu_held_bos());
		/* Some at once, some when a worker may have zeroed them */
		if (i & 1)
			usleep(100000);
		bo = virtgpu_create_plain(way == SAME_FILE ? other : fd, size);
		virtgpu_assert_full_of(&bo, 0);
		virtgpu_close(&bo);
		if (way != CLOSED_FILE)
			drm_close_driver(other);
		/* Or the next one would be the one that is zero */
		if (virtgpu_has_cache())
			virtgpu_set_knob("purge", 1);
	}
}

/* Reusing */

static void reuse_resource(int fd)
{
	virtgpu_begin(fd, CACHE | VIRGL);
	igt_assert(recycles(fd, virtgpu_buffer(PAGE), virtgpu_buffer(PAGE)));
	igt_assert(recycles(fd, virtgpu_buffer(MIB), virtgpu_buffer(MIB)));
	igt_assert(recycles(fd, some_texture(), some_texture()));
}

static void reuse_pages(int fd)
{
	uint64_t hits;

	virtgpu_begin(fd, CACHE);
	fill_cache(fd, 256 * KIB);
	hits = virtgpu_stat("hits_pages");
	virtgpu_create_dumb(fd, 256, 256);
	igt_assert_eq_u64(virtgpu_stat("hits_pages"), hits + 1);
}

/* What is freed while the host is at it must not come back busy */
static void idle_only(int fd)
{
	virtgpu_shape shape = virtgpu_texture(256, 256, BIND_SAMPLER_VIEW);
	unsigned int busy = 0, reused = 0;

	virtgpu_begin(fd, VIRGL);
	for (int i = 0; i < 50; i++) {
		struct virtgpu_bo bo = virtgpu_create(fd, shape);
		uint32_t res = bo.res;

		virtgpu_to_host(&bo);
		busy += virtgpu_busy(&bo);
		virtgpu_close(&bo);
		/* Some at once, some when it may have come to rest */
		if (i & 1)
			usleep(20000);
		bo = virtgpu_create(fd, shape);
		if (bo.res == res) {
			reused++;
			igt_assert(!virtgpu_busy(&bo));
		}
		virtgpu_close(&bo);
	}
	igt_info("%u busy when closed, %u handed out again\n", busy, reused);
	igt_assert(busy > 0);
}

static void identity(int fd)
{
	const virtgpu_shape a = some_texture();
	virtgpu_shape roomy, b[10];
	size_t n = 0;

	virtgpu_begin(fd, VIRGL);
	for (size_t i = 0; i < ARRAY_SIZE(b); i++) {
		b[i] = a;
		b[i].size *= 2;			/* enough for any of these */
	}
	roomy = b[0];
	b[n++].format = 67;			/* RGBA8 */
	b[n++].bind = BIND_SAMPLER_VIEW;
	b[n++].target = 5;			/* rectangle */
	b[n++].width = 32;
	b[n++].height = 32;
	b[n].target = 3, b[n++].depth = 2;
	b[n].target = 7, b[n++].array_size = 2;
	b[n++].last_level = 1;
	b[n++].nr_samples = 4;
	b[n++].flags = 1;			/* y = 0 is the top */
	igt_assert_eq(n, ARRAY_SIZE(b));
	for (size_t i = 0; i < n; i++)
		igt_assert_f(!recycles(fd, roomy, b[i]),
			     "shape %zu got another's resource\n", i);
	/* That it would be seen */
	igt_assert(!virtgpu_has_cache() || recycles(fd, roomy, roomy));
}

/* A buffer may get more than it asked for, but no more than 1/8 */
static void bucket_waste(int fd)
{
	virtgpu_shape large = virtgpu_buffer(64 * PAGE), small = large;
	unsigned int reused = 0;

	virtgpu_begin(fd, CACHE | VIRGL);
	/* Nor from the host, where a client may ask for less than of the guest */
	small.width = 57 * PAGE;
	igt_assert(recycles(fd, large, small));
	small.width = 56 * PAGE;
	igt_assert(!recycles(fd, large, small));
	srand(1);
	for (int i = 0; i < 200; i++) {
		uint32_t pages = 5 + rand() % 60, want = pages + rand() % 9 - 4;
		struct virtgpu_bo bo;
		uint32_t res;

		bo = virtgpu_create(fd, virtgpu_buffer(pages * PAGE));
		res = bo.res;
		virtgpu_wait(&bo);
		virtgpu_close(&bo);
		bo = virtgpu_create(fd, virtgpu_buffer(want * PAGE));
		igt_assert_lte_u64(want * PAGE, bo.size);
		igt_assert_lte_u64(bo.size, want * PAGE * 9ull / 8);
		reused += bo.res == res && pages != want;
		virtgpu_fill(&bo, ~0u);
		virtgpu_close(&bo);
		virtgpu_set_knob("purge", 1);
	}
	igt_info("%u got a larger one\n", reused);
	igt_assert(reused > 0);
}

/* Whose it is */

static void owner_only(int fd)
{
	int other;

	virtgpu_begin(fd, VIRGL);
	other = virtgpu_reopen(fd);
	for (int i = 0; i < BOS; i++) {
		struct virtgpu_bo bo = virtgpu_create(fd, some_texture());
		uint32_t res = bo.res;

		virtgpu_wait(&bo);
		virtgpu_close(&bo);
		if (virtgpu_has_cache())
			virtgpu_wait_until(virtgpu_held_bos());
		bo = virtgpu_create(other, some_texture());
		igt_assert_neq_u32(bo.res, res);
		virtgpu_close(&bo);
		if (!virtgpu_has_cache())
			continue;
		/* That it could be had */
		bo = virtgpu_create(fd, some_texture());
		igt_assert_eq_u32(bo.res, res);
		virtgpu_close(&bo);
		virtgpu_set_knob("purge", 1);
	}
	drm_close_driver(other);
}

/*
 * With its file, what a BO was to the host goes too, be it kept or used by the
 * host when the file is closed.  The pages are for anyone.
 */
static void owner_closed(int fd)
{
	virtgpu_shape large = virtgpu_texture(512, 512, BIND_SAMPLER_VIEW);

	virtgpu_begin(fd, CACHE | VIRGL);
	for (int i = 0; i < BOS; i++) {
		int other = virtgpu_reopen(fd);
		struct virtgpu_bo kept, used;
		uint64_t hits;

		kept = virtgpu_create(other, virtgpu_buffer(64 * KIB));
		virtgpu_wait(&kept);
		virtgpu_close(&kept);
		used = virtgpu_create(other, large);
		for (int n = 0; n < 4; n++)
			virtgpu_to_host(&used);
		drm_close_driver(other);
		virtgpu_wait_until(virtgpu_held_bos() == 2);
		igt_assert_eq_u64(virtgpu_stat("held_resource_bos"), 0);
		hits = virtgpu_stat("hits_pages");
		used = virtgpu_create(fd, large);
		igt_assert_eq_u64(virtgpu_stat("hits_pages"), hits + 1);
		virtgpu_close(&used);
		/* A purge does not see what is still on its way */
		virtgpu_wait_until(virtgpu_held_bos() == 2);
		virtgpu_set_knob("purge", 1);
	}
}

/* The first that is created, and the next */
static void assert_gone(int fd, uint32_t res)
{
	struct virtgpu_bo bo[2];

	for (int i = 0; i < 2; i++) {
		bo[i] = virtgpu_create(fd, some_texture());
		igt_assert_neq_u32(bo[i].res, res);
	}
	for (int i = 0; i < 2; i++)
		virtgpu_close(&bo[i]);
}

static void never_exported(int fd)
{
	struct virtgpu_bo bo;

	virtgpu_begin(fd, VIRGL);
	bo = virtgpu_create(fd, some_texture());
	virtgpu_share(&bo);
	virtgpu_wait(&bo);
	virtgpu_close(&bo);
	assert_gone(fd, bo.res);
}

static void never_imported(int fd)
{
	struct virtgpu_bo bo, imported;
	int other, dmabuf;

	virtgpu_begin(fd, VIRGL);
	other = virtgpu_reopen(fd);
	bo = virtgpu_create(fd, some_texture());
	dmabuf = prime_handle_to_fd(fd, bo.handle);
	imported = virtgpu_import(other, dmabuf);
	close(dmabuf);
	igt_assert_eq_u32(imported.res, bo.res);
	virtgpu_wait(&bo);
	virtgpu_close(&bo);
	assert_gone(fd, bo.res);
	virtgpu_close(&imported);
	assert_gone(fd, bo.res);
	assert_gone(other, bo.res);
	drm_close_driver(other);
}

static void never_named(int fd)
{
	struct virtgpu_bo bo;

	virtgpu_begin(fd, VIRGL);
	bo = virtgpu_create(fd, some_texture());
	gem_flink(fd, bo.handle);
	virtgpu_wait(&bo);
	virtgpu_close(&bo);
	assert_gone(fd, bo.res);
}

static void never_of_two_handles(int fd)
{
	struct virtgpu_bo bo;
	uint32_t second;

	virtgpu_begin(fd, VIRGL);
	bo = virtgpu_create(fd, some_texture());
	second = gem_open(fd, gem_flink(fd, bo.handle));
	virtgpu_wait(&bo);
	virtgpu_close(&bo);
	assert_gone(fd, bo.res);
	gem_close(fd, second);
	assert_gone(fd, bo.res);
}

/*
 * A surface that a client has made on a texture lives on in its host context
 * when the handle is gone.  What is drawn on it then must reach nobody.
 */
static void stale_host_objects(int fd, bool purge)
{
	const uint32_t theirs = 0x01020304;
	struct virtgpu_bo bo, bos[2 * BOS];
	int drawer;

	virtgpu_begin(fd, VIRGL);
	drawer = virtgpu_reopen(fd);
	/* That drawing is seen while the handle is there */
	bo = virtgpu_create(drawer, some_texture());
	virtgpu_surface(drawer, 1, &bo);
	virtgpu_clear(drawer, 1, 0x80);
	virtgpu_from_host(&bo);
	virtgpu_wait(&bo);
	virtgpu_assert_full_of(&bo, 0x80808080);

	for (int i = 0; i < BOS; i++) {
		bo = virtgpu_create(drawer, some_texture());
		virtgpu_surface(drawer, 2 + i, &bo);
		virtgpu_close(&bo);
	}
	if (purge && virtgpu_has_cache())
		virtgpu_set_knob("purge", 1);
	for (int i = 0; i < 2 * BOS; i++) {
		bos[i] = virtgpu_create(fd, some_texture());
		virtgpu_fill(&bos[i], theirs);
		virtgpu_to_host(&bos[i]);
		virtgpu_wait(&bos[i]);
	}
	for (int i = 0; i < BOS; i++)
		virtgpu_clear(drawer, 2 + i, 0x40);
	for (int i = 0; i < 2 * BOS; i++) {
		virtgpu_assert_full_of(&bos[i], theirs);
		virtgpu_fill(&bos[i], 0);
		virtgpu_from_host(&bos[i]);
		virtgpu_wait(&bos[i]);
		virtgpu_assert_full_of(&bos[i], theirs);
		virtgpu_close(&bos[i]);
	}
	drm_close_driver(drawer);
}

/* The right to map a BO goes with its handle, and to nobody else's BO */
static void stale_mmap_offset(int fd)
{
	struct virtgpu_bo bo;
	uint64_t offset;
	uint32_t *map;
	int other;

	virtgpu_begin(fd, NOTHING);
	other = virtgpu_reopen(fd);
	bo = virtgpu_create_plain(fd, 64 * KIB);
	offset = virtgpu_offset(&bo);
	virtgpu_map(&bo);
	virtgpu_close(&bo);
	igt_assert(__virtgpu_mmap(fd, offset, bo.size, &map) < 0);
	for (int i = 0; i < BOS; i++) {
		bo = virtgpu_create_plain(other, 64 * KIB);
		virtgpu_map(&bo);
		igt_assert(__virtgpu_mmap(fd, offset, bo.size, &map) < 0);
		igt_assert_eq(__virtgpu_mmap(fd, virtgpu_offset(&bo), bo.size,
					     &map), -EACCES);
		/* Some are freed, some are not */
		if (i & 1)
			virtgpu_close(&bo);
	}
	drm_close_driver(other);
}

/* A mapping outlives the handle, and its pages are nobody else's */
static void mapped_when_closed(int fd)
{
	struct virtgpu_bo bo, next[BOS];

	virtgpu_begin(fd, NOTHING);
	bo = virtgpu_create_plain(fd, 64 * KIB);
	virtgpu_fill(&bo, SECRET);
	gem_close(fd, bo.handle);
	for (int i = 0; i < BOS; i++) {
		next[i] = virtgpu_create_plain(fd, 64 * KIB);
		igt_assert_neq_u32(next[i].res, bo.res);
		virtgpu_fill(&next[i], ~SECRET);
	}
	virtgpu_assert_full_of(&bo, SECRET);
	for (int i = 0; i < BOS; i++)
		virtgpu_close(&next[i]);
	virtgpu_unmap(&bo);
}

/* For how long and how much */

static void expiry(int fd)
{
	uint64_t expired;

	virtgpu_begin(fd, CACHE);
	fill_cache(fd, 64 * KIB);
	expired = virtgpu_stat("expired");
	/* They stay for their time, a minute ... */
	sleep(2);
	igt_assert_eq_u64(virtgpu_held_bos(), BOS);
	virtgpu_set_knob("purge", 1);
	/* ... and go when it is over, with no call that has to do with BOs */
	virtgpu_set_knob("timeout_ms", 1000);
	free_bos(fd, 64 * KIB);
	virtgpu_wait_until(virtgpu_stat("expired") == expired + BOS);
	virtgpu_wait_until(virtgpu_counters_add_up());
	igt_assert_eq_u64(virtgpu_held_bos(), 0);
}

/* Nor does it take the client that freed them */
static void expiry_while_stopped(int fd)
{
	struct igt_helper_process client = { .use_SIGKILL = true };
	bool stopped, held, gone;
	uint64_t expired;
	siginfo_t info;

	virtgpu_begin(fd, CACHE);
	virtgpu_set_knob("timeout_ms", 8000);
	expired = virtgpu_stat("expired");
	igt_fork_helper(&client) {
		free_bos(virtgpu_reopen(fd), 64 * KIB);
		raise(SIGSTOP);
	}
	stopped = !waitid(P_PID, client.pid, &info, WSTOPPED | WNOWAIT) &&
		  info.si_code == CLD_STOPPED;
	held = igt_wait(virtgpu_held_bos() == BOS, HANG_MS, 5);
	gone = igt_wait(virtgpu_stat("expired") == expired + BOS, HANG_MS, 5);
	/*
	 * Before anything fails: then helpers are told to end, and waited for, and
	 * this one would not hear of it.
	 */
	igt_stop_helper(&client);
	igt_assert(stopped);
	igt_assert(held);
	igt_assert(gone);
	igt_assert_eq_u64(virtgpu_held_bos(), 0);
}

static void limit(int fd)
{
	struct virtgpu_bo bo[BOS], again;
	uint64_t purged;

	virtgpu_begin(fd, CACHE);
	virtgpu_set_knob("max_bytes", BOS / 2 * MIB);
	purged = virtgpu_stat("purged_limit");
	for (int i = 0; i < BOS; i++) {
		bo[i] = virtgpu_create_plain(fd, MIB);
		virtgpu_wait(&bo[i]);
	}
	for (int i = 0; i < BOS; i++) {
		virtgpu_close(&bo[i]);
		igt_assert_lte_u64(virtgpu_held_bytes(), BOS / 2 * MIB);
	}
	virtgpu_wait_until(virtgpu_stat("purged_limit") == purged + BOS / 2);
	igt_assert_eq_u64(virtgpu_held_bytes(), BOS / 2 * MIB);
	/* Those are left that were freed last; a page has no number */
	for (int i = 0; i < BOS / 2 && virtgpu_has_virgl(fd); i++) {
		again = virtgpu_create_plain(fd, MIB);
		igt_assert(again.res >= bo[BOS / 2].res &&
			   again.res <= bo[BOS - 1].res);
	}
	/* It holds at once when it is lowered */
	free_bos(fd, 512 * KIB);
	virtgpu_wait_until(virtgpu_held_bytes() > MIB);
	virtgpu_set_knob("max_bytes", MIB);
	virtgpu_wait_until(virtgpu_held_bytes() <= MIB);
}

/* Knobs */

static void assert_refused(const char *knob, const char *const *words)
{
	uint64_t before = virtgpu_knob(knob);

	for (; *words; words++) {
		igt_assert_f(__virtgpu_knob(knob, *words) == -EINVAL,
			     "%s takes '%s'\n", knob, *words);
		igt_assert_eq_u64(virtgpu_knob(knob), before);
	}
}

static void knobs(int fd)
{
	static const char *const no_number[] = {
		"-1", "x", "1x", "1 2", "0x", "18446744073709551616", NULL
	};
	static const char *const no_switch[] = { "2", "-1", "maybe", NULL };
	static const char *const too_long[] = { "60001", "4294967296", NULL };
	static const char *const too_much[] = { "0xffffffffffffffff", NULL };
	static const char *const no_purge[] = { "0", "2", "1 1", "some" };
	static const char *const purges[] = { "1", "all" };

	virtgpu_begin(fd, CACHE);
	assert_refused("enabled", no_switch);
	assert_refused("timeout_ms", no_number);
	assert_refused("timeout_ms", too_long);
	assert_refused("max_bytes", no_number);
	assert_refused("max_bytes", too_much);
	for (uint64_t ms = 0; ms <= 60000; ms += 20000) {
		virtgpu_set_knob("timeout_ms", ms);
		igt_assert_eq_u64(virtgpu_knob("timeout_ms"), ms);
	}
	for (uint64_t bytes = 0; bytes <= 2 * MIB; bytes += MIB) {
		virtgpu_set_knob("max_bytes", bytes);
		igt_assert_eq_u64(virtgpu_knob("max_bytes"), bytes);
	}
	virtgpu_set_knob("max_bytes", 64 * MIB);
	fill_cache(fd, 64 * KIB);
	for (size_t i = 0; i < ARRAY_SIZE(no_purge); i++)
		igt_assert_eq(__virtgpu_knob("purge", no_purge[i]), -EINVAL);
	igt_assert_eq_u64(virtgpu_held_bos(), BOS);
	/* It has happened when the write returns */
	for (size_t i = 0; i < ARRAY_SIZE(purges); i++) {
		igt_assert_eq(__virtgpu_knob("purge", purges[i]), 0);
		igt_assert_eq_u64(virtgpu_held_bos(), 0);
		igt_assert_eq_u64(virtgpu_stat("release_bos"), 0);
		fill_cache(fd, 64 * KIB);
	}
	igt_assert_eq(__virtgpu_knob("purge", "pages"), 0);
	igt_assert_eq_u64(virtgpu_stat("held_pages_bos"), 0);
	igt_assert_eq_u64(virtgpu_stat("held_resource_bos"),
			  virtgpu_has_virgl(fd) ? BOS / 2 : 0);
	igt_assert_eq(__virtgpu_knob("purge", "resource"), 0);
	igt_assert_eq_u64(virtgpu_held_bos(), 0);
}

/* Two ways to switch it off */
static void disabled(int fd, const char *knob)
{
	uint64_t puts, rejected;

	virtgpu_begin(fd, CACHE);
	fill_cache(fd, 64 * KIB);
	virtgpu_set_knob(knob, 0);
	virtgpu_wait_until(!virtgpu_held_bos());
	puts = virtgpu_stat("puts");
	rejected = virtgpu_stat("rejected_disabled");
	free_bos(fd, 64 * KIB);
	virtgpu_wait_until(virtgpu_stat("rejected_disabled") ==
			   rejected + BOS);
	igt_assert_eq_u64(virtgpu_stat("puts"), puts);
	igt_assert_eq_u64(virtgpu_held_bos(), 0);
}

/* Reclaim gets it all, and the cache keeps out of its way for a while */
static void pressure(int fd)
{
	uint64_t purged, backoffs;

	virtgpu_begin(fd, CACHE);
	fill_cache(fd, MIB);
	purged = virtgpu_stat("purged_pressure");
	backoffs = virtgpu_stat("backoffs");
	virtgpu_drop_caches();
	virtgpu_wait_until(!virtgpu_held_bos());
	igt_assert_eq_u64(virtgpu_stat("purged_pressure"), purged + BOS);
	igt_assert_lt_u64(backoffs, virtgpu_stat("backoffs"));
	/* Only for a while */
	virtgpu_wait_until(virtgpu_is_kept(fd));
	virtgpu_wait_until(virtgpu_counters_add_up());
}

/* Processes */

/* Creates, writes, shares and closes: each BO is zero and then one's own */
static void churn(int fd, unsigned int seed, unsigned int rounds)
{
	struct virtgpu_bo bo[4] = { 0 };
	const uint32_t tag = seed << 16;

	while (rounds--) {
		unsigned int i = rand_r(&seed) % ARRAY_SIZE(bo);
		uint32_t bytes = (1 + rand_r(&seed) % 16) * 4 * PAGE;

		if (bo[i].handle) {
			virtgpu_assert_full_of(&bo[i], tag + bo[i].handle);
			virtgpu_close(&bo[i]);
		}
		bo[i] = virtgpu_create_plain(fd, bytes);
		if (rand_r(&seed) % 4 == 0)
			virtgpu_share(&bo[i]);
		virtgpu_assert_full_of(&bo[i], 0);
		for (size_t n = 0; n < ARRAY_SIZE(bo); n++)
			if (bo[n].handle)
				virtgpu_fill(&bo[n], tag + bo[n].handle);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bo); i++)
		if (bo[i].handle)
			virtgpu_close(&bo[i]);
}

/* One file, and so one owner, in several processes */
static void fork_shares_file(int fd)
{
	struct virtgpu_bo bo;

	virtgpu_begin(fd, NOTHING);
	bo = virtgpu_create_plain(fd, 64 * KIB);
	virtgpu_fill(&bo, SECRET);
	igt_fork(child, 3)
		churn(fd, 1 + child, 30);
	churn(fd, 100, 30);
	igt_waitchildren();
	virtgpu_assert_full_of(&bo, SECRET);
	virtgpu_close(&bo);
	if (virtgpu_has_cache())
		virtgpu_wait_until(virtgpu_counters_add_up());
}

union fd_message {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

static void send_fd(int socket, int fd)
{
	struct iovec byte = { .iov_base = "", .iov_len = 1 };
	union fd_message control = { .header = {
		.cmsg_len = CMSG_LEN(sizeof(fd)), .cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	struct msghdr message = {
		.msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	igt_assert_eq(sendmsg(socket, &message, 0), 1);
}

static int receive_fd(int socket)
{
	char text;
	struct iovec byte = { .iov_base = &text, .iov_len = 1 };
	union fd_message control;
	struct msghdr message = {
		.msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	igt_assert_eq(recvmsg(socket, &message, 0), 1);
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

/* A dma-buf that went to another process: what it became there stays its own */
static void fd_passing(int fd, bool they_last)
{
	struct virtgpu_bo bo;
	int sockets[2], dmabuf;

	virtgpu_begin(fd, NOTHING);
	igt_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	igt_fork(child, 1) {
		int other = virtgpu_reopen(fd);
		struct virtgpu_bo theirs;

		close(sockets[0]);
		theirs = virtgpu_import(other, receive_fd(sockets[1]));
		virtgpu_assert_full_of(&theirs, SECRET);
		virtgpu_fill(&theirs, ~SECRET);
		if (they_last) {
			/* The other closes it now, and is told of the end */
			igt_assert_eq(write(sockets[1], "", 1), 1);
			igt_assert_eq(read(sockets[1], &(char){ 0 }, 1), 1);
			virtgpu_assert_full_of(&theirs, ~SECRET);
		}
	}
	/* So that neither waits for one that has failed */
	close(sockets[1]);
	bo = virtgpu_create(fd, some_texture());
	virtgpu_fill(&bo, SECRET);
	dmabuf = prime_handle_to_fd(fd, bo.handle);
	send_fd(sockets[0], dmabuf);
	close(dmabuf);
	if (they_last)
		igt_assert_eq(read(sockets[0], &(char){ 0 }, 1), 1);
	else
		igt_waitchildren();
	virtgpu_assert_full_of(&bo, ~SECRET);
	virtgpu_close(&bo);
	assert_gone(fd, bo.res);
	if (they_last) {
		for (int i = 0; i < BOS; i++) {
			struct virtgpu_bo next = virtgpu_create(fd,
								some_texture());

			virtgpu_fill(&next, 0);
		}
		if (virtgpu_has_cache())
			virtgpu_set_knob("purge", 1);
		igt_assert_eq(write(sockets[0], "", 1), 1);
		igt_waitchildren();
		/* Nor when the other is through with it */
		if (virtgpu_has_cache())
			virtgpu_wait_until(virtgpu_held_bos());
		assert_gone(fd, bo.res);
	}
	close(sockets[0]);
}

static void turn_knobs(void)
{
	static const uint64_t timeout[] = { 1000, 0, 1, 50 };
	static const uint64_t limit[] = { 64 * MIB, 0, 256 * KIB };

	for (unsigned int i = 0; ; i++) {
		virtgpu_set_knob("timeout_ms", timeout[i % 4]);
		virtgpu_set_knob("max_bytes", limit[i / 2 % 3]);
		virtgpu_set_knob("enabled", i % 5 != 0);
		if (i % 7 == 0)
			virtgpu_set_knob("purge", 1);
		usleep(20000);
	}
}

static void stress(int fd)
{
	struct igt_helper_process turner = { .use_SIGKILL = true };

	virtgpu_begin(fd, NOTHING);
	igt_fork(child, 4)
		churn(virtgpu_reopen(fd), 1 + child, 60);
	if (virtgpu_has_cache())
		igt_fork_helper(&turner)
			turn_knobs();
	igt_waitchildren();
	if (!virtgpu_has_cache())
		return;
	igt_stop_helper(&turner);
	virtgpu_wait_until(virtgpu_counters_add_up());
}

/* The device goes away */

/*
 * The driver is unbound under a full cache and an open file: the host is told
 * of all that it has, the file is of no use any more, and a device that comes
 * back is as new.
 */
static int unplug(int fd)
{
	const char *device = virtgpu_device();
	int driver, other;
	struct virtgpu_bo bo;
	uint64_t held;

	/* Upstream's driver loses a BO that is closed after this, and warns. */
	virtgpu_begin(fd, CACHE);
	/* Skip before anything is changed */
	virtgpu_watch_commands(false);
	driver = open("/sys/bus/virtio/drivers/virtio_gpu",
		      O_RDONLY | O_DIRECTORY);
	igt_assert(driver >= 0);
	bind_fbcon(false);
	other = virtgpu_reopen(fd);
	bo = virtgpu_create_plain(other, 64 * KIB);
	virtgpu_fill(&bo, SECRET);
	fill_cache(fd, 64 * KIB);
	held = virtgpu_stat("held_resource_bos");
	virtgpu_watch_commands(true);

	igt_assert_eq(igt_sysfs_write(driver, "unbind", device, strlen(device)),
		      strlen(device));
	virtgpu_watch_commands(false);
	igt_assert_lte_u64(held, virtgpu_count_commands(RESOURCE_UNREF));
	igt_assert_eq(virtgpu_param(other, VIRTGPU_PARAM_3D_FEATURES), -ENODEV);
	virtgpu_unmap(&bo);
	drm_close_driver(other);
	drm_close_driver(fd);

	igt_assert_eq(igt_sysfs_write(driver, "bind", device, strlen(device)),
		      strlen(device));
	bind_fbcon(true);
	close(driver);
	fd = virtgpu_open();
	create_bo_4096(fd);
	return fd;
}

int igt_main()
{
	static int fd;

	igt_fixture()
		fd = virtgpu_open();

	igt_describe("Check that a BO of a page can be created and used.");
	igt_subtest("create-bo-4096")
		create_bo_4096(fd);

	igt_describe("Check that a BO without a size has a page.");
	igt_subtest("create-bo-0")
		create_bo_0(fd);

	igt_describe("Check that new BOs don't show what freed ones contained.");
	igt_subtest_with_dynamic("create-bo-zeroed") {
		igt_dynamic("same-file")
			create_bo_zeroed(fd, SAME_FILE);
		igt_dynamic("other-file")
			create_bo_zeroed(fd, OTHER_FILE);
		igt_dynamic("closed-file")
			create_bo_zeroed(fd, CLOSED_FILE);
	}

	igt_describe("Check that a freed BO is handed out again, with its host "
		     "resource to its client.");
	igt_subtest("reuse-resource")
		reuse_resource(fd);

	igt_describe("Check that the pages of a freed BO are handed out again.");
	igt_subtest("reuse-pages")
		reuse_pages(fd);

	igt_describe("Check that a BO which is handed out again is idle.");
	igt_subtest("idle-only")
		idle_only(fd);

	igt_describe("Check that only a BO of the same shape is handed out.");
	igt_subtest("identity")
		identity(fd);

	igt_describe("Check that no buffer is larger than asked for by more "
		     "than an eighth.");
	igt_subtest("bucket-waste")
		bucket_waste(fd);

	igt_describe("Check that nobody gets the host resource of another's "
		     "freed BO.");
	igt_subtest("owner-only")
		owner_only(fd);

	igt_describe("Check that host resources go with their owner.");
	igt_subtest("owner-closed")
		owner_closed(fd);

	igt_describe("Check that what was ever shared is not handed out as it "
		     "is.");
	igt_subtest_with_dynamic("never-shared") {
		virtgpu_require(fd, VIRGL);
		igt_dynamic("export")
			never_exported(fd);
		igt_dynamic("import")
			never_imported(fd);
		igt_dynamic("flink")
			never_named(fd);
		igt_dynamic("two-handles")
			never_of_two_handles(fd);
	}

	igt_describe("Check that nobody is drawn on by objects that the host "
		     "has of a freed BO.");
	igt_subtest_with_dynamic("stale-host-objects") {
		virtgpu_require(fd, VIRGL);
		igt_dynamic("kept")
			stale_host_objects(fd, false);
		igt_dynamic("purged")
			stale_host_objects(fd, true);
	}

	igt_describe("Check that a closed BO can't be mapped, nor who has it "
		     "next.");
	igt_subtest("stale-mmap-offset")
		stale_mmap_offset(fd);

	igt_describe("Check that a mapping keeps its pages to itself when the "
		     "handle is gone.");
	igt_subtest("mapped-when-closed")
		mapped_when_closed(fd);

	igt_describe("Check that freed BOs stay for their time, and no longer.");
	igt_subtest("expiry")
		expiry(fd);

	igt_describe("Check that they go while their client can't run.");
	igt_subtest("expiry-while-stopped")
		expiry_while_stopped(fd);

	igt_describe("Check that no more is kept than allowed, and that the "
		     "oldest goes first.");
	igt_subtest("limit")
		limit(fd);

	igt_describe("Check what the knobs take and what they do.");
	igt_subtest("knobs")
		knobs(fd);

	igt_describe("Check that nothing is kept while the cache is off.");
	igt_subtest_with_dynamic("disabled") {
		virtgpu_require(fd, CACHE);
		igt_dynamic("enabled")
			disabled(fd, "enabled");
		igt_dynamic("timeout")
			disabled(fd, "timeout_ms");
	}

	igt_describe("Check that memory pressure empties the cache.");
	igt_subtest("pressure")
		pressure(fd);

	igt_describe("Check that processes with one file don't get in each "
		     "other's way.");
	igt_subtest("fork")
		fork_shares_file(fd);

	igt_describe("Check that a BO is left to who got it as a dma-buf.");
	igt_subtest_with_dynamic("fd-passing") {
		igt_dynamic("they-close-last")
			fd_passing(fd, true);
		igt_dynamic("we-close-last")
			fd_passing(fd, false);
	}

	igt_describe("Check all that under load, while the knobs turn.");
	igt_subtest("stress")
		stress(fd);

	igt_describe("Check that the driver can be unbound under an open file "
		     "and a full cache.");
	igt_subtest("unplug")
		fd = unplug(fd);

	igt_fixture()
		drm_close_driver(fd);
}
