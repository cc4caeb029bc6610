// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the fuzzer does to a BO: mapping, writing, transfers, closing.
 */
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <xf86drm.h>

/* Mapping */

static uint64_t offset_of(const struct handle *h)
{
	struct drm_virtgpu_map arg = { .handle = h->handle };

	if (!fine(call(h->file->fd, DRM_IOCTL_VIRTGPU_MAP, &arg)))
		return 0;
	return arg.offset;
}

void *try_mmap(uint64_t size, int prot, int flags, int fd, uint64_t offset,
	       int *err)
{
	void *p;

	fault_window(true);
	p = mmap(NULL, size, prot, flags, fd, offset);
	*err = p == MAP_FAILED ? -errno : 0;
	fault_window(false);
	return p;
}

void map(void)
{
	struct handle *h = any_handle(has_any);
	bool writable = !one_in(4), dumb;
	struct drm_mode_map_dumb arg = { 0 };
	uint64_t offset, size;
	void *p;
	int err;

	if (!h)
		return;
	dumb = h->file->card && one_in(4);
	arg.handle = h->handle;
	if (dumb && !fine(call(h->file->fd, DRM_IOCTL_MODE_MAP_DUMB, &arg)))
		return;
	offset = dumb ? arg.offset : offset_of(h);
	if (!offset)
		return;
	size = one_in(3) ? 4096 * (1 + rnd(h->object->size / 4096)) :
			   h->object->size;
	p = try_mmap(size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED,
		     h->file->fd, offset, &err);
	if (fine(err))
		add_mapping(p, size, writable, h->object);
}

static struct mapping *any_mapping(void)
{
	unsigned int first = rnd(MAPPINGS);

	for (int i = 0; i < MAPPINGS; i++) {
		struct mapping *m = &me.mapping[(first + i) % MAPPINGS];

		if (m->words)
			return m;
	}
	return NULL;
}

void unmap_one(void)
{
	struct mapping *m = any_mapping();

	if (!m)
		return;
	if (!m->object->unneeded)
		check(m->object);
	unmap(m);
}

static bool private_is_refused(void)
{
	static int major;
	struct utsname name;

	if (!major) {
		must(!uname(&name));
		major = atoi(name.release);
	}
	return major >= 7;
}

void refuse_map(void)
{
	struct drm_virtgpu_map bad = { .handle = BAD_HANDLE };
	struct handle *h = any_handle(has_any);
	uint64_t offset = h ? offset_of(h) : 0, size;
	int flags = MAP_SHARED, error = EINVAL, err;

	if (!offset) {
		refused(call(any_file()->fd, DRM_IOCTL_VIRTGPU_MAP, &bad),
			ENOENT, 0);
		return;
	}
	size = h->object->size;
	switch (rnd(4)) {
	case 0:
		size += 4096 * (1 + rnd(16));
		break;
	case 1:
		if (size < 2 * 4096)
			return;
		size -= 4096;
		offset += 4096;
		break;
	case 2:
		offset = 0;
		break;
	case 3:
		flags = MAP_PRIVATE;
		if (!private_is_refused())
			return;
		break;
	}
	try_mmap(size, PROT_READ | PROT_WRITE, flags, h->file->fd, offset,
		 &err);
	refused(err, error, 0);
}

/* Whether a handle of the file's maps there today */
static bool is_mapped_at(const struct file *f, uint64_t offset)
{
	for (int i = 0; i < HANDLES; i++) {
		struct drm_virtgpu_map arg = { .handle = me.handle[i].handle };

		if (me.handle[i].file == f &&
		    !plain_call(f->fd, DRM_IOCTL_VIRTGPU_MAP, &arg) &&
		    arg.offset == offset)
			return true;
	}
	return false;
}

/* The right to map a BO ends with its handle, whoever gets the BO next */
void map_stale(void)
{
	struct stale *stale = &one_of(me.stale);
	void *p;
	int err;

	if (!stale->size || stale->file->haunted)
		return;
	p = try_mmap(stale->size, PROT_READ, MAP_SHARED, stale->file->fd,
		     stale->offset, &err);
	if (err) {
		refused(err, EINVAL, EACCES);
		return;
	}
	if (!is_mapped_at(stale->file, stale->offset))
		wrong("what has no handle any more can be mapped");
	must(!munmap(p, stale->size));
}

/* Content */

void write_some(void)
{
	struct object *o = any_object();
	size_t words, first, n;
	struct view view;

	if (!o || o->frozen)
		return;
	settle(o);
	words = o->size / 4;
	first = one_in(2) ? 0 : rnd(words);
	n = one_in(2) ? words - first : 1 + rnd(words - first);
	view = view_open(o);
	if (view.writable) {
		fill(o, first, n, mix(me.op, o->serial));
		memcpy(view.words + first, o->guest + first, n * 4);
		tell("  wrote to resource %u, words %zu to %zu", o->res, first,
		     first + n);
	}
	view_close(o, view);
}

void check_one(void)
{
	struct object *o = any_object();

	if (o)
		check(o);
}

struct drm_virtgpu_3d_box scaled(const struct object *o, struct box box)
{
	uint32_t scale = o->kind == BUFFER ? 4 : 1;

	return (struct drm_virtgpu_3d_box){
		.x = box.x * scale, .y = box.y, .w = box.w * scale, .h = box.h,
		.d = 1
	};
}

static uint32_t offset_in(const struct object *o, struct box box)
{
	return (box.y * o->width + box.x) * 4;
}

/* The list of one BO that can't be allocated looks like no such BO */
void to_host(void)
{
	struct handle *h = any_handle(is_writable);
	struct drm_virtgpu_3d_transfer_to_host arg = { 0 };
	struct box box;

	if (!h)
		return;
	box = any_box(h->object);
	arg.bo_handle = h->handle;
	arg.box = scaled(h->object, box);
	arg.offset = offset_in(h->object, box);
	if (fine_or(call(h->file->fd, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &arg),
		    ENOENT))
		wrote_to_host(h->object, box);
}

void from_host(void)
{
	struct handle *h = any_handle(has_host);
	struct drm_virtgpu_3d_transfer_from_host arg = { 0 };
	struct box box;
	int err;

	if (!h)
		return;
	box = any_box(h->object);
	arg.bo_handle = h->handle;
	arg.box = scaled(h->object, box);
	arg.offset = offset_in(h->object, box);
	err = call(h->file->fd, DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST, &arg);
	if (!device.virgl)
		refused(err, ENOSYS, 0);
	else if (fine_or(err, ENOENT))
		read_from_host(h->object, box);
}

/* Bookworm's libdrm does not know blobs, nor strides */
#ifdef DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB

static bool set_stride(struct drm_virtgpu_3d_transfer_to_host *arg)
{
	arg->stride = 1 + rnd(1000);
	return true;
}

#else

static bool set_stride(struct drm_virtgpu_3d_transfer_to_host *arg)
{
	(void)arg;
	return false;
}

#endif

static bool is_blob(const struct handle *h)
{
	return h->object->kind == BLOB;
}

void refuse_transfer(void)
{
	struct drm_virtgpu_3d_transfer_to_host arg = {
		.bo_handle = BAD_HANDLE, .box = { .w = 4, .h = 1, .d = 1 },
	};
	struct handle *h = any_handle(one_in(2) ? is_blob : has_host);
	bool to = rnd(2);
	int error = ENOENT;

	if (h && one_in(2) && set_stride(&arg)) {
		arg.bo_handle = h->handle;
		error = EINVAL;
		/* A 2D device does not look at the stride */
		if (!device.virgl && to && h->object->kind != BLOB)
			return;
	}
	if (!device.virgl && !to)
		error = ENOSYS;
	/* Both have the same fields */
	refused(call(h ? h->file->fd : any_file()->fd,
		     to ? DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST :
			  DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST, &arg), error,
		me.make_it_fail < 0 ? 0 : ENOENT);
}

void wait_for(void)
{
	struct handle *h = any_handle(has_any);
	struct drm_virtgpu_3d_wait arg = { .handle = BAD_HANDLE };
	int err;

	if (!h || one_in(8)) {
		refused(call(any_file()->fd, DRM_IOCTL_VIRTGPU_WAIT, &arg),
			ENOENT, 0);
		return;
	}
	arg.handle = h->handle;
	arg.flags = rnd(2) ? VIRTGPU_WAIT_NOWAIT : 0;
	err = call(h->file->fd, DRM_IOCTL_VIRTGPU_WAIT, &arg);
	if (err == -EBUSY && arg.flags)
		return;
	if (fine(err))
		h->object->pending_to = h->object->pending_from = false;
}

/* Closing */

void close_one(void)
{
	struct handle *h = any_handle(has_any);

	if (h)
		close_handle(h);
}

void close_twice(void)
{
	struct handle *h = any_handle(has_any);
	struct drm_gem_close arg = { .handle = BAD_HANDLE };
	struct drm_mode_destroy_dumb dumb = { .handle = BAD_HANDLE };
	struct file *f = any_file();

	if (h) {
		f = h->file;
		arg.handle = dumb.handle = h->handle;
		close_handle(h);
		if (h->file)
			return;
	}
	refused(call(f->fd, DRM_IOCTL_GEM_CLOSE, &arg), EINVAL, 0);
	refused(call(f->fd, DRM_IOCTL_MODE_DESTROY_DUMB, &dumb),
		f->card ? EINVAL : EACCES, 0);
}

void reopen(void)
{
	struct file *f = any_file();

	close_file(f);
	open_file(f);
}

void open_and_close(void)
{
	int fd = open_again(rnd(2) ? device.card_path : device.render_path);

	if (fd >= 0)
		must(!close(fd));
	else
		fine(fd);
}
