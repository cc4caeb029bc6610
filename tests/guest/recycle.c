// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a client gets back: the same resource with no host command when that
 * is harmless, and always something that cannot be told from a new BO.
 */
#include "virtgpu.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xf86drm.h>

#define CYCLES 200

static struct commands commands_of_cycles(int fd, shape_t shape, int cycles)
{
	commands_start();
	for (int i = 0; i < cycles; i++)
		bo_cycle(fd, shape);
	return commands_stop();
}

/*
 * Catches: any command left in the create or close path of a tier 1 hit
 * (a CTX_DETACH not withheld, an attach sent again). That the count sees
 * commands at all is shown first, with the cache off.
 */
static void a_cycle_sends_no_command(void **state)
{
	shape_t shape = buffer(64 * KIB);
	int fd = render_open();
	struct commands c;

	(void)state;
	need_virgl();
	need_cache();
	knob_write("enabled", 0);
	c = commands_of_cycles(fd, shape, CYCLES);
	assert_int_equal(c.all, 5 * CYCLES);
	knob_write("enabled", 1);
	commands_of_cycles(fd, shape, 10);
	c = commands_of_cycles(fd, shape, CYCLES);
	assert_int_equal(c.all, 0);
	close(fd);
}

/* Frees a BO of shape A and says whether the next one, B, is the same */
static bool recycles(int fd, shape_t a, shape_t b)
{
	struct bo bo = bo_create(fd, a);
	uint32_t res = bo.res;
	bool same;

	bo_wait(&bo);
	bo_close(&bo);
	/* The last of its commands may still hold it */
	if (has_cache() && knob_read("enabled"))
		wait_until(held_bos() > 0);
	bo = bo_create(fd, b);
	same = bo.res == res;
	bo_close(&bo);
	if (has_cache())
		knob_write("purge", 1);
	return same;
}

/* Catches: a cache that never hits */
static void same_shape_comes_back(void **state)
{
	shape_t tex = texture(64, 64, BIND_SAMPLER_VIEW);
	int fd = render_open();

	(void)state;
	need_virgl();
	need_cache();
	assert_true(recycles(fd, buffer(64 * KIB), buffer(64 * KIB)));
	assert_true(recycles(fd, buffer(4096), buffer(4096)));
	assert_true(recycles(fd, tex, tex));
	close(fd);
}

/* Catches: a field of the create ioctl forgotten in the identity */
static void other_shape_never_comes_back(void **state)
{
	const shape_t a = texture(64, 64,
				  BIND_SAMPLER_VIEW | BIND_RENDER_TARGET);
	int fd = render_open();
	shape_t b[10];
	size_t n = 0;

	(void)state;
	need_virgl();
	for (size_t i = 0; i < ARRAY_SIZE(b); i++) {
		b[i] = a;
		b[i].size *= 2;		/* so that every b fits its pages */
	}
	b[n++].format = FORMAT_RGBA8;
	b[n++].bind = BIND_SAMPLER_VIEW;
	b[n++].target = 5;		/* rectangle */
	b[n++].width = 32;
	b[n++].height = 32;
	b[n].target = TARGET_3D, b[n++].depth = 2;
	b[n].target = 7, b[n++].array_size = 2;
	b[n++].last_level = 1;
	b[n++].nr_samples = 4;
	b[n++].flags = 1;		/* y = 0 at the top */
	assert_int_equal(n, ARRAY_SIZE(b));
	for (size_t i = 0; i < n; i++) {
		shape_t roomy = a;

		roomy.size = b[i].size;
		if (recycles(fd, roomy, b[i]))
			fail_msg("shape %zu got the other's resource", i);
	}
	close(fd);
}

static void other_buffer_never_comes_back(void **state)
{
	shape_t a = buffer(64 * KIB), b = a;
	int fd = render_open();

	(void)state;
	need_virgl();
	b.bind = BIND_INDEX;
	assert_false(recycles(fd, a, b));
	b = a;
	b.format = FORMAT_RGBA8;
	assert_false(recycles(fd, a, b));
	b = a;
	b.flags = 1 << 1;		/* persistently mapped */
	assert_false(recycles(fd, a, b));
	close(fd);
}

/* Catches: a bucket match without the 1/8 check, or one that is too small */
static void recycled_buffer_fits(void **state)
{
	unsigned int hits = 0;
	int fd = render_open();

	(void)state;
	need_virgl();
	srand(1);
	for (int i = 0; i < 300; i++) {
		uint32_t pages = 1 + rand() % 64;
		int more = rand() % 9 - 4;
		uint32_t want = (int)pages + more < 1 ? 1 : pages + more;
		struct bo bo = bo_create(fd, buffer(pages * 4096));
		uint32_t res = bo.res;

		bo_wait(&bo);
		bo_close(&bo);
		bo = bo_create(fd, buffer(want * 4096));
		assert_true(bo.size >= want * 4096);
		assert_true(bo.size <= want * 4096 * 9ull / 8);
		if (bo.res == res) {
			hits++;
			assert_true(want <= pages && pages * 8 <= want * 9);
		}
		/* All of it can be used */
		bo_fill(&bo, ~0u);
		bo_close(&bo);
		if (has_cache())
			knob_write("purge", 1);
	}
	printf("# %u of 300 recycled\n", hits);
	if (has_cache() && knob_read("enabled"))
		assert_true(hits > 30);	/* 1 in 9 asks for the same size */
	else
		assert_int_equal(hits, 0);
	close(fd);
}

/* Catches: a texture given a backing of another size */
static void texture_size_is_exact(void **state)
{
	shape_t a = texture(96, 96, BIND_SAMPLER_VIEW), b = a;
	int fd = render_open();

	(void)state;
	need_virgl();
	b.size -= 4096;
	assert_false(recycles(fd, a, b));
	assert_false(recycles(fd, b, a));
	close(fd);
}

/* Catches: an entry handed out while the host still works on it */
static void a_new_bo_is_idle(void **state)
{
	shape_t shape = texture(256, 256, BIND_SAMPLER_VIEW);
	unsigned int busy = 0;
	int fd = render_open();

	(void)state;
	need_virgl();
	for (int i = 0; i < 50; i++) {
		struct bo bo = bo_create(fd, shape);

		bo_to_host(&bo);
		busy += bo_busy(&bo);	/* the control: it can be seen */
		bo_close(&bo);
		bo = bo_create(fd, shape);
		/* Stock too may still be creating it: that is all it does */
		bo_wait(&bo);
		bo_close(&bo);
	}
	assert_true(busy > 0);
	for (int i = 0; i < 50; i++) {
		struct bo bo = bo_create(fd, shape);
		uint32_t res = bo.res;

		bo_to_host(&bo);
		bo_close(&bo);
		bo = bo_create(fd, shape);
		if (bo.res == res)
			assert_false(bo_busy(&bo));
		bo_close(&bo);
	}
	close(fd);
}

/* Catches: an entry that keeps what its last user wrote */
static void a_new_bo_is_zero(void **state)
{
	const shape_t shapes[] = {
		buffer(4096), buffer(64 * KIB), buffer(1 * MIB),
		texture(128, 128, BIND_SAMPLER_VIEW),
	};
	int fd = render_open();

	(void)state;
	need_virgl();
	for (size_t i = 0; i < 4 * ARRAY_SIZE(shapes); i++) {
		struct bo bo = bo_create(fd, shapes[i / 4]);

		bo_fill(&bo, 0xa5a5a5a5);
		assert_int_equal(bo_find_other(&bo, 0xa5a5a5a5), -1);
		if (i & 1)
			bo_to_host(&bo);
		bo_close(&bo);
		/* Some at once, some after the worker may have zeroed it */
		if (i & 2)
			sleep_ms(100);
		bo = bo_create(fd, shapes[i / 4]);
		assert_int_equal(bo_find_other(&bo, 0), -1);
		bo_close(&bo);
	}
	close(fd);
}

/* Dumb buffers, on any device */
static void a_new_dumb_buffer_is_zero(void **state)
{
	int fd = card_open();

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct bo bo = bo_dumb(fd, 256, 256);

		bo_fill(&bo, 0xa5a5a5a5);
		bo_close(&bo);
		if (i & 1)
			sleep_ms(100);
		bo = bo_dumb(fd, 256, 256);
		assert_int_equal(bo_find_other(&bo, 0), -1);
		bo_close(&bo);
	}
	close(fd);
}

/*
 * Who makes only dumb buffers has no context on the host, so there is nothing to
 * withhold.  Catches: taking what was not withheld for a sign that others know it
 */
static void a_dumb_buffer_comes_back_each_time(void **state)
{
	int fd = card_open_bare();
	struct bo bo;
	uint32_t res;

	(void)state;
	need_virgl();
	need_cache();
	bo = bo_dumb(fd, 256, 256);
	res = bo.res;
	for (int i = 0; i < 4; i++) {
		bo_wait(&bo);
		bo_close(&bo);
		wait_until(held_bos() > 0);
		bo = bo_dumb(fd, 256, 256);
		assert_int_equal(bo.res, res);
	}
	bo_close(&bo);
	close(fd);
}

/* Catches: the right to map that outlives the handle */
static void a_closed_bo_cannot_be_mapped(void **state)
{
	struct bo bo;
	uint64_t offset;
	int fd = render_open(), other = render_open();
	void *p;

	(void)state;
	need_virgl();
	bo = bo_create(fd, buffer(64 * KIB));
	offset = bo_offset(&bo);
	p = mmap(NULL, bo.size, PROT_READ, MAP_SHARED, fd, offset);
	assert_ptr_not_equal(p, MAP_FAILED);
	munmap(p, bo.size);
	bo_close(&bo);
	p = mmap(NULL, bo.size, PROT_READ, MAP_SHARED, fd, offset);
	assert_ptr_equal(p, MAP_FAILED);
	/* Nor by the first one once it is somebody else's */
	bo = bo_create(other, buffer(64 * KIB));
	bo_map(&bo);
	p = mmap(NULL, bo.size, PROT_READ, MAP_SHARED, fd, bo_offset(&bo));
	assert_ptr_equal(p, MAP_FAILED);
	bo_close(&bo);
	close(other);
	close(fd);
}

/* Catches: an entry freed under, or recycled beside, a live mapping */
static void a_mapping_outlives_the_handle(void **state)
{
	struct bo bo, next;
	struct drm_gem_close arg;
	int fd = render_open();

	(void)state;
	need_virgl();
	bo = bo_create(fd, buffer(64 * KIB));
	bo_fill(&bo, 0x11111111);
	arg = (struct drm_gem_close){ .handle = bo.handle };
	must(!drmIoctl(fd, DRM_IOCTL_GEM_CLOSE, &arg));
	next = bo_create(fd, buffer(64 * KIB));
	assert_int_not_equal(next.res, bo.res);
	bo_fill(&next, 0x22222222);
	assert_int_equal(bo_find_other(&bo, 0x11111111), -1);
	bo_close(&next);
	bo_unmap(&bo);
	close(fd);
}

/*
 * Shared once, never recycled as a resource: the other side may still know
 * it. "Twice" because the first new BO must not get it and neither the next.
 */
static void assert_gone(int fd, uint32_t res)
{
	struct bo a = bo_create(fd, buffer(64 * KIB));
	struct bo b = bo_create(fd, buffer(64 * KIB));

	assert_int_not_equal(a.res, res);
	assert_int_not_equal(b.res, res);
	bo_close(&a);
	bo_close(&b);
}

static void exported_is_not_recycled(void **state)
{
	int fd = render_open();
	struct bo bo;
	uint32_t res;

	(void)state;
	need_virgl();
	bo = bo_create(fd, buffer(64 * KIB));
	res = bo.res;
	close(bo_export(&bo));
	bo_close(&bo);
	assert_gone(fd, res);
	close(fd);
}

static void imported_is_not_recycled(void **state)
{
	int fd = render_open(), other = render_open(), dmabuf;
	struct bo bo, copy;

	(void)state;
	need_virgl();
	bo = bo_create(fd, buffer(64 * KIB));
	dmabuf = bo_export(&bo);
	copy = bo_import(other, dmabuf, &bo);
	close(dmabuf);
	assert_int_equal(copy.res, bo.res);
	bo_close(&bo);
	assert_gone(fd, copy.res);
	bo_close(&copy);
	assert_gone(fd, copy.res);
	assert_gone(other, copy.res);
	close(other);
	close(fd);
}

static void flinked_is_not_recycled(void **state)
{
	int fd = card_open();
	struct drm_gem_open open_arg = { 0 };
	struct drm_gem_close close_arg = { 0 };
	struct bo bo;
	uint32_t res;

	(void)state;
	need_virgl();
	bo = bo_create(fd, buffer(64 * KIB));
	res = bo.res;
	open_arg.name = bo_flink(&bo);
	bo_close(&bo);
	assert_gone(fd, res);
	/* and with a second handle in the same file */
	bo = bo_create(fd, buffer(64 * KIB));
	res = bo.res;
	open_arg.name = bo_flink(&bo);
	must(!drmIoctl(fd, DRM_IOCTL_GEM_OPEN, &open_arg));
	bo_close(&bo);
	assert_gone(fd, res);
	close_arg.handle = open_arg.handle;
	must(!drmIoctl(fd, DRM_IOCTL_GEM_CLOSE, &close_arg));
	assert_gone(fd, res);
	close(fd);
}

/* Catches: Mesa's old fences, which are fresh CUSTOM buffers, going wrong */
static void custom_is_not_recycled(void **state)
{
	shape_t shape = buffer(4096);
	int fd = render_open();

	(void)state;
	need_virgl();
	shape.bind = BIND_CUSTOM;
	for (int i = 0; i < 5; i++)
		assert_false(recycles(fd, shape, shape));
	shape.bind |= BIND_VERTEX;
	assert_false(recycles(fd, shape, shape));
	close(fd);
}

/* The host's copy of a blob is the guest's pages: nothing to keep */
static void blob_is_not_recycled(void **state)
{
	int fd = render_open();

	(void)state;
	need_blob();
	for (int i = 0; i < 5; i++) {
		struct bo bo = bo_blob(fd, 64 * KIB);
		uint32_t res = bo.res;

		bo_close(&bo);
		bo = bo_blob(fd, 64 * KIB);
		assert_int_not_equal(bo.res, res);
		bo_close(&bo);
	}
	close(fd);
}

#define PIPE_PAGES 256
#define PIPES 144

/*
 * Leaves no two free pages side by side, so that each of a BO's pages is an
 * entry of its own: pages of two pipes are taken in turn, and those of the
 * second are given back. (Pipes, because their pages cannot be moved and so
 * come from where a BO's come from.)
 */
static void fragment_memory(int kept[PIPES][2])
{
	static const char page[4096] = { 1 };
	int freed[PIPES][2];

	for (int i = 0; i < PIPES; i++) {
		must(!pipe(kept[i]) && !pipe(freed[i]));
		must(fcntl(kept[i][1], F_SETPIPE_SZ, PIPE_PAGES * 4096) > 0);
		must(fcntl(freed[i][1], F_SETPIPE_SZ, PIPE_PAGES * 4096) > 0);
		for (int n = 0; n < PIPE_PAGES; n++) {
			must(write(kept[i][1], page, sizeof(page)) > 0);
			must(write(freed[i][1], page, sizeof(page)) > 0);
		}
	}
	for (int i = 0; i < PIPES; i++) {
		close(freed[i][0]);
		close(freed[i][1]);
	}
}

static void close_pipes(int pipes[PIPES][2])
{
	for (int i = 0; i < PIPES; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
}

/*
 * The host takes at most 16384 entries of backing: half as many as this
 * texture has pages. Catches: a resource without any handed to somebody, and
 * a tier 1 that does not look at answers. Where memory is not in pieces as
 * small, as on the debug kernel, "fault" has another way to be refused.
 */
static void refused_is_not_recycled(void **state)
{
	shape_t shape = texture(8192, 4096, BIND_SAMPLER_VIEW); /* 128 MiB */
	int pipes[PIPES][2];
	uint64_t refused = 0;
	struct commands c;
	struct bo bo, later;
	uint32_t res;
	int fd;

	(void)state;
	need_virgl();
	fd = render_open();
	fragment_memory(pipes);
	if (has_cache()) {
		refused = stat_of("rejected_refused");
		knob_write("max_bytes", 256 * MIB);
	}
	commands_start();
	bo = bo_create(fd, shape);
	res = bo.res;
	/* The host answers in turn: after this one it has answered for all */
	later = bo_create(fd, buffer(4096));
	bo_wait(&later);
	bo_close(&later);
	c = commands_stop();
	bo_close(&bo);
	close_pipes(pipes);
	if (!c.errors) {		/* the control: it was refused */
		printf("# memory is not in so many pieces\n");
		skip();
	}
	bo = bo_create(fd, shape);
	assert_int_not_equal(bo.res, res);
	bo_close(&bo);
	if (has_cache() && knob_read("enabled"))
		assert_true(stat_of("rejected_refused") > refused);
	close(fd);
}

/* Tier 1 belongs to a file; catches: handing it to any other */
static void a_resource_stays_with_its_file(void **state)
{
	int fd = render_open(), other = render_open();

	(void)state;
	need_virgl();
	for (int i = 0; i < 20; i++) {
		struct bo bo = bo_create(fd, buffer(64 * KIB));
		uint32_t res = bo.res;

		bo_close(&bo);
		bo = bo_create(other, buffer(64 * KIB));
		assert_int_not_equal(bo.res, res);
		bo_close(&bo);
	}
	close(other);
	close(fd);
}

/* Catches: tier 2 that never hits, or a hit that sends more than a create */
static void pages_go_to_anyone(void **state)
{
	uint64_t hits, demotions;
	int fd = render_open(), other = render_open();
	struct bo bo;
	struct commands c;

	(void)state;
	need_virgl();
	need_cache();
	bo_cycle(other, buffer(4096));	/* makes its context */
	hits = stat_of("hits_pages");
	demotions = stat_of("demotions");
	bo = bo_create(fd, buffer(256 * KIB));
	bo_wait(&bo);
	bo_close(&bo);
	/* A worker may drop the last reference, a moment after the fence */
	wait_until(cache_holds(bo.res));
	close(fd);
	wait_until(stat_of("demotions") > demotions);
	wait_for_rest();
	commands_start();
	bo = bo_create(other, buffer(256 * KIB));
	c = commands_stop();
	assert_int_equal(stat_of("hits_pages"), hits + 1);
	assert_int_equal(c.creates, 1);
	assert_int_equal(c.attaches, 1);
	assert_int_equal(c.ctx_attaches, 1);
	assert_int_equal(c.all, 3);
	bo_close(&bo);
	close(other);
	assert_counters_add_up();
}

/* Dumb buffers reach tier 2 on every device */
static void dumb_pages_are_reused(void **state)
{
	uint64_t hits;
	int fd = card_open();
	struct bo bo;

	(void)state;
	need_cache();
	hits = stat_of("hits_pages") + stat_of("hits_resource");
	bo = bo_dumb(fd, 512, 512);
	bo_close(&bo);
	wait_until(held_bos() > 0);
	bo = bo_dumb(fd, 512, 512);
	assert_int_equal(stat_of("hits_pages") + stat_of("hits_resource"),
			 hits + 1);
	bo_close(&bo);
	close(fd);
	assert_counters_add_up();
}

/* Whether the pages for a new BO are among what can be given up */
static bool reclaimable(int fd, uint32_t lines)
{
	uint64_t n = 512 * 4 * lines / 4096;
	struct pages pages;
	struct bo bo;

	pages_start();
	bo = bo_dumb(fd, 512, lines);
	pages = pages_stop();
	assert_true(pages.all >= n);
	bo_close(&bo);
	return pages.reclaimable >= n;
}

/*
 * Catches: pages of BOs among the kernel's unmovable ones, so that freed ones
 * leave no block whole, which is what a balloon reports.  Off, it is as stock.
 * The sizes are nobody else's, as they shall not come from the cache.
 */
static void pages_are_kept_together(void **state)
{
	int fd = card_open();

	(void)state;
	need_cache();
	need_page_counts();
	knob_write("enabled", 0);
	assert_false(reclaimable(fd, 602));
	knob_write("enabled", 1);
	assert_true(reclaimable(fd, 604));
	close(fd);
}

static void blob_pages_are_reused(void **state)
{
	uint64_t hits;
	int fd = render_open();
	struct bo bo;

	(void)state;
	need_blob();
	need_cache();
	hits = stat_of("hits_pages");
	bo = bo_blob(fd, 256 * KIB);
	bo_close(&bo);
	wait_until(stat_of("held_pages_bos") > 0);
	bo = bo_blob(fd, 256 * KIB);
	assert_int_equal(stat_of("hits_pages"), hits + 1);
	assert_int_equal(bo_find_other(&bo, 0), -1);
	bo_close(&bo);
	close(fd);
}

/* A recycled BO does all a new one does; catches: half-reset state */
static void a_recycled_bo_works(void **state)
{
	shape_t shape = texture(64, 64,
				BIND_RENDER_TARGET | BIND_SAMPLER_VIEW);
	int fd = render_open(), other = render_open(), dmabuf;
	struct bo copy;

	(void)state;
	need_virgl();
	for (int i = 0; i < 4; i++) {
		struct bo bo = bo_create(fd, shape);
		uint32_t color = 0xff000000 + i * 0x10203;

		gpu_surface(fd, 1 + i, &bo);
		gpu_clear(fd, 1 + i, color);
		bo_from_host(&bo);
		bo_wait(&bo);
		assert_int_equal(bo_find_other(&bo, color), -1);
		bo_fill(&bo, i);
		bo_to_host(&bo);
		bo_wait(&bo);
		bo_fill(&bo, ~0u);
		bo_from_host(&bo);
		bo_wait(&bo);
		assert_int_equal(bo_find_other(&bo, i), -1);
		if (i == 3) {
			dmabuf = bo_export(&bo);
			copy = bo_import(other, dmabuf, &bo);
			assert_int_equal(bo_find_other(&copy, i), -1);
			bo_close(&copy);
			close(dmabuf);
		}
		bo_close(&bo);
	}
	close(other);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_lasting(a_cycle_sends_no_command),
		test_lasting(same_shape_comes_back),
		test_lasting(other_shape_never_comes_back),
		test_lasting(other_buffer_never_comes_back),
		test_lasting(recycled_buffer_fits),
		test_lasting(texture_size_is_exact),
		test_lasting(a_new_bo_is_idle),
		test_lasting(a_new_bo_is_zero),
		test_lasting(a_new_dumb_buffer_is_zero),
		test_lasting(a_dumb_buffer_comes_back_each_time),
		test_lasting(a_closed_bo_cannot_be_mapped),
		test_lasting(a_mapping_outlives_the_handle),
		test_lasting(exported_is_not_recycled),
		test_lasting(imported_is_not_recycled),
		test_lasting(flinked_is_not_recycled),
		test_lasting(custom_is_not_recycled),
		test_lasting(blob_is_not_recycled),
		test_lasting(refused_is_not_recycled),
		test_lasting(a_resource_stays_with_its_file),
		test_lasting(pages_go_to_anyone),
		test_lasting(dumb_pages_are_reused),
		test_lasting(pages_are_kept_together),
		test_lasting(blob_pages_are_reused),
		test_lasting(a_recycled_bo_works),
	};

	return run(tests);
}
