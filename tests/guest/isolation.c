// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * No byte written through one DRM file reaches another through a recycled
 * BO: not in guest pages, not in the host's copy, not through objects that
 * the host still has on the old resource, and in neither direction.
 *
 * Every check is shown to see what it looks for, on a BO that really is
 * shared, before it is believed to see nothing.
 */
#include "virtgpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SECRET 0xc3a55a3c		/* A's, nobody else writes it */
#define CANARY 0x5c5c5c5c
#define BOS 8

struct kind {
	const char *name;
	struct bo (*create)(int fd);
	bool virgl, blob, drawn;
};

static struct bo new_buffer(int fd)
{
	return bo_create(fd, buffer(64 * KIB));
}

static struct bo new_target(int fd)
{
	return bo_create(fd, texture(128, 128, BIND_RENDER_TARGET |
					       BIND_SAMPLER_VIEW));
}

static struct bo new_scanout(int fd)
{
	return bo_create(fd, texture(128, 128, BIND_RENDER_TARGET |
					       BIND_SCANOUT));
}

static struct bo new_dumb(int fd)
{
	return bo_dumb(fd, 128, 128);
}

static struct bo new_blob(int fd)
{
	return bo_blob(fd, 64 * KIB);
}

static const struct kind kinds[] = {
	{ .name = "buffer", .create = new_buffer, .virgl = true },
	{ .name = "render target", .create = new_target, .virgl = true,
	  .drawn = true },
	{ .name = "scanout texture", .create = new_scanout, .virgl = true,
	  .drawn = true },
	{ .name = "dumb buffer", .create = new_dumb },
	{ .name = "blob", .create = new_blob, .blob = true },
};

static void need_kind(const struct kind *kind)
{
	if (kind->virgl)
		need_virgl();
	if (kind->blob)
		need_blob();
}

static bool has_host_copy(const struct kind *kind)
{
	return !kind->blob && has_virgl();
}

/* Puts the secret wherever the BO has room for it */
static void write_secret(struct bo *bo, const struct kind *kind)
{
	static uint32_t surface;

	bo_fill(bo, SECRET);
	if (!has_host_copy(kind))
		return;
	bo_to_host(bo);
	if (kind->drawn) {
		gpu_surface(bo->fd, ++surface, bo);
		gpu_clear(bo->fd, surface, SECRET);
	}
	bo_wait(bo);
}

enum { IN_GUEST = 1, IN_HOST = 2 };

/* Where a fresh BO shows the secret, or anything else in guest pages */
static int leaks(struct bo *bo, const struct kind *kind)
{
	int where = 0;

	bo_wait(bo);
	if (bo_find_other(bo, 0) >= 0)
		where |= IN_GUEST;
	if (!has_host_copy(kind))
		return where;
	bo_fill(bo, CANARY);
	bo_from_host(bo);
	bo_wait(bo);
	must(bo_find(bo, CANARY) < 0);	/* the transfer did write it all */
	if (bo_find(bo, SECRET) >= 0)
		where |= IN_HOST;
	return where;
}

static void first_client(void *arg)
{
	const struct kind *kind = arg;
	struct bo bo[BOS];
	int fd = card_open();

	for (int i = 0; i < BOS; i++) {
		bo[i] = kind->create(fd);
		write_secret(&bo[i], kind);
		/* Some shared: they reach tier 2 while the client lives */
		if (i >= BOS / 2)
			close(bo_export(&bo[i]));
	}
	/* Some freed now, the others when the file closes */
	for (int i = 0; i < BOS; i += 2)
		bo_close(&bo[i]);
}

/* More than A had, so that all it freed is handed out */
static void assert_no_leak(const struct kind *kind)
{
	struct bo bo[2 * BOS];
	int fd = card_open();

	for (int i = 0; i < 2 * BOS; i++) {
		int where;

		bo[i] = kind->create(fd);
		where = leaks(&bo[i], kind);
		if (where)
			fail_msg("%s %d shows the first client's bytes (%s)",
				 kind->name, i,
				 where == IN_GUEST ? "guest" :
				 where == IN_HOST ? "host" : "both");
	}
	for (int i = 0; i < 2 * BOS; i++)
		bo_close(&bo[i]);
	close(fd);
}

/* The control: the same eyes on a BO that is shared on purpose */
static void a_leak_is_seen(void **state)
{
	const struct kind *kind = *state;
	int a = card_open(), b = card_open(), dmabuf, expect = IN_GUEST;
	struct bo bo, copy;

	need_kind(kind);
	if (has_host_copy(kind))
		expect |= IN_HOST;
	bo = kind->create(a);
	write_secret(&bo, kind);
	dmabuf = bo_export(&bo);
	copy = bo_import(b, dmabuf, &bo);
	assert_int_equal(leaks(&copy, kind), expect);
	close(dmabuf);
	close(b);
	close(a);
}

static void first_client_alive(void **state)
{
	const struct kind *kind = *state;
	struct client a;

	need_kind(kind);
	a = client_ready(first_client, (void *)kind);
	assert_no_leak(kind);
	/* once more, now that what can be zeroed has been */
	wait_for_rest();
	assert_no_leak(kind);
	client_exit(&a);
}

/* With the cache on, the second client must get the first one's pages */
static void assert_handed_on(uint64_t hits_before)
{
	if (has_cache() && knob_read("enabled"))
		assert_true(stat_of("hits_pages") > hits_before);
}

static uint64_t page_hits(void)
{
	return has_cache() ? stat_of("hits_pages") : 0;
}

static void first_client_gone(const struct kind *kind,
			      void (*end)(struct client *))
{
	uint64_t hits = page_hits();
	struct client a;

	for (int i = 0; i < 4; i++) {
		a = client_ready(first_client, (void *)kind);
		end(&a);
		/* at once: nothing may have been zeroed; and later */
		if (i & 1)
			wait_for_rest();
		assert_no_leak(kind);
	}
	assert_handed_on(hits);
}

static void first_client_exited(void **state)
{
	need_kind(*state);
	first_client_gone(*state, client_exit);
}

static void first_client_killed(void **state)
{
	need_kind(*state);
	first_client_gone(*state, client_kill);
}

/*
 * Stale host objects. A makes a surface on a texture and closes the handle;
 * the host's surface lives on in A's context.
 */
#define DRAWN 0xff2040ff
#define OTHERS 0x01020304
#define SURFACE 7

static struct bo target(int fd)
{
	return bo_create(fd, texture(64, 64, BIND_RENDER_TARGET |
					     BIND_SAMPLER_VIEW));
}

static uint32_t host_word(struct bo *bo)
{
	bo_fill(bo, CANARY);
	bo_from_host(bo);
	bo_wait(bo);
	return bo_map(bo)[0];
}

/* The control: with the handle kept, A sees its own clear */
static void a_clear_is_seen(void **state)
{
	int fd = render_open();
	struct bo bo;

	(void)state;
	need_virgl();
	bo = target(fd);
	gpu_surface(fd, SURFACE, &bo);
	gpu_clear(fd, SURFACE, DRAWN);
	assert_int_equal(host_word(&bo), DRAWN);
	assert_int_equal(bo_find_other(&bo, DRAWN), -1);
	close(fd);
}

/*
 * B's textures of the same shape, with B's content, while A draws. Catches:
 * a resource handed to another file, by tier 1 or by its number.
 */
static void draw_through_stale_surfaces(void (*between)(void))
{
	int a = render_open(), b = render_open();
	struct bo theirs[2 * BOS];

	for (int i = 0; i < BOS; i++) {
		struct bo bo = target(a);

		gpu_surface(a, SURFACE + i, &bo);
		bo_wait(&bo);
		bo_close(&bo);
	}
	if (between)
		between();
	for (int i = 0; i < 2 * BOS; i++) {
		theirs[i] = target(b);
		bo_fill(&theirs[i], OTHERS);
		bo_to_host(&theirs[i]);
		bo_wait(&theirs[i]);
	}
	for (int i = 0; i < BOS; i++)
		gpu_clear(a, SURFACE + i, DRAWN);
	for (int i = 0; i < 2 * BOS; i++) {
		assert_int_equal(bo_find_other(&theirs[i], OTHERS), -1);
		assert_int_equal(host_word(&theirs[i]), OTHERS);
		assert_int_equal(bo_find_other(&theirs[i], OTHERS), -1);
	}
	close(b);
	close(a);
}

static void a_stale_surface_does_not_reach_b(void **state)
{
	(void)state;
	need_virgl();
	draw_through_stale_surfaces(NULL);
}

static void purge(void)
{
	if (has_cache())
		knob_write("purge", 1);
}

static void a_purged_surface_does_not_reach_b(void **state)
{
	(void)state;
	need_virgl();
	draw_through_stale_surfaces(purge);
}

static void expire(void)
{
	if (has_cache())
		wait_until(!held_bos());
}

static void an_expired_surface_does_not_reach_b(void **state)
{
	(void)state;
	need_virgl();
	draw_through_stale_surfaces(expire);
}

/* The other direction: A tries to read B's texture, by its old number ... */
static void copy_from(int a, uint32_t res, struct bo *to)
{
	bo_fill(to, 0);
	bo_to_host(to);
	gpu_copy(a, to->res, res, 64, 64);
}

static void a_copy_is_seen(void **state)
{
	int fd = render_open();
	struct bo from, to;

	(void)state;
	need_virgl();
	from = target(fd);
	to = target(fd);
	bo_fill(&from, SECRET);
	bo_to_host(&from);
	copy_from(fd, from.res, &to);
	assert_int_equal(host_word(&to), SECRET);
	close(fd);
}

/*
 * ... or by B's. Each try has a file of its own: the host gives up on a
 * context that asked for what it may not have. Catches: a context left
 * attached to a resource that went to somebody else.
 */
static void an_old_number_does_not_read_b(void **state)
{
	int b;

	(void)state;
	need_virgl();
	b = render_open();
	for (int i = 0; i < 4; i++) {
		int a = render_open();
		struct bo to = target(a), old = target(a), secret;
		uint32_t number = old.res;

		bo_wait(&old);
		bo_close(&old);
		if (i & 1)
			purge();
		secret = target(b);
		bo_fill(&secret, SECRET);
		bo_to_host(&secret);
		bo_wait(&secret);
		copy_from(a, i & 2 ? secret.res : number, &to);
		assert_int_not_equal(host_word(&to), SECRET);
		assert_int_equal(bo_find(&to, SECRET), -1);
		bo_close(&secret);
		close(a);
	}
	close(b);
}

#define OF_KIND(f, k) { #f " (" #k ")", f, fresh_cache, NULL, \
			(void *)&kinds[k] }
#define OF_ALL_KINDS(f) OF_KIND(f, BUFFER), OF_KIND(f, RENDER_TARGET), \
	OF_KIND(f, SCANOUT), OF_KIND(f, DUMB), OF_KIND(f, BLOB)
enum { BUFFER, RENDER_TARGET, SCANOUT, DUMB, BLOB };

int main(void)
{
	const struct CMUnitTest tests[] = {
		OF_ALL_KINDS(a_leak_is_seen),
		OF_ALL_KINDS(first_client_alive),
		OF_ALL_KINDS(first_client_exited),
		OF_ALL_KINDS(first_client_killed),
		test(a_clear_is_seen),
		test(a_stale_surface_does_not_reach_b),
		test(a_purged_surface_does_not_reach_b),
		test(an_expired_surface_does_not_reach_b),
		test(a_copy_is_seen),
		test(an_old_number_does_not_read_b),
	};

	return run(tests);
}
