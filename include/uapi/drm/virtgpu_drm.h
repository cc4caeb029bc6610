/* SPDX-License-Identifier: MIT */
/*
 * What the BO cache adds to the uAPI of virtio-gpu, on top of the header that is
 * installed.
 *
 * The numbers are not upstream's yet.  They stand here and nowhere else.
 */
#ifndef VIRTGPU_BO_CACHE_DRM_H
#define VIRTGPU_BO_CACHE_DRM_H

#include <linux/types.h>

#if defined(__cplusplus)
extern "C" {
#endif

/*
 * DRM_IOCTL_VIRTGPU_GETPARAM: how long the driver keeps what it was given back,
 * in milliseconds.  0, or EINVAL, says that it keeps nothing.
 */
#define VIRTGPU_PARAM_BO_CACHE 10

#define DRM_VIRTGPU_MADVISE 0x0c

/* The BO is needed, with its content. */
#define VIRTGPU_MADV_WILLNEED 0
/* The BO is not needed for now; what it contains may be lost. */
#define VIRTGPU_MADV_DONTNEED 1
/* The BO is needed, but not what it contained. */
#define VIRTGPU_MADV_WILLNEED_REPLACE 2

/**
 * struct drm_virtgpu_madvise - whether the content of a BO is needed
 * @bo_handle: in: the BO
 * @retained: out: 1 if it has its content still, 0 if that was lost
 * @madv: in: VIRTGPU_MADV_WILLNEED, VIRTGPU_MADV_DONTNEED or
 *        VIRTGPU_MADV_WILLNEED_REPLACE
 * @pad: must be 0
 *
 * A client that keeps BOs for later says DONTNEED of them.  The kernel may then
 * drop them: the host's resource and the guest's pages go, the handle stays.  It
 * does so under memory pressure, or when VIRTGPU_PARAM_BO_CACHE milliseconds have
 * gone by and the host is done with the BO.  Until WILLNEED the BO can't be used:
 * command streams and transfers that name it, exporting it and mapping it fail
 * with EINVAL, and so does making a framebuffer of it; the first access to a page
 * of an existing mapping raises SIGBUS.
 *
 * WILLNEED never waits, allocates nothing and asks nothing of the host.  If
 * @retained is 0 the BO stays unusable; it can be closed, or asked for with
 * WILLNEED_REPLACE.  That makes a dropped BO anew, under its handle, its
 * resource id and with what it was created as, and full of zeroes.  Objects that
 * a context has on the host made of the resource before, such as surfaces and
 * sampler views, show what it was then, and have to be made again.
 *
 * Only its sole user can do without a BO.  DONTNEED fails with EINVAL if it ever
 * was exported, imported, named or given a second handle, or is memory of the
 * host's; and with EBUSY while it is part of a framebuffer, or pinned.
 * WILLNEED and WILLNEED_REPLACE of such BOs do nothing.  Repeating what was said
 * last changes nothing, not even the time.
 *
 * Errors, after which nothing has changed: ENOENT if there is no such handle,
 * EINVAL for another @madv, or a @pad that is not 0, EFAULT for a bad address; ENOMEM
 * or EINTR when a BO is made anew.
 */
struct drm_virtgpu_madvise {
	__u32 bo_handle;
	__u32 retained;
	__u32 madv;
	__u32 pad;
};

#define DRM_IOCTL_VIRTGPU_MADVISE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VIRTGPU_MADVISE, \
		 struct drm_virtgpu_madvise)

#if defined(__cplusplus)
}
#endif

#endif

/* Not before: what follows is as if it were in a system header. */
#pragma GCC system_header
#if defined(__KERNEL__)
#include_next <drm/virtgpu_drm.h>
#elif __has_include_next("drm/virtgpu_drm.h")
#include_next <drm/virtgpu_drm.h>
#else
#include <libdrm/virtgpu_drm.h>
#endif
