// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the fuzzer says of BOs by MADVISE: that it can do without, that it can't.
 * In between nobody may use them; the model leaves them alone.
 */
#include "fuzz.h"

#include <errno.h>
#include <sys/mman.h>

#include <xf86drm.h>
#include <xf86drmMode.h>

#include <drm/virtgpu_drm.h>

static int say(const struct handle *h, uint32_t madv, bool *retained)
{
	struct drm_virtgpu_madvise arg = {
		.bo_handle = h->handle, .retained = 7, .madv = madv
	};
	int err = call(h->file->fd, DRM_IOCTL_VIRTGPU_MADVISE, &arg);

	if (err)
		return err;
	if (arg.retained > 1)
		wrong("retained is %u", arg.retained);
	tell("  resource %u, %u: retained is %u", h->object->res, madv,
	     arg.retained);
	*retained = arg.retained;
	return 0;
}

static bool is_framed(const struct object *o)
{
	for (int i = 0; i < FRAMEBUFFERS; i++)
		if (me.framebuffer[i].file && me.framebuffer[i].object == o)
			return true;
	return false;
}

void dontneed(void)
{
	struct handle *h = device.madvise ? any_handle(has_any) : NULL;
	bool retained;
	int err;

	if (!h)
		return;
	/* It may be on its way out before the call returns */
	err = say(h, VIRTGPU_MADV_DONTNEED, &retained);
	if (h->object->known_to_others)
		refused(err, EINVAL, EBUSY);	/* another's framebuffer */
	else if (is_framed(h->object))
		refused(err, EBUSY, 0);
	else if (fine(err))
		h->object->unneeded = true;
}

static struct handle *any_unneeded(void)
{
	unsigned int first = rnd(HANDLES);

	for (int i = 0; i < HANDLES; i++) {
		struct handle *h = &me.handle[(first + i) % HANDLES];

		if (h->file && h->object->unneeded)
			return h;
	}
	return NULL;
}

void willneed(void)
{
	struct handle *h = any_unneeded();
	bool retained, replace = one_in(2);

	if (!h)
		return;
	if (one_in(4)) {
		close_handle(h);
		return;
	}
	if (!fine(say(h, replace ? VIRTGPU_MADV_WILLNEED_REPLACE :
				   VIRTGPU_MADV_WILLNEED, &retained)))
		return;
	if (!retained && !replace)
		return;
	h->object->unneeded = false;
	if (!retained)
		renewed(h->object);
	check(h->object);
}

/* The list of one BO that can't be allocated looks like no such BO */
void use_unneeded(void)
{
	struct handle *h = any_unneeded();
	struct drm_virtgpu_3d_transfer_to_host transfer = {
		.box = { .w = 4, .h = 1, .d = 1 },
	};
	struct drm_prime_handle prime = { .fd = -1 };
	struct drm_mode_fb_cmd fb = {
		.bpp = 32, .depth = 24, .width = 32, .height = 32, .pitch = 128,
	};
	struct drm_virtgpu_map map = { 0 };
	int err;

	if (!h)
		return;
	switch (rnd(4)) {
	case 0:
		transfer.bo_handle = h->handle;
		refused(call(h->file->fd, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST,
			     &transfer), EINVAL,
			me.make_it_fail < 0 ? 0 : ENOENT);
		break;
	case 1:
		prime.handle = h->handle;
		refused(call(h->file->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime),
			EINVAL, 0);
		break;
	case 2:
		fb.handle = h->handle;
		refused(call(h->file->fd, DRM_IOCTL_MODE_ADDFB, &fb),
			h->file->card ? EINVAL : EACCES, 0);
		break;
	case 3:
		map.handle = h->handle;
		if (!fine(call(h->file->fd, DRM_IOCTL_VIRTGPU_MAP, &map)))
			return;
		try_mmap(h->object->size, PROT_READ, MAP_SHARED, h->file->fd,
			 map.offset, &err);
		refused(err, EINVAL, 0);
		break;
	}
}

void refuse_madvise(void)
{
	struct drm_virtgpu_madvise arg = {
		.bo_handle = BAD_HANDLE, .madv = rnd(3)
	};
	struct handle *h = any_handle(has_any);
	int error = ENOENT;

	if (h && one_in(2)) {
		arg.bo_handle = h->handle;
		error = EINVAL;
		if (one_in(2))
			arg.pad = 1 + rnd(-2u);
		else
			arg.madv = 3 + rnd(-4u);
	}
	refused(call(h ? h->file->fd : any_file()->fd,
		     DRM_IOCTL_VIRTGPU_MADVISE, &arg),
		device.madvise ? error : EINVAL, 0);
}
