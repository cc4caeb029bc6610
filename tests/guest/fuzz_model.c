// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fuzzer's model: which files, handles and mappings a worker has, and what
 * must be in every BO, in the guest's pages and in the host's copy.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xf86drm.h>

struct worker me;

static const char *const kind_names[] = {
	[BUFFER] = "buffer", [TEXTURE] = "texture", [DUMB] = "dumb BO",
	[BLOB] = "blob", [ODD] = "BO the host refused",
};

/* Random numbers */

uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t z = a + (b + 1) * 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint32_t rnd(uint32_t n)
{
	me.random = mix(me.random, 0);
	return (me.random >> 32) * n >> 32;
}

bool one_in(uint32_t n)
{
	return !rnd(n);
}

/* Calls */

void fault_window(bool open)
{
	if (me.make_it_fail >= 0)
		must(pwrite(me.make_it_fail, open ? "1" : "0", 1, 0) == 1);
}

int plain_call(int fd, unsigned long request, void *arg)
{
	return drmIoctl(fd, request, arg) ? -errno : 0;
}

int call(int fd, unsigned long request, void *arg)
{
	int err;

	fault_window(true);
	err = plain_call(fd, request, arg);
	fault_window(false);
	return err;
}

/*
 * EFAULT: no memory for the page of ours that it was to read or write.
 * ENOSPC: none for the inode of a new BO, says shmem.
 */
static bool is_starved(int err)
{
	if (me.make_it_fail < 0 ||
	    (err != -ENOMEM && err != -EFAULT && err != -ENOSPC))
		return false;
	__atomic_add_fetch(&shared->starved, 1, __ATOMIC_RELAXED);
	return true;
}

bool fine_or(int err, int if_starved)
{
	if (!err)
		return true;
	if (is_starved(err) || (if_starved && err == -if_starved &&
				is_starved(-ENOMEM)))
		return false;
	wrong("failed with %s", strerror(-err));
}

bool fine(int err)
{
	return fine_or(err, 0);
}

void refused(int err, int with, int or_with)
{
	if (is_starved(err))
		return;
	if (!err)
		wrong("not refused with %s", strerror(with));
	if (err != -with && (!or_with || err != -or_with))
		wrong("refused with %s, not with %s", strerror(-err),
		      strerror(with));
	__atomic_add_fetch(&shared->refused, 1, __ATOMIC_RELAXED);
}

/* Content */

#define TAG_WHO 0xb0c5u
#define TAG_WHAT 0xb0c6u

uint32_t tagged(uint16_t owner, uint64_t salt, size_t i)
{
	if (i & 1)
		return TAG_WHAT << 16 | (mix(salt, i) & 0xffff);
	return TAG_WHO << 16 | owner;
}

bool is_foreign(uint32_t word, uint16_t owner)
{
	return word >> 16 == TAG_WHO && (word & 0xffff) != owner;
}

static void say_whose(char *text, size_t size, uint32_t word)
{
	*text = 0;
	if (word >> 16 == TAG_WHO)
		snprintf(text, size, ", a tag of worker %u's file %u",
			 (word & 0xffff) >> 12, word & 0xfff);
	else if (word >> 16 == TAG_WHAT)
		snprintf(text, size, ", somebody's content");
}

static void __attribute__((noreturn))
mismatch(const struct object *o, const char *where, size_t i,
	 uint32_t expected, uint32_t found)
{
	char whose[64];

	shared->mismatches++;
	say_whose(whose, sizeof(whose), found);
	wrong("BO %u of worker %u's file %u (resource %u, %s of %llu bytes%s), "
	      "%s, byte 0x%zx: expected 0x%08x, found 0x%08x%s", o->serial,
	      o->owner >> 12, o->owner & 0xfff, o->res, kind_names[o->kind],
	      (unsigned long long)o->size, o->frozen ? ", shared" : "", where,
	      i * 4, expected, found, whose);
}

void assert_zero(const uint32_t *words, size_t n, const char *of_what)
{
	char whose[64];

	for (size_t i = 0; i < n; i++) {
		if (!words[i])
			continue;
		say_whose(whose, sizeof(whose), words[i]);
		wrong("%s, byte 0x%zx: expected 0, found 0x%08x%s", of_what,
		      i * 4, words[i], whose);
	}
}

void fill(struct object *o, size_t first, size_t n, uint64_t salt)
{
	for (size_t i = first; i < first + n; i++)
		o->guest[i] = tagged(o->owner, salt, i);
}

/* Files */

static void set_nonexistent(struct file *f)
{
	*f = (struct file){ .fd = -1 };
}

void open_file(struct file *f)
{
	*f = (struct file){
		.card = rnd(2),
		.owner = me.id << 12 | (me.files++ & 0xfff),
	};
	f->fd = f->card ? card_open() : render_open();
}

static void forget_stale(const struct file *f)
{
	for (int i = 0; i < STALE; i++)
		if (me.stale[i].file == f)
			me.stale[i].size = 0;
}

static void lost_framebuffer(struct framebuffer *fb)
{
	fb->file = NULL;
	forget_if_dead(fb->object);
}

void close_file(struct file *f)
{
	for (int i = 0; i < HANDLES; i++)
		if (me.handle[i].file == f)
			abandon(me.handle[i].object);
	must(!close(f->fd));
	for (int i = 0; i < FRAMEBUFFERS; i++)
		if (me.framebuffer[i].file == f)
			lost_framebuffer(&me.framebuffer[i]);
	for (int i = 0; i < HANDLES; i++)
		if (me.handle[i].file == f)
			lost_handle(&me.handle[i]);
	forget_stale(f);
	set_nonexistent(f);
}

struct file *any_file(void)
{
	return &me.file[rnd(FILES)];
}

struct file *any_card(void)
{
	unsigned int first = rnd(FILES);

	for (int i = 0; i < FILES; i++) {
		struct file *f = &me.file[(first + i) % FILES];

		if (f->card)
			return f;
	}
	return NULL;
}

int open_again(const char *path)
{
	int fd;

	fault_window(true);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	fault_window(false);
	return fd;
}

/* Picking */

bool has_any(const struct handle *h)
{
	(void)h;
	return true;
}

bool has_host(const struct handle *h)
{
	return h->object->width && (h->attached || !device.virgl);
}

bool is_writable(const struct handle *h)
{
	return has_host(h) && !h->object->frozen;
}

bool is_on_card(const struct handle *h)
{
	return h->file->card;
}

struct handle *any_handle(fits_fn fits)
{
	unsigned int first = rnd(HANDLES);

	for (int i = 0; i < HANDLES; i++) {
		struct handle *h = &me.handle[(first + i) % HANDLES];

		if (h->file && !h->object->unneeded && fits(h))
			return h;
	}
	return NULL;
}

static struct handle *handle_of(const struct object *o)
{
	for (int i = 0; i < HANDLES; i++)
		if (me.handle[i].file && me.handle[i].object == o)
			return &me.handle[i];
	return NULL;
}

static struct mapping *mapping_of(const struct object *o, uint64_t size)
{
	for (int i = 0; i < MAPPINGS; i++)
		if (me.mapping[i].words && me.mapping[i].object == o &&
		    me.mapping[i].size >= size)
			return &me.mapping[i];
	return NULL;
}

/* A framebuffer alone does not show anything, nor what nobody needs */
bool is_viewable(const struct object *o)
{
	return !o->unneeded &&
	       (handle_of(o) || o->dmabuf >= 0 || mapping_of(o, o->size));
}

struct object *any_object(void)
{
	unsigned int first = rnd(OBJECTS);

	for (int i = 0; i < OBJECTS; i++) {
		struct object *o = &me.object[(first + i) % OBJECTS];

		if (o->res && is_viewable(o))
			return o;
	}
	return NULL;
}

struct object *find_object(uint32_t res)
{
	for (int i = 0; i < OBJECTS; i++)
		if (res && me.object[i].res == res)
			return &me.object[i];
	return NULL;
}

/* Coming and going */

static bool has_room(void)
{
	unsigned int objects = 0, handles = 0;

	for (int i = 0; i < OBJECTS; i++)
		objects += !me.object[i].res;
	for (int i = 0; i < HANDLES; i++)
		handles += !me.handle[i].file;
	return objects && handles > HANDLES / 4;
}

/* Those that only a mapping or a framebuffer holds go last */
void make_room(void)
{
	while (!has_room()) {
		struct handle *h = any_handle(has_any);

		if (h)
			close_handle(h);
		else
			drop_all();
	}
}

static uint32_t *live_slot(uint32_t res)
{
	return &shared->live[res % ARRAY_SIZE(shared->live)];
}

/* Those killed don't sign on: they could not sign off */
static void sign_on(uint32_t res)
{
	uint32_t free = 0;

	if (me.inbox < 0)
		return;
	if (!__atomic_compare_exchange_n(live_slot(res), &free, res, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
	    free == res)
		wrong("resource %u is new, but another worker has it", res);
}

static void sign_off(uint32_t res)
{
	if (me.inbox >= 0)
		__atomic_compare_exchange_n(live_slot(res), &res, 0, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static struct object *new_object(const struct object *like)
{
	for (int i = 0; i < OBJECTS; i++) {
		struct object *o = &me.object[i];

		if (o->res)
			continue;
		*o = *like;
		o->dmabuf = -1;
		o->serial = ++me.serial;
		o->guest = calloc(1, o->size);
		must(o->guest);
		if (o->width) {
			o->host = calloc(1, o->size);
			o->known = calloc(o->size / 4, 1);
			must(o->host && o->known);
		}
		return o;
	}
	wrong("(the fuzzer) no room for a BO");
}

/* Only a buffer may be larger than asked, and by an eighth at most */
static void check_size(enum kind kind, uint64_t asked, uint64_t size)
{
	uint64_t most;

	asked = (asked + 4095) & ~4095ull;
	most = asked;
	if ((kind == BUFFER || kind == ODD) && device.cache)
		most += asked / 8;
	if (size < asked || size > most)
		wrong("asked for %llu bytes, got %llu",
		      (unsigned long long)asked, (unsigned long long)size);
}

static struct drm_virtgpu_resource_info info_of(struct file *f, uint32_t handle)
{
	struct drm_virtgpu_resource_info info = { .bo_handle = handle };
	int err = plain_call(f->fd, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info);

	if (err)
		wrong("no information on a new handle: %s", strerror(-err));
	return info;
}

void born(struct file *f, uint32_t handle, uint32_t res, uint64_t asked,
	  struct object like)
{
	struct drm_virtgpu_resource_info info = info_of(f, handle);
	struct object *o;

	if (res && info.res_handle != res)
		wrong("resource %u is called %u", res, info.res_handle);
	check_size(like.kind, asked, info.size);
	if (find_object(info.res_handle))
		wrong("resource %u is new, but in use", info.res_handle);
	sign_on(info.res_handle);
	like.res = info.res_handle;
	like.size = info.size;
	like.owner = f->owner;
	tell("  BO of resource %u, %s, bind 0x%x, in file %td", like.res,
	     kind_names[like.kind], like.bind, f - me.file);
	o = new_object(&like);
	got_handle(f, handle, o);
	if (one_in(2))
		check(o);
}

/*
 * Each handle attaches the BO to the file's context, but one of them closed
 * detaches it for good; to use it then is the end of the context.
 */
static void set_attached(const struct file *f, const struct object *o,
			 bool attached)
{
	for (int i = 0; i < HANDLES; i++)
		if (me.handle[i].file == f && me.handle[i].object == o)
			me.handle[i].attached = attached;
}

/* A number may be one we know; if so, it must be of this BO */
struct handle *got_handle(struct file *f, uint32_t handle, struct object *o)
{
	struct handle *slot = NULL;
	struct drm_virtgpu_resource_info info = info_of(f, handle);

	if (info.res_handle != o->res || info.size != o->size)
		wrong("handle %u is resource %u of %u bytes, not %u of %llu",
		      handle, info.res_handle, info.size, o->res,
		      (unsigned long long)o->size);
	for (int i = 0; i < HANDLES; i++) {
		struct handle *h = &me.handle[i];

		if (!h->file)
			slot = h;
		else if (h->file == f && h->handle == handle &&
			 h->object == o)
			return h;
		else if (h->file == f && h->handle == handle)
			wrong("handle %u is two BOs", handle);
		else if (h->object == o)
			o->known_to_others = true;
	}
	must(slot);
	tell("  resource %u is handle %u of file %td", o->res, handle,
	     f - me.file);
	*slot = (struct handle){
		.file = f, .handle = handle, .object = o
	};
	set_attached(f, o, true);
	return slot;
}

void forget_if_dead(struct object *o)
{
	if (!o->res || o->dmabuf >= 0 || handle_of(o) || mapping_of(o, 0))
		return;
	for (int i = 0; i < FRAMEBUFFERS; i++)
		if (me.framebuffer[i].file && me.framebuffer[i].object == o)
			return;
	free(o->guest);
	free(o->host);
	free(o->known);
	*o = (struct object){ .dmabuf = -1 };
}

/* Once it has no handle, nobody can wait for it */
void abandon(struct object *o)
{
	if (o->dmabuf >= 0 || mapping_of(o, 0))
		settle(o);
	sign_off(o->res);
}

void renewed(struct object *o)
{
	memset(o->guest, 0, o->size);
	if (o->known)
		memset(o->known, 0, o->size / 4);
}

static void remember_stale(const struct handle *h)
{
	struct drm_virtgpu_map arg = { .handle = h->handle };

	if (!one_in(4) ||
	    plain_call(h->file->fd, DRM_IOCTL_VIRTGPU_MAP, &arg))
		return;
	one_of(me.stale) = (struct stale){
		.file = h->file, .offset = arg.offset, .size = h->object->size
	};
}

void lost_handle(struct handle *h)
{
	struct object *o = h->object;

	tell("  closed handle %u of resource %u", h->handle, o->res);
	set_attached(h->file, o, false);
	h->file = NULL;
	forget_if_dead(o);
}

void close_handle(struct handle *h)
{
	struct drm_gem_close arg = { .handle = h->handle };
	struct drm_mode_destroy_dumb dumb = { .handle = h->handle };

	abandon(h->object);
	remember_stale(h);
	if (h->file->card && one_in(4) ?
	    !fine(call(h->file->fd, DRM_IOCTL_MODE_DESTROY_DUMB, &dumb)) :
	    !fine(call(h->file->fd, DRM_IOCTL_GEM_CLOSE, &arg)))
		return;
	lost_handle(h);
}

struct mapping *add_mapping(uint32_t *words, uint64_t size, bool writable,
			    struct object *o)
{
	for (int i = 0; i < MAPPINGS; i++) {
		if (me.mapping[i].words)
			continue;
		me.mapping[i] = (struct mapping){
			.words = words, .size = size, .writable = writable,
			.object = o,
		};
		return &me.mapping[i];
	}
	must(!munmap(words, size));
	return NULL;
}

void unmap(struct mapping *m)
{
	abandon(m->object);
	must(!munmap(m->words, m->size));
	m->words = NULL;
	forget_if_dead(m->object);
}

void drop_dmabuf(struct object *o)
{
	abandon(o);
	must(!close(o->dmabuf));
	o->dmabuf = -1;
	forget_if_dead(o);
}

void drop_framebuffer(struct framebuffer *fb)
{
	abandon(fb->object);
	if (fine(call(fb->file->fd, DRM_IOCTL_MODE_RMFB, &fb->id)))
		lost_framebuffer(fb);
}

void drop_all(void)
{
	for (int i = 0; i < MAPPINGS; i++)
		if (me.mapping[i].words)
			unmap(&me.mapping[i]);
	for (int i = 0; i < FRAMEBUFFERS; i++)
		while (me.framebuffer[i].file)
			drop_framebuffer(&me.framebuffer[i]);
	for (int i = 0; i < OBJECTS; i++)
		if (me.object[i].res && me.object[i].dmabuf >= 0)
			drop_dmabuf(&me.object[i]);
	for (int i = 0; i < HANDLES; i++)
		while (me.handle[i].file)
			close_handle(&me.handle[i]);
}

/* Looking */

static struct view look_through(int fd, uint64_t size, uint64_t offset)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       offset);

	if (p == MAP_FAILED)
		wrong("can't be mapped: %s", strerror(errno));
	return (struct view){ .words = p, .writable = true, .temporary = true };
}

struct view view_open(struct object *o)
{
	struct mapping *m = mapping_of(o, o->size);
	struct handle *h = handle_of(o);
	struct drm_virtgpu_map arg = { 0 };

	if (m && (m->writable || (!h && o->dmabuf < 0)))
		return (struct view){
			.words = m->words, .writable = m->writable
		};
	if (!h)
		return look_through(o->dmabuf, o->size, 0);
	arg.handle = h->handle;
	if (plain_call(h->file->fd, DRM_IOCTL_VIRTGPU_MAP, &arg))
		wrong("can't be mapped: %s", strerror(errno));
	return look_through(h->file->fd, o->size, arg.offset);
}

void view_close(struct object *o, struct view view)
{
	if (view.temporary)
		must(!munmap(view.words, o->size));
}

/* The kernel's own limit for a wait is 15 s; ours is that of a hang */
void settle(struct object *o)
{
	struct handle *h = handle_of(o);
	struct drm_virtgpu_3d_wait arg = { 0 };
	uint64_t end = now_ms() + HANG_MS;
	int err = 0;

	if (!h || !(o->pending_to || o->pending_from))
		return;
	arg.handle = h->handle;
	do {
		if (err && now_ms() > end)
			wrong("busy for %u ms", HANG_MS);
		err = plain_call(h->file->fd, DRM_IOCTL_VIRTGPU_WAIT, &arg);
	} while (err == -EBUSY);
	if (err)
		wrong("can't be waited for: %s", strerror(-err));
	tell("  resource %u is idle", o->res);
	o->pending_to = false;
	o->pending_from = false;
}

static bool is_right(const struct object *o, size_t i, uint32_t word)
{
	return word == o->guest[i] || (o->loose && !is_foreign(word, o->owner));
}

bool looks_like(const struct object *o, const uint32_t *words, size_t n)
{
	if (!memcmp(words, o->guest, n * 4))
		return true;
	for (size_t i = 0; i < n; i++)
		if (!is_right(o, i, words[i]))
			return false;
	return true;
}

static void compare(const struct object *o, const uint32_t *words, size_t n,
		    const char *where)
{
	if (looks_like(o, words, n))
		return;
	for (size_t i = 0; i < n; i++)
		if (!is_right(o, i, words[i]))
			mismatch(o, where, i, o->guest[i], words[i]);
	wrong("content that changes while one looks");
}

void check(struct object *o)
{
	struct view view;

	settle(o);
	for (int i = 0; i < MAPPINGS; i++)
		if (me.mapping[i].words && me.mapping[i].object == o)
			compare(o, me.mapping[i].words, me.mapping[i].size / 4,
				"in a mapping");
	if (!is_viewable(o))
		return;
	view = view_open(o);
	compare(o, view.words, o->size / 4, "in its pages");
	view_close(o, view);
}

void check_all(void)
{
	for (int i = 0; i < OBJECTS; i++)
		if (me.object[i].res && !me.object[i].unneeded)
			check(&me.object[i]);
}

void corrupt_model(void)
{
	struct object *o = any_object();

	if (o)
		o->guest[rnd(o->size / 4)] ^= 1u << rnd(32);
}

/* The host's copy */

struct box whole_box(const struct object *o)
{
	return (struct box){ .w = o->width, .h = o->height };
}

struct box any_box(const struct object *o)
{
	struct box box = whole_box(o);

	if (one_in(2))
		return box;
	box.y = rnd(o->height);
	box.h = 1 + rnd(o->height - box.y);
	/* A host that draws nothing moves whole rows only */
	if (!device.draws && o->height > 1)
		return box;
	box.x = rnd(o->width);
	box.w = 1 + rnd(o->width - box.x);
	return box;
}

/* Runs BODY for the index I of every word of the box */
#define for_box(i, o, box, body)					\
	for (uint32_t y_ = 0; y_ < (box).h; y_++)			\
		for (size_t i = (size_t)((box).y + y_) * (o)->width +	\
				(box).x, end_ = i + (box).w;		\
		     i < end_; i++)					\
			body

static void tell_of(const struct object *o, const char *what, struct box box)
{
	tell("  %s %u (%s), %u,%u, %ux%u of %ux%u", what, o->res,
	     kind_names[o->kind], box.x, box.y, box.w, box.h, o->width,
	     o->height);
}

void wrote_to_host(struct object *o, struct box box)
{
	tell_of(o, "guest to host", box);
	o->pending_to = true;
	if (o->loose)
		return;
	for_box(i, o, box, {
		o->host[i] = o->guest[i];
		o->known[i] = true;
	});
}

/* Nobody said what is in a new host copy, but nobody else's words may be */
static void learn(struct object *o, struct box box)
{
	struct view view;

	settle(o);
	view = view_open(o);
	for_box(i, o, box, {
		if (o->known[i])
			continue;
		if (is_foreign(view.words[i], o->owner))
			mismatch(o, "in the host's copy", i, 0, view.words[i]);
		o->guest[i] = view.words[i];
		o->host[i] = view.words[i];
		o->known[i] = true;
	});
	view_close(o, view);
}

void read_from_host(struct object *o, struct box box)
{
	bool unknown = false;

	tell_of(o, "host to guest", box);
	o->pending_from = true;
	if (o->loose)
		return;
	for_box(i, o, box, {
		if (o->known[i])
			o->guest[i] = o->host[i];
		unknown |= !o->known[i];
	});
	if (unknown)
		learn(o, box);
}

/* Both from and to the same place */
void copied(struct object *dst, struct object *src, struct box box)
{
	size_t to, from;

	tell_of(dst, "copied to", box);
	tell_of(src, "copied from", box);
	for (uint32_t y = box.y; y < box.y + box.h; y++) {
		to = (size_t)y * dst->width + box.x;
		from = (size_t)y * src->width + box.x;
		memcpy(&dst->host[to], &src->host[from], box.w * 4);
		memcpy(&dst->known[to], &src->known[from], box.w);
	}
}

void cleared(struct object *o, uint32_t word)
{
	tell_of(o, "cleared", whole_box(o));
	for_box(i, o, whole_box(o), {
		o->host[i] = word;
		o->known[i] = true;
	});
}
