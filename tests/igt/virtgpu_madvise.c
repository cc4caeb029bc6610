// SPDX-License-Identifier: MIT
/*
 * DRM_IOCTL_VIRTGPU_MADVISE: a client says which of its BOs it can do without,
 * and the kernel may drop them until they are needed again.
 *
 * "purgeable" is what is not needed, "purged" what was dropped.
 */
#include "igt_virtgpu.h"

IGT_TEST_DESCRIPTION("Purgeable virtio-gpu BOs.");

#define WILLNEED VIRTGPU_MADV_WILLNEED
#define DONTNEED VIRTGPU_MADV_DONTNEED
#define REPLACE VIRTGPU_MADV_WILLNEED_REPLACE

#define MANY 32
#define CONTENT 0xdeadbeef

/* Whether it is retained, or a negative errno */
static int __madvise_bo(const struct virtgpu_bo *bo, uint32_t madv)
{
	struct drm_virtgpu_madvise arg = {
		.bo_handle = bo->handle, .retained = 7, .madv = madv
	};

	if (igt_ioctl(bo->fd, DRM_IOCTL_VIRTGPU_MADVISE, &arg))
		return -errno;
	igt_assert_lte_u64(arg.retained, 1);
	return arg.retained;
}

static void madvise_bo(const struct virtgpu_bo *bo, uint32_t madv,
		       int retained)
{
	igt_assert_eq(__madvise_bo(bo, madv), retained);
}

static void assert_purgeable(unsigned int bos)
{
	igt_assert_eq_u64(virtgpu_stat("held_purgeable_bos"), bos);
}

static struct virtgpu_bo begin_with_bo(int fd)
{
	struct virtgpu_bo bo;

	virtgpu_begin(fd, CACHE);
	bo = virtgpu_create_dumb(fd, 64, 64);
	virtgpu_wait(&bo);
	return bo;
}

/* Has the kernel drop it, idle as it must be */
static void purge_bo(const struct virtgpu_bo *bo)
{
	uint64_t dropped = virtgpu_stat("dropped");

	virtgpu_wait(bo);
	madvise_bo(bo, DONTNEED, 1);
	igt_assert_eq(__virtgpu_knob("purge", "purgeable"), 0);
	igt_assert_eq_u64(virtgpu_stat("dropped"), dropped + 1);
}

/* The states */

static void mark_willneed(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);

	virtgpu_fill(&bo, CONTENT);
	madvise_bo(&bo, WILLNEED, 1);
	madvise_bo(&bo, REPLACE, 1);
	assert_purgeable(0);
	virtgpu_assert_full_of(&bo, CONTENT);
	virtgpu_close(&bo);
}

/* Each is said so often, and said once or not is the same */
static void mark(int fd, int dontneed, int willneed, uint32_t madv)
{
	struct virtgpu_bo bo = begin_with_bo(fd);
	uint64_t hits = virtgpu_stat("hits_purgeable");

	virtgpu_fill(&bo, CONTENT);
	while (dontneed--) {
		madvise_bo(&bo, DONTNEED, 1);
		assert_purgeable(1);
		igt_assert_eq_u64(virtgpu_stat("held_purgeable_bytes"),
				  bo.size);
	}
	while (willneed--) {
		madvise_bo(&bo, madv, 1);
		assert_purgeable(0);
	}
	igt_assert_eq_u64(virtgpu_stat("hits_purgeable"), hits + 1);
	virtgpu_assert_full_of(&bo, CONTENT);
	virtgpu_close(&bo);
}

static void mark_unpurgeable_purged(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);
	uint32_t *map = virtgpu_map(&bo);

	purge_bo(&bo);
	for (int i = 0; i < 2; i++) {
		madvise_bo(&bo, WILLNEED, 0);
		igt_assert(virtgpu_touch_faults(map));
	}
	madvise_bo(&bo, DONTNEED, 0);
	virtgpu_close(&bo);
}

/* What is said to be there is there: all of it, and nothing else */
static void mark_unpurgeable_check_retained(int fd)
{
	struct virtgpu_bo bo[MANY];
	unsigned int lost = 0;
	uint64_t dropped;

	virtgpu_begin(fd, CACHE);
	dropped = virtgpu_stat("dropped");
	for (int i = 0; i < MANY; i++) {
		bo[i] = virtgpu_create_plain(fd, 64 * KIB);
		virtgpu_fill(&bo[i], CONTENT + i);
		virtgpu_wait(&bo[i]);
	}
	/* Some before reclaim comes, some after it */
	for (int i = 0; i < MANY; i++) {
		if (i == MANY / 2) {
			virtgpu_drop_caches();
			virtgpu_wait_until(virtgpu_stat("dropped") ==
					   dropped + i);
		}
		madvise_bo(&bo[i], DONTNEED, 1);
	}
	for (int i = 0; i < MANY; i++) {
		if (__madvise_bo(&bo[i], WILLNEED) == 1)
			virtgpu_assert_full_of(&bo[i], CONTENT + i);
		else
			lost++;
		virtgpu_close(&bo[i]);
	}
	igt_info("%u of %u dropped\n", lost, MANY);
	igt_assert_eq_u64(virtgpu_stat("dropped"), dropped + lost);
	igt_assert_eq(lost, MANY / 2);
}

/* A BO that was dropped is made anew: the same to its client, but zero */
static void replace(int fd, struct virtgpu_bo bo)
{
	struct drm_virtgpu_resource_info info = { .bo_handle = bo.handle };
	uint32_t *map = virtgpu_map(&bo);

	for (int i = 0; i < 3; i++) {
		virtgpu_fill(&bo, CONTENT);
		purge_bo(&bo);
		madvise_bo(&bo, REPLACE, 0);
		madvise_bo(&bo, WILLNEED, 1);
		igt_assert(!virtgpu_touch_faults(map));
		virtgpu_assert_full_of(&bo, 0);
		do_ioctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info);
		igt_assert_eq_u32(info.res_handle, bo.res);
		igt_assert_eq_u64(info.size, bo.size);
	}
	virtgpu_close(&bo);
}

/* The host has it too, and attached to the client's context */
static void replace_on_host(int fd)
{
	struct virtgpu_bo bo;

	virtgpu_begin(fd, CACHE | VIRGL);
	bo = virtgpu_create(fd, virtgpu_texture(64, 64, BIND_SAMPLER_VIEW));
	virtgpu_fill(&bo, CONTENT);
	virtgpu_to_host(&bo);
	purge_bo(&bo);
	madvise_bo(&bo, REPLACE, 0);
	virtgpu_fill(&bo, ~CONTENT);
	virtgpu_to_host(&bo);
	virtgpu_wait(&bo);
	virtgpu_fill(&bo, 0);
	virtgpu_from_host(&bo);
	virtgpu_wait(&bo);
	virtgpu_assert_full_of(&bo, ~CONTENT);
	virtgpu_close(&bo);
}

static void free_purged_bo(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);
	uint64_t puts;

	purge_bo(&bo);
	puts = virtgpu_stat("puts");
	virtgpu_watch_commands(true);
	virtgpu_close(&bo);
	virtgpu_wait_until(virtgpu_counters_add_up());
	virtgpu_watch_commands(false);
	/* There is nothing of it that could be kept, nor has the host anything */
	igt_assert_eq(virtgpu_count_commands(RESOURCE_UNREF), 0);
	igt_assert_eq_u64(virtgpu_stat("puts"), puts);
	igt_assert_eq_u64(virtgpu_held_bos(), 0);
}

static void free_purgeable_bo(int fd)
{
	uint64_t closed;
	struct virtgpu_bo bo = begin_with_bo(fd);

	closed = virtgpu_stat("purged_closed");
	madvise_bo(&bo, DONTNEED, 1);
	virtgpu_close(&bo);
	virtgpu_wait_until(virtgpu_stat("purged_closed") == closed + 1);
	virtgpu_wait_until(virtgpu_held_bos() == 1);
	assert_purgeable(0);
	virtgpu_wait_until(virtgpu_counters_add_up());
}

/* A file that is closed with BOs that it does not need */
static void free_with_file(int fd)
{
	struct virtgpu_bo bo[2];
	int other;

	virtgpu_begin(fd, CACHE);
	other = virtgpu_reopen(fd);
	for (int i = 0; i < 2; i++)
		bo[i] = virtgpu_create_plain(other, 64 * KIB);
	purge_bo(&bo[0]);
	madvise_bo(&bo[1], DONTNEED, 1);
	drm_close_driver(other);
	virtgpu_wait_until(!virtgpu_stat("held_purgeable_bos"));
	virtgpu_wait_until(virtgpu_counters_add_up());
}

/* Using one */

static void access_purgeable_bo_mem(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);
	uint32_t *map = virtgpu_map(&bo);

	madvise_bo(&bo, DONTNEED, 1);
	igt_assert(virtgpu_touch_faults(map));
	madvise_bo(&bo, WILLNEED, 1);
	igt_assert(!virtgpu_touch_faults(map));
	virtgpu_close(&bo);
}

/* Also a page that was there before */
static void access_purged_bo_mem(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);
	uint32_t *map = virtgpu_map(&bo);

	virtgpu_fill(&bo, CONTENT);
	igt_assert(!virtgpu_touch_faults(map));
	purge_bo(&bo);
	igt_assert(virtgpu_touch_faults(map));
	madvise_bo(&bo, WILLNEED, 0);
	igt_assert(virtgpu_touch_faults(map));
	virtgpu_close(&bo);
}

static int __add_frame(const struct virtgpu_bo *bo, uint32_t *frame)
{
	struct drm_mode_fb_cmd2 arg = {
		.width = bo->width, .height = bo->height,
		.pixel_format = DRM_FORMAT_XRGB8888,
		.handles = { bo->handle }, .pitches = { bo->width * 4 },
	};

	if (igt_ioctl(bo->fd, DRM_IOCTL_MODE_ADDFB2, &arg))
		return -errno;
	*frame = arg.fb_id;
	return 0;
}

static int __export_bo(const struct virtgpu_bo *bo)
{
	struct drm_prime_handle arg = { .handle = bo->handle };

	if (igt_ioctl(bo->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &arg))
		return -errno;
	close(arg.fd);
	return 0;
}

static void assert_use(const struct virtgpu_bo *bo, int result)
{
	const uint32_t nop = 0;
	uint32_t frame, *map;

	igt_assert_eq(__virtgpu_mmap(bo->fd, virtgpu_offset(bo), bo->size,
				     &map), result);
	if (map)
		munmap(map, bo->size);
	igt_assert_eq(__virtgpu_to_host(bo), result);
	if (virtgpu_has_virgl(bo->fd)) {
		igt_assert_eq(__virtgpu_from_host(bo), result);
		igt_assert_eq(__virtgpu_execbuffer(bo->fd, &nop, sizeof(nop),
						   bo), result);
	}
	igt_assert_eq(__add_frame(bo, &frame), result);
	if (!result)
		do_ioctl(bo->fd, DRM_IOCTL_MODE_RMFB, &frame);
	virtgpu_wait(bo);
}

static void use_purgeable_bo(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);

	assert_use(&bo, 0);
	madvise_bo(&bo, DONTNEED, 1);
	assert_use(&bo, -EINVAL);
	igt_assert_eq(__export_bo(&bo), -EINVAL);
	madvise_bo(&bo, WILLNEED, 1);
	assert_use(&bo, 0);
	igt_assert_eq(__export_bo(&bo), 0);
	virtgpu_close(&bo);
}

static void use_purged_bo(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);

	purge_bo(&bo);
	assert_use(&bo, -EINVAL);
	madvise_bo(&bo, WILLNEED, 0);
	assert_use(&bo, -EINVAL);
	igt_assert_eq(__export_bo(&bo), -EINVAL);
	madvise_bo(&bo, REPLACE, 0);
	assert_use(&bo, 0);
	igt_assert_eq(__export_bo(&bo), 0);
	virtgpu_close(&bo);
}

/* What is not the client's alone */

static void assert_needed(const struct virtgpu_bo *bo, int error)
{
	madvise_bo(bo, DONTNEED, error);
	madvise_bo(bo, WILLNEED, 1);
	madvise_bo(bo, REPLACE, 1);
	assert_purgeable(0);
}

static void shared_by_export(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);

	virtgpu_share(&bo);
	assert_needed(&bo, -EINVAL);
	virtgpu_close(&bo);
}

static void shared_by_import(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd), imported;
	int other = virtgpu_reopen(fd);
	int dmabuf = prime_handle_to_fd(fd, bo.handle);

	imported = virtgpu_import(other, dmabuf);
	close(dmabuf);
	assert_needed(&imported, -EINVAL);
	virtgpu_close(&imported);
	drm_close_driver(other);
	/* For ever */
	assert_needed(&bo, -EINVAL);
	virtgpu_close(&bo);
}

static void shared_by_name(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);
	uint32_t second = gem_open(fd, gem_flink(fd, bo.handle));

	assert_needed(&bo, -EINVAL);
	gem_close(fd, second);
	assert_needed(&bo, -EINVAL);
	virtgpu_close(&bo);
}

static void framebuffer(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);
	uint32_t frame;

	igt_assert_eq(__add_frame(&bo, &frame), 0);
	assert_needed(&bo, -EBUSY);
	do_ioctl(fd, DRM_IOCTL_MODE_RMFB, &frame);
	madvise_bo(&bo, DONTNEED, 1);
	assert_purgeable(1);
	virtgpu_close(&bo);
}

/* What the host has not done with is not dropped */
static void busy(int fd)
{
	unsigned int seen = 0;
	struct virtgpu_bo bo;

	virtgpu_begin(fd, CACHE | VIRGL);
	bo = virtgpu_create(fd, virtgpu_buffer(16 * MIB));
	virtgpu_fill(&bo, CONTENT);
	for (int i = 0; i < 50 && seen < 5; i++) {
		uint64_t dropped = virtgpu_stat("dropped");

		for (int n = 0; n < 8; n++)
			virtgpu_to_host(&bo);
		madvise_bo(&bo, DONTNEED, 1);
		igt_assert_eq(__virtgpu_knob("purge", "purgeable"), 0);
		/* Busy still, so it was all the time */
		if (virtgpu_busy(&bo)) {
			seen++;
			igt_assert_eq_u64(virtgpu_stat("dropped"), dropped);
		}
		if (__madvise_bo(&bo, REPLACE) == 0)
			virtgpu_fill(&bo, CONTENT);
		virtgpu_wait(&bo);
		virtgpu_assert_full_of(&bo, CONTENT);
	}
	igt_assert(seen > 0);
	virtgpu_close(&bo);
}

/* Who takes them */

static void expiry(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);
	uint64_t dropped = virtgpu_stat("dropped");

	/* In their time, with no call that has to do with BOs */
	madvise_bo(&bo, DONTNEED, 1);
	sleep(2);
	assert_purgeable(1);
	madvise_bo(&bo, WILLNEED, 1);
	virtgpu_set_knob("timeout_ms", 1000);
	madvise_bo(&bo, DONTNEED, 1);
	virtgpu_wait_until(virtgpu_stat("dropped") == dropped + 1);
	madvise_bo(&bo, WILLNEED, 0);
	virtgpu_close(&bo);
}

static void pressure(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);
	uint64_t dropped = virtgpu_stat("dropped");

	virtgpu_fill(&bo, CONTENT);
	madvise_bo(&bo, DONTNEED, 1);
	virtgpu_drop_caches();
	virtgpu_wait_until(virtgpu_stat("dropped") == dropped + 1);
	madvise_bo(&bo, WILLNEED, 0);
	madvise_bo(&bo, REPLACE, 0);
	virtgpu_assert_full_of(&bo, 0);
	virtgpu_close(&bo);
}

/* They are the client's memory, which the cache's limit is not for */
static void limit(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);

	virtgpu_set_knob("max_bytes", bo.size / 2);
	virtgpu_fill(&bo, CONTENT);
	madvise_bo(&bo, DONTNEED, 1);
	assert_purgeable(1);
	igt_assert_eq_u64(virtgpu_held_bytes(), 0);
	madvise_bo(&bo, WILLNEED, 1);
	virtgpu_assert_full_of(&bo, CONTENT);
	virtgpu_close(&bo);
}

static void disabled(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);

	virtgpu_set_knob("enabled", 0);
	virtgpu_fill(&bo, CONTENT);
	madvise_bo(&bo, DONTNEED, 1);
	assert_purgeable(0);
	virtgpu_drop_caches();
	madvise_bo(&bo, WILLNEED, 1);
	virtgpu_assert_full_of(&bo, CONTENT);
	virtgpu_close(&bo);
}

/* Processes that share a file share what is said */
static void fork_shares_file(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);

	igt_fork(child, 1)
		purge_bo(&bo);
	igt_waitchildren();
	madvise_bo(&bo, WILLNEED, 0);
	igt_fork(child, 1)
		madvise_bo(&bo, REPLACE, 0);
	igt_waitchildren();
	madvise_bo(&bo, WILLNEED, 1);
	virtgpu_assert_full_of(&bo, 0);
	virtgpu_close(&bo);
}

/* The interface */

static void parameter(int fd)
{
	virtgpu_begin(fd, CACHE);
	igt_assert_eq(virtgpu_param(fd, VIRTGPU_PARAM_BO_CACHE), 60000);
	virtgpu_set_knob("timeout_ms", 17);
	igt_assert_eq(virtgpu_param(fd, VIRTGPU_PARAM_BO_CACHE), 17);
	virtgpu_set_knob("enabled", 0);
	igt_assert_eq(virtgpu_param(fd, VIRTGPU_PARAM_BO_CACHE), 0);
	igt_assert_eq(virtgpu_param(fd, VIRTGPU_PARAM_BO_CACHE + 1), -EINVAL);
}

static void bad_arguments(int fd)
{
	struct virtgpu_bo bo = begin_with_bo(fd);
	struct drm_virtgpu_madvise arg = {
		.bo_handle = bo.handle, .madv = DONTNEED
	};

	arg.pad = 1;
	do_ioctl_err(fd, DRM_IOCTL_VIRTGPU_MADVISE, &arg, EINVAL);
	arg.pad = 0;
	arg.bo_handle += 1000;
	do_ioctl_err(fd, DRM_IOCTL_VIRTGPU_MADVISE, &arg, ENOENT);
	do_ioctl_err(fd, DRM_IOCTL_VIRTGPU_MADVISE, NULL, EFAULT);
	madvise_bo(&bo, REPLACE + 1, -EINVAL);
	madvise_bo(&bo, UINT32_MAX, -EINVAL);
	assert_purgeable(0);
	madvise_bo(&bo, WILLNEED, 1);
	virtgpu_close(&bo);
}

int igt_main()
{
	static int fd;

	igt_fixture()
		fd = virtgpu_open();

	igt_describe("Check that needing what is needed changes nothing.");
	igt_subtest("mark-willneed")
		mark_willneed(fd);

	igt_describe("Check that a BO can be given up and asked for again.");
	igt_subtest("mark-purgeable")
		mark(fd, 1, 1, WILLNEED);

	igt_describe("Check that giving it up again changes nothing.");
	igt_subtest("mark-purgeable-twice")
		mark(fd, 2, 1, WILLNEED);

	igt_describe("Check that asking for it again changes nothing.");
	igt_subtest("mark-unpurgeable-twice")
		mark(fd, 1, 2, WILLNEED);

	igt_describe("Check that one which was not purged is not replaced.");
	igt_subtest("mark-unpurgeable-replace")
		mark(fd, 2, 2, REPLACE);

	igt_describe("Check that what is purgeable can't be read.");
	igt_subtest("access-purgeable-bo-mem")
		access_purgeable_bo_mem(fd);

	igt_describe("Check that what was purged can't be read.");
	igt_subtest("access-purged-bo-mem")
		access_purged_bo_mem(fd);

	igt_describe("Check that BOs said to be retained have their content.");
	igt_subtest("mark-unpurgeable-check-retained")
		mark_unpurgeable_check_retained(fd);

	igt_describe("Check that one which was purged stays so.");
	igt_subtest("mark-unpurgeable-purged")
		mark_unpurgeable_purged(fd);

	igt_describe("Check that a purged BO can be had again, full of zeroes.");
	igt_subtest_with_dynamic("replace-purged-bo") {
		virtgpu_require(fd, CACHE);
		igt_dynamic("dumb") {
			virtgpu_begin(fd, CACHE);
			replace(fd, virtgpu_create_dumb(fd, 64, 64));
		}
		igt_dynamic("buffer") {
			virtgpu_begin(fd, CACHE | VIRGL);
			replace(fd, virtgpu_create(fd, virtgpu_buffer(MIB)));
		}
		igt_dynamic("blob") {
			virtgpu_begin(fd, CACHE | BLOB);
			replace(fd, virtgpu_create_blob(fd, 64 * KIB));
		}
	}

	igt_describe("Check that the host has a replaced BO too.");
	igt_subtest("replace-on-host")
		replace_on_host(fd);

	igt_describe("Check that a purged BO can be closed.");
	igt_subtest("free-purged-bo")
		free_purged_bo(fd);

	igt_describe("Check that a purgeable BO can be closed.");
	igt_subtest("free-purgeable-bo")
		free_purgeable_bo(fd);

	igt_describe("Check that a file can be closed with such BOs.");
	igt_subtest("free-with-file")
		free_with_file(fd);

	igt_describe("Check that no ioctl uses what is purgeable.");
	igt_subtest("use-purgeable-bo")
		use_purgeable_bo(fd);

	igt_describe("Check that no ioctl uses what was purged.");
	igt_subtest("use-purged-bo")
		use_purged_bo(fd);

	igt_describe("Check that nobody can give up what others use.");
	igt_subtest_with_dynamic("shared") {
		virtgpu_require(fd, CACHE);
		igt_dynamic("export")
			shared_by_export(fd);
		igt_dynamic("import")
			shared_by_import(fd);
		igt_dynamic("flink")
			shared_by_name(fd);
	}

	igt_describe("Check that a framebuffer keeps what it is made of.");
	igt_subtest("framebuffer")
		framebuffer(fd);

	igt_describe("Check that a BO is not purged while the host uses it.");
	igt_subtest("busy")
		busy(fd);

	igt_describe("Check that BOs are purged when their time is up, and not "
		     "before.");
	igt_subtest("expiry")
		expiry(fd);

	igt_describe("Check that memory pressure purges BOs.");
	igt_subtest("pressure")
		pressure(fd);

	igt_describe("Check that the cache's limit does not count them.");
	igt_subtest("limit")
		limit(fd);

	igt_describe("Check that nothing is purged while the cache is off.");
	igt_subtest("disabled")
		disabled(fd);

	igt_describe("Check that processes with one file see the same.");
	igt_subtest("fork")
		fork_shares_file(fd);

	igt_describe("Check that the parameter tells the time that BOs have.");
	igt_subtest("parameter")
		parameter(fd);

	igt_describe("Check what the ioctl refuses.");
	igt_subtest("bad-arguments")
		bad_arguments(fd);

	igt_fixture()
		drm_close_driver(fd);
}
